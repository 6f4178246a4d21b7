//! Tasks and threads with an owner. The only place that spawns (clippy's `disallowed-methods` keeps it so).
//!
//! A [`Scope`] is a cancellation token and a tracker: whoever owns the scope can tell its tasks to stop and wait
//! until the last has ended. A task that outlives the deadline is named in the log, never lost silently.

mod pool;

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use pool::Pool;

/// An owner of tasks. Clones own the same tasks.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    token: CancellationToken,
    tracker: TaskTracker,
}

/// The deadline passed and this many tasks still run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} tasks did not stop in time")]
pub struct StillRunning(pub usize);

impl Scope {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A scope that is cancelled with this one, but can be cancelled and waited for alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), tracker: TaskTracker::new() }
    }

    /// Cancelled when the owner wants its tasks to end; long waits select on it.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs a task that is dropped at its next await once the scope is cancelled.
    #[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let token = self.token.clone();
        tokio::spawn(self.tracker.track_future(async move { token.run_until_cancelled(task).await }))
    }

    /// Runs a task that ends by itself when it sees the token; for tasks that must clean up.
    #[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
    pub fn spawn_careful<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.tracker.track_future(task))
    }

    /// Tells every task to stop and waits for the last one, at most `deadline`.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), StillRunning> {
        self.token.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.map_err(|_| StillRunning(self.tracker.len()))
    }
}

/// Runs work that blocks (hashing, inflating, files) away from the async threads, and waits for it.
///
/// A panic in the work is a panic here.
#[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
pub async fn blocking<F, T>(work: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Runs work that may hang on a thread of its own; `None`: it was not done within `limit`.
///
/// Unlike [`blocking`], nothing ever waits for it again, not even the end of the runtime: only the end of the process
/// ends it.
pub async fn abandonable<F, T>(limit: Duration, work: F) -> Option<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (done, waiting) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        // Nobody waits any more: the result is of no use.
        let _ = done.send(work());
    });
    match tokio::time::timeout(limit, waiting).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(_)) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it ends by sending or by a panic"),
        },
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_ends_every_task() {
        let scope = Scope::new();
        let waiting = scope.spawn(std::future::pending::<()>());
        let token = scope.token().clone();
        let careful = scope.spawn_careful(async move {
            token.cancelled().await;
            "cleaned up"
        });
        assert_eq!(scope.shutdown(Duration::from_secs(5)).await, Ok(()));
        assert_eq!(waiting.await.unwrap(), None);
        assert_eq!(careful.await.unwrap(), "cleaned up");
    }

    #[tokio::test]
    async fn a_task_that_does_not_stop_is_counted() {
        let scope = Scope::new();
        let _stuck = scope.spawn_careful(std::future::pending::<()>());
        assert_eq!(scope.shutdown(Duration::from_millis(10)).await, Err(StillRunning(1)));
    }

    #[tokio::test]
    async fn work_that_hangs_is_left_alone() {
        let (hang, forever) = std::sync::mpsc::channel::<()>();
        assert_eq!(abandonable(Duration::from_secs(5), || 7).await, Some(7));
        assert_eq!(abandonable(Duration::from_millis(10), move || forever.recv().is_ok()).await, None);
        drop(hang);
    }

    #[tokio::test]
    #[should_panic(expected = "as it is")]
    async fn a_panic_in_work_that_may_hang_is_a_panic_here() {
        abandonable(Duration::from_secs(5), || panic!("as it is")).await.unwrap()
    }

    #[tokio::test]
    async fn a_child_ends_with_its_parent_but_not_the_other_way() {
        let parent = Scope::new();
        let child = parent.child();
        assert_eq!(child.shutdown(Duration::from_secs(5)).await, Ok(()));
        assert!(!parent.token().is_cancelled());
        let child = parent.child();
        parent.token().cancel();
        assert!(child.token().is_cancelled());
    }
}
