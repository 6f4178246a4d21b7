//! A few threads for computation, so that the threads that answer requests stay free.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, available_parallelism};

type Job = Box<dyn FnOnce() + Send>;

/// More threads than this would only use more memory.
const MOST_THREADS: usize = 4;
/// How many spare jobs wait at most. A new one replaces the oldest, which is the least likely to be of use still.
const MOST_SPARE: usize = 16;

/// Owns its threads. Dropping the pool drops the jobs that wait, and waits for the jobs that are running.
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
    /// Somebody waits for the results of these jobs.
    wanted: VecDeque<Job>,
    /// These jobs run when no other job waits.
    spare: VecDeque<Job>,
    over: bool,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jobs {{ wanted: {}, spare: {} }}", self.wanted.len(), self.spare.len())
    }
}

impl Pool {
    /// The number of threads: one per processor, but at least 2 and at most 4.
    pub fn width() -> usize {
        // It is computed once, because it reads the limits of control groups from files.
        static WIDTH: LazyLock<usize> =
            LazyLock::new(|| available_parallelism().map_or(2, usize::from).clamp(2, MOST_THREADS));
        *WIDTH
    }

    /// Starts [`width`](Self::width) threads with this name.
    pub fn new(name: &str) -> io::Result<Self> {
        let count = Self::width();
        let mut pool = Self { shared: Arc::default(), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let shared = Arc::clone(&pool.shared);
            pool.threads.push(Builder::new().name(name.to_owned()).spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// Queues a job whose result somebody waits for. Such jobs start in the order of their arrival.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.shared.jobs().wanted.push_back(Box::new(job));
        self.shared.changed.notify_one();
    }

    /// Queues a job that runs only when no other job waits. It may never run.
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
                    // The one who waits for the result notices that none came.
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        tracing::error!("a job of a thread pool panicked");
                    }
                    self.jobs()
                }
                None => self.changed.wait(jobs).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        // The lock is never held while a job runs, so a panic cannot leave the queues half-changed.
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
        // This happens after the lock is released, because dropping a job may run any code.
        drop(waiting);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // The thread catches the panics of its jobs, so joining cannot fail.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn wanted_jobs_run_before_spare_ones_and_the_oldest_spare_job_gives_way() {
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
        // From now on exactly one thread is free.
        drop(gates.pop());
        let order: Vec<_> = (0..=MOST_SPARE).map(|_| seen.recv().unwrap()).collect();
        assert_eq!(order[0], usize::MAX);
        assert!(!order.contains(&0), "the oldest spare job gave way: {order:?}");
    }

    #[test]
    fn threads_survive_a_panic_and_a_drop_waits_for_the_running_job() {
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
