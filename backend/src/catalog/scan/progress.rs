//! Which thread looks through a folder, and which paths do not answer. Pure: it gets the time and starts nothing.
//!
//! A path on a dead network share never answers, and the thread that asks for it hangs in the kernel for as long. So a
//! thread says which path it is about to touch. When it says nothing for [`HANGS_AFTER`], it is given up, the path is
//! left out, and another thread does the rest. Once the path answers, the first thread comes back and says so.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pixelrts_shared::Problem;

use super::super::error::CatalogError;
use crate::clock;

/// A disk that has to start turning takes up to 4 s for its first byte.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(5);
/// So many threads of one folder may hang. Then the rest of the folder waits for one of them.
const MOST_HUNG: usize = 4;

/// A thread that looks through a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worker(u64);

/// The thread was given up, because it did not answer for too long. Another one does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp;

/// A path that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hung {
    pub(super) path: PathBuf,
    since: SystemTime,
    worker: Worker,
}

impl Hung {
    pub(super) fn problem(&self) -> Problem {
        CatalogError::Hangs { path: self.path.clone(), since: clock::rfc3339(self.since) }.into()
    }
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A thread is at work.
    Wait,
    /// A path hangs: another thread goes on with the rest.
    Replace,
    /// Nobody is at work.
    Rest,
}

#[derive(Debug, Default)]
pub(super) struct Progress {
    started: u64,
    /// The thread at work, the path that it touches, and since when.
    at: Option<(Worker, PathBuf, Instant)>,
    hung: Vec<Hung>,
}

impl Progress {
    /// A new thread, unless everything hangs.
    pub(super) fn start(&mut self, folder: &Path, now: Instant) -> Option<Worker> {
        if self.at.is_some() || self.hung.len() >= MOST_HUNG || self.hangs(folder) {
            return None;
        }
        self.started += 1;
        let worker = Worker(self.started);
        self.at = Some((worker, folder.to_owned(), now));
        Some(worker)
    }

    /// A thread is about to touch this path, or goes on with it.
    pub(super) fn reach(&mut self, worker: Worker, path: &Path, now: Instant) -> Result<(), GivenUp> {
        match &mut self.at {
            Some((at_work, at, since)) if *at_work == worker => {
                if at != path {
                    path.clone_into(at);
                }
                *since = now;
                Ok(())
            }
            _ => Err(GivenUp),
        }
    }

    /// A thread has ended. True when it was given up: what it touched answers again.
    pub(super) fn end(&mut self, worker: Worker) -> bool {
        if self.at.as_ref().is_some_and(|(at_work, ..)| *at_work == worker) {
            self.at = None;
            return false;
        }
        self.hung.retain(|hung| hung.worker != worker);
        true
    }

    /// Gives a thread up that has said nothing for too long. `time` is what the clock on the wall says, for people.
    pub(super) fn watch(&mut self, now: Instant, time: SystemTime) -> Next {
        let Some((worker, path, since)) = self.at.take() else { return Next::Rest };
        let silent = now.saturating_duration_since(since);
        if silent < HANGS_AFTER {
            self.at = Some((worker, path, since));
            return Next::Wait;
        }
        self.hung.push(Hung { path, since: time - silent, worker });
        Next::Replace
    }

    /// Whether this path, or a folder that leads to it, hangs.
    pub(super) fn hangs(&self, path: &Path) -> bool {
        self.hung.iter().any(|hung| path.starts_with(&hung.path))
    }

    pub(super) fn rests(&self) -> bool {
        self.at.is_none()
    }

    pub(super) fn hung(&self) -> &[Hung] {
        &self.hung
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "/images";

    fn started(progress: &mut Progress, now: Instant) -> Worker {
        progress.start(Path::new(FOLDER), now).unwrap()
    }

    #[test]
    fn a_thread_that_goes_on_is_not_given_up() {
        let (mut progress, mut now) = (Progress::default(), Instant::now());
        let worker = started(&mut progress, now);
        assert_eq!(progress.start(Path::new(FOLDER), now), None, "one thread at a time");
        for _ in 0..10 {
            now += HANGS_AFTER - Duration::from_millis(1);
            assert_eq!(progress.watch(now, SystemTime::now()), Next::Wait);
            progress.reach(worker, Path::new("/images/a.rts.png"), now).unwrap();
        }
        assert!(!progress.end(worker));
        assert_eq!(progress.watch(now + HANGS_AFTER, SystemTime::now()), Next::Rest);
        assert!(progress.hung().is_empty());
    }

    #[test]
    fn a_path_that_hangs_is_left_out_until_it_answers() {
        let (mut progress, now) = (Progress::default(), Instant::now());
        let first = started(&mut progress, now);
        progress.reach(first, Path::new("/images/share"), now).unwrap();
        assert_eq!(progress.watch(now + HANGS_AFTER, SystemTime::now()), Next::Replace);
        assert_eq!(progress.hung()[0].path, Path::new("/images/share"));
        assert!(progress.hangs(Path::new("/images/share/a.rts.png")));
        assert!(!progress.hangs(Path::new("/images/shared.rts.png")) && !progress.hangs(Path::new(FOLDER)));

        let second = started(&mut progress, now);
        assert_eq!(progress.reach(first, Path::new("/images/share"), now), Err(GivenUp));
        assert!(!progress.end(second));
        assert_eq!(progress.hung().len(), 1, "the end of another thread says nothing about it");
        assert!(progress.end(first));
        assert!(!progress.hangs(Path::new("/images/share")));
    }

    #[test]
    fn the_number_of_threads_that_hang_is_bounded() {
        let (mut progress, mut now) = (Progress::default(), Instant::now());
        let mut workers = Vec::new();
        for number in 0..MOST_HUNG {
            let worker = started(&mut progress, now);
            progress.reach(worker, &Path::new(FOLDER).join(number.to_string()), now).unwrap();
            now += HANGS_AFTER;
            assert_eq!(progress.watch(now, SystemTime::now()), Next::Replace);
            workers.push(worker);
        }
        assert_eq!(progress.start(Path::new(FOLDER), now), None);
        progress.end(workers[2]);
        assert!(progress.start(Path::new(FOLDER), now).is_some());
    }

    #[test]
    fn nothing_is_started_while_the_folder_itself_hangs() {
        let (mut progress, now) = (Progress::default(), Instant::now());
        let worker = started(&mut progress, now);
        assert_eq!(progress.watch(now + HANGS_AFTER, SystemTime::now()), Next::Replace);
        assert_eq!(progress.hung()[0].path, Path::new(FOLDER));
        assert_eq!(progress.start(Path::new(FOLDER), now), None);
        assert!(progress.end(worker));
        assert!(progress.start(Path::new(FOLDER), now).is_some());
    }
}
