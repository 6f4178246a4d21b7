//! How long things have been idle, by a clock that nobody can set: the time that this computer has run.
//!
//! The wall clock may jump by years, for example at a start without a network. So the cache counts the seconds in which
//! the computer was on, in a file: `lived` has the seconds, the name of this run of the kernel (`boot_id`), and its
//! uptime at that moment. In the same run the difference of two uptimes is added. In another run nothing is added: how
//! long the computer was off is not known, so nothing becomes older by that.
//!
//! The kernel is asked through `/proc`. Without it the time of this process counts.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::files::{Existing, write_atomically};

/// The file is written again when so much time has passed. After a crash, so much is forgotten at most.
const WRITTEN_EVERY: u64 = 60;

/// A moment of one run of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    run: String,
    /// In seconds.
    uptime: u64,
}

/// Seconds of life at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lived {
    seconds: u64,
    at: Moment,
}

#[derive(Debug)]
pub(super) struct Life {
    file: PathBuf,
    began: Instant,
    /// What is in the file.
    written: Mutex<Option<Lived>>,
}

impl Lived {
    /// The same life at a later moment.
    fn at(&self, now: Moment) -> Self {
        let more = if self.at.run == now.run { now.uptime.saturating_sub(self.at.uptime) } else { 0 };
        Self { seconds: self.seconds.saturating_add(more), at: now }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (seconds, uptime, run) =
            (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.to_owned());
        Some(Self { seconds, at: Moment { run, uptime } })
    }

    fn text(&self) -> String {
        format!("{} {} {}\n", self.seconds, self.at.uptime, self.at.run)
    }
}

impl Life {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, began: Instant::now(), written: Mutex::default() }
    }

    /// The seconds that this computer has run since the cache was made. It never goes back.
    pub(super) fn now(&self) -> u64 {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have written a later one.
        let stored = fs::read_to_string(&self.file).ok().and_then(|text| Lived::parse(&text));
        let known = stored.clone().into_iter().chain(written.clone()).max_by_key(|lived| lived.seconds);
        let now = self.moment();
        let lived = known.unwrap_or(Lived { seconds: 0, at: now.clone() }).at(now);
        let is_old = stored.is_none_or(|stored| {
            stored.at.run != lived.at.run || lived.seconds >= stored.seconds.saturating_add(WRITTEN_EVERY)
        });
        if is_old {
            let put = |file: &mut fs::File| file.write_all(lived.text().as_bytes());
            if let Err(error) = write_atomically(&self.file, Existing::Replace, put) {
                tracing::debug!(%error, "the time of the cache cannot be written");
            }
        }
        let seconds = lived.seconds;
        *written = Some(lived);
        seconds
    }

    fn moment(&self) -> Moment {
        let run = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let uptime = fs::read_to_string("/proc/uptime").ok();
        let uptime = uptime.and_then(|text| text.split('.').next()?.parse().ok());
        match run.zip(uptime) {
            Some((run, uptime)) => Moment { run: run.trim().to_owned(), uptime },
            None => Moment { run: format!("process-{}", std::process::id()), uptime: self.began.elapsed().as_secs() },
        }
    }
}

/// How long ago `then` was, in seconds of life.
pub(super) fn since(then: u64, now: u64) -> Duration {
    Duration::from_secs(now.saturating_sub(then))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lived(seconds: u64, uptime: u64, run: &str) -> Lived {
        Lived { seconds, at: Moment { run: run.to_owned(), uptime } }
    }

    #[test]
    fn only_time_in_which_the_computer_ran_counts() {
        let before = lived(1000, 50, "a");
        assert_eq!(before.at(Moment { run: "a".to_owned(), uptime: 80 }).seconds, 1030);
        assert_eq!(before.at(Moment { run: "a".to_owned(), uptime: 20 }).seconds, 1000, "it never goes back");
        assert_eq!(
            before.at(Moment { run: "b".to_owned(), uptime: 80 }).seconds,
            1000,
            "nobody knows how long it was off"
        );
    }

    #[test]
    fn a_life_is_written_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lived");
        let first = Life::new(file.clone());
        let now = first.now();
        let stored = Lived::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(stored.at.run, first.moment().run);
        let later = Lived { seconds: now + 5000, ..stored };
        fs::write(&file, later.text()).unwrap();
        assert!(first.now() >= now + 5000 && Life::new(file.clone()).now() >= now + 5000);
        for damaged in ["", "x", "1", "1 2", "-1 2 a"] {
            fs::write(&file, damaged).unwrap();
            assert!(first.now() >= now + 5000, "what this process has seen is not forgotten");
        }
        fs::remove_file(&file).unwrap();
        assert!(first.now() >= now + 5000);
    }
}
