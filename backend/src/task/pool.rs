//! A few threads for work that computes, so that the threads that answer never do.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, available_parallelism};

type Job = Box<dyn FnOnce() + Send>;

/// More threads would only hold more memory.
const MOST_THREADS: usize = 4;
/// Spare jobs that wait; a new one pushes out the oldest, which nobody will miss.
const MOST_SPARE: usize = 16;

/// Owns its threads: dropping it drops the jobs that wait, and waits for those that run.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

#[derive(Default)]
struct Jobs {
    /// Somebody waits for these.
    wanted: VecDeque<Job>,
    /// Done when there is nothing better to do.
    spare: VecDeque<Job>,
    over: bool,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jobs {{ wanted: {}, spare: {} }}", self.wanted.len(), self.spare.len())
    }
}

impl Pool {
    /// As many threads as there are processors, 2 to 4.
    pub fn width() -> usize {
        // The limits of control groups are read for it, from files.
        static WIDTH: LazyLock<usize> =
            LazyLock::new(|| available_parallelism().map_or(2, usize::from).clamp(2, MOST_THREADS));
        *WIDTH
    }

    /// [`width`](Self::width) threads, called `name`.
    pub fn new(name: &str) -> io::Result<Self> {
        let count = Self::width();
        let mut pool = Self { shared: Arc::default(), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let shared = Arc::clone(&pool.shared);
            pool.threads.push(Builder::new().name(name.to_owned()).spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// Runs a job that somebody waits for, after those that came before.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.shared.jobs().wanted.push_back(Box::new(job));
        self.shared.changed.notify_one();
    }

    /// Runs a job when nobody waits for anything; or never.
    pub fn run_spare(&self, job: impl FnOnce() + Send + 'static) {
        let mut jobs = self.shared.jobs();
        if jobs.spare.len() >= MOST_SPARE {
            jobs.spare.pop_front();
        }
        jobs.spare.push_back(Box::new(job));
        drop(jobs);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn work(&self) {
        let mut jobs = self.jobs();
        while !jobs.over {
            let job = jobs.wanted.pop_front().or_else(|| jobs.spare.pop_front());
            jobs = match job {
                Some(job) => {
                    drop(jobs);
                    // Who waits for it sees that no result came.
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!("work on a thread of its own panicked");
                    }
                    self.jobs()
                }
                None => self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        // No job runs while it is locked.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let waiting = {
            let mut jobs = self.shared.jobs();
            jobs.over = true;
            (std::mem::take(&mut jobs.wanted), std::mem::take(&mut jobs.spare))
        };
        // Outside of the lock: what a job holds may have a drop of its own.
        drop(waiting);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // Its panics were caught.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn what_is_wanted_comes_before_what_is_spare() {
        let pool = Pool::new("test").unwrap();
        let (done, seen) = channel();
        let mut gates: Vec<_> = (0..pool.threads.len())
            .map(|_| {
                let (open, gate) = channel::<()>();
                pool.run(move || gate.recv().unwrap_or_default());
                open
            })
            .collect();
        for number in 0..MOST_SPARE + 1 {
            let done = done.clone();
            pool.run_spare(move || done.send(number).unwrap());
        }
        let last = done.clone();
        pool.run(move || last.send(usize::MAX).unwrap());
        // One thread is free from now on, and the others are not.
        drop(gates.pop());
        let order: Vec<_> = (0..=MOST_SPARE).map(|_| seen.recv().unwrap()).collect();
        assert_eq!(order[0], usize::MAX);
        assert!(!order.contains(&0), "the oldest spare job gave way: {order:?}");
    }

    #[test]
    fn a_panic_leaves_the_threads_and_the_end_waits_for_what_runs() {
        let pool = Pool::new("test").unwrap();
        for _ in 0..2 * MOST_THREADS {
            pool.run(|| panic!("a fault of ours"));
        }
        let (done, seen) = channel();
        let (started, running) = channel();
        pool.run(move || {
            started.send(()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            done.send(()).unwrap();
        });
        running.recv().unwrap();
        drop(pool);
        assert_eq!(seen.try_recv(), Ok(()));
    }
}
