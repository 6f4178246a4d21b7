//! Tasks and threads that have an owner. Nothing else starts any (`cargo xtask check` keeps it so).
//!
//! A [`Scope`] is a cancellation token and a tracker: its owner can ask its tasks to stop and wait until the last one
//! has ended. Tasks that are still running at the deadline are reported, not forgotten.

mod pool;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use pool::Pool;
/// Threads that end before the call does, which owns them.
pub use std::thread::scope;

/// An owner of tasks. Clones own the same tasks.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    token: CancellationToken,
    tracker: TaskTracker,
}

/// The deadline has passed, and this many tasks are still running.
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

    /// This token is cancelled when the owner wants its tasks to end. Long waits select on it.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Runs a task that is dropped at its next await point when the scope is cancelled.
    #[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let token = self.token.clone();
        tokio::spawn(self.tracker.track_future(async move { token.run_until_cancelled(task).await }))
    }

    /// Runs a task that watches the token and ends by itself, because it must clean up first.
    #[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
    pub fn spawn_careful<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.tracker.track_future(task))
    }

    /// Asks every task to stop and waits until the last one has ended, for at most `deadline`.
    pub async fn shutdown(&self, deadline: Duration) -> Result<(), StillRunning> {
        self.token.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.map_err(|_| StillRunning(self.tracker.len()))
    }
}

/// Runs blocking work (hashing, inflating, file access) outside the async threads, and waits for its result.
///
/// A panic in the work continues in the caller.
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

/// Like [`blocking`], for work that may hang: `None` means that it was not done within `limit`.
///
/// Work that hangs keeps its thread, of which the runtime has some hundreds, and a runtime that is to end must not wait
/// for it without a limit. So the caller bounds how much of it there can be.
#[expect(clippy::disallowed_methods, reason = "this is the place that spawns")]
pub async fn blocking_within<F, T>(limit: Duration, work: F) -> Option<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

/// Runs work that may hang on a thread of its own. `None` means that it was not done within `limit`.
///
/// Unlike with [`blocking`], nothing waits for such a thread afterwards, not even the shutdown of the runtime: a thread
/// that hangs ends with the process.
pub async fn abandonable<F, T>(limit: Duration, work: F) -> Option<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (done, waiting) = tokio::sync::oneshot::channel();
    let thread = std::thread::spawn(move || {
        // Sending fails when the caller has given up; then nobody needs the result.
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

/// Starts a thread that nothing waits for: the end of the process is its end.
pub fn until_the_end(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
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
    async fn work_that_hangs_is_abandoned_at_its_limit() {
        let (hang, forever) = std::sync::mpsc::channel::<()>();
        assert_eq!(abandonable(Duration::from_secs(5), || 7).await, Some(7));
        assert_eq!(abandonable(Duration::from_millis(10), move || forever.recv().is_ok()).await, None);
        drop(hang);
    }

    #[tokio::test]
    #[should_panic(expected = "as it is")]
    async fn a_panic_in_abandonable_work_continues_in_the_caller() {
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
