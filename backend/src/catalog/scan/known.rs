//! What is known of the files of a folder, and when one of them is read again. Pure: it gets the time and reads nothing.
//!
//! A file is read once: as long as its identity stays, so does what was found in it, also when that was a fault. A file
//! that may still be written, because its end is missing, is waited for before anybody hears of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrts_shared::Problem;

use super::LocalImage;
use crate::files::FileIdentity;

/// A file that is copied here grows, and one that has not changed for so long is complete.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// What the system refused is tried again after this time: a disk may have recovered.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// What a file is.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Image(Arc<LocalImage>),
    /// Its bytes are no image, and will not be one unless they change.
    Broken(Problem),
    /// The system did not let it be read.
    Unread {
        problem: Problem,
        at: Instant,
    },
    /// It is no image yet. Somebody may still write it.
    Incomplete {
        since: Instant,
    },
}

/// Why a file is not an image.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Its bytes are wrong.
    Bytes(Problem),
    /// Its end is missing, or it changed while it was read.
    End(Problem),
    System(Problem),
}

#[derive(Debug)]
pub(super) struct KnownFile {
    identity: FileIdentity,
    pub(super) outcome: Outcome,
    /// The pass that found it last. 0: it is only remembered from an earlier start.
    pass: u64,
}

/// What a pass does about a file that it has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It must be read.
    Unknown,
    Known,
}

/// The files of a folder, by path.
#[derive(Debug, Default)]
pub(super) struct KnownFiles {
    files: BTreeMap<PathBuf, KnownFile>,
    /// The last pass that came to its end. What it has not found is not there, or cannot be reached.
    finished: u64,
}

impl KnownFiles {
    /// What an earlier start found in a file. It counts once a pass has seen that the file is still there, unchanged.
    pub(super) fn remember(&mut self, path: PathBuf, identity: FileIdentity, outcome: Outcome) {
        self.files.entry(path).or_insert(KnownFile { identity, outcome, pass: 0 });
    }

    /// A pass has found this file.
    pub(super) fn see(&mut self, path: &Path, identity: &FileIdentity, pass: u64, now: Instant) -> Seen {
        let Some(known) = self.files.get_mut(path) else { return Seen::Unknown };
        // The number of a device may be another one after each start of the computer.
        let is_same = match known.pass {
            0 => known.identity.is_same_but_for_device(identity),
            _ => known.identity == *identity,
        };
        if !is_same {
            return Seen::Unknown;
        }
        let again = match &known.outcome {
            Outcome::Image(_) | Outcome::Broken(_) => false,
            Outcome::Unread { at, .. } => now.saturating_duration_since(*at) >= AGAIN_AFTER,
            Outcome::Incomplete { since, .. } => now.saturating_duration_since(*since) >= PATIENCE,
        };
        if again {
            return Seen::Unknown;
        }
        known.pass = pass;
        if known.identity != *identity {
            known.identity = *identity;
            if let Outcome::Image(image) = &mut known.outcome {
                Arc::make_mut(image).identity = *identity;
            }
        }
        Seen::Known
    }

    /// A file has been read. `age` is how long ago it was last changed, as far as the clocks tell.
    pub(super) fn learn(
        &mut self,
        path: &Path,
        identity: FileIdentity,
        read: Result<Arc<LocalImage>, Fault>,
        pass: u64,
        (now, age): (Instant, Option<Duration>),
    ) {
        let outcome = match read {
            Ok(image) => Outcome::Image(image),
            Err(Fault::Bytes(problem)) => Outcome::Broken(problem),
            Err(Fault::System(problem)) => Outcome::Unread { problem, at: now },
            Err(Fault::End(problem)) => {
                let since = match self.files.get(path) {
                    Some(KnownFile { identity: before, outcome: Outcome::Incomplete { since, .. }, .. })
                        if *before == identity =>
                    {
                        *since
                    }
                    _ => now,
                };
                let is_old = age.is_some_and(|age| age >= PATIENCE);
                if is_old || now.saturating_duration_since(since) >= PATIENCE {
                    Outcome::Broken(problem)
                } else {
                    Outcome::Incomplete { since }
                }
            }
        };
        self.files.insert(path.to_owned(), KnownFile { identity, outcome, pass });
    }

    /// A pass has come to its end. What it has not found is forgotten, except below folders that could not be read, which
    /// `unread` tells. Returns what was forgotten.
    pub(super) fn finish(&mut self, pass: u64, unread: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
        self.finished = pass;
        let gone = |path: &Path, file: &KnownFile| file.pass < pass && !unread(path);
        let forgotten: Vec<_> =
            self.files.iter().filter(|(path, file)| gone(path, file)).map(|(path, _)| path.clone()).collect();
        for path in &forgotten {
            self.files.remove(path);
        }
        forgotten
    }

    /// What is there, by path.
    pub(super) fn present(&self) -> impl Iterator<Item = (&Path, &Outcome)> {
        let there = self.files.iter().filter(|(_, file)| file.pass > 0 && file.pass >= self.finished);
        there.map(|(path, file)| (path.as_path(), &file.outcome))
    }

    pub(super) fn get(&self, path: &Path) -> Option<(&FileIdentity, &Outcome)> {
        self.files.get(path).map(|file| (&file.identity, &file.outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Time;
    use pixelrts_shared::ProblemCode;

    const PATH: &str = "/images/a.rts.png";

    fn identity(version: i64) -> FileIdentity {
        let time = Time { seconds: version, nanoseconds: 0 };
        FileIdentity { device: 1, inode: 2, size: 3, written: time, changed: time }
    }

    fn problem() -> Problem {
        Problem::new(ProblemCode::NotAnImage, "what", "why", "fix")
    }

    struct World {
        files: KnownFiles,
        now: Instant,
        pass: u64,
    }

    impl World {
        fn new() -> Self {
            Self { files: KnownFiles::default(), now: Instant::now(), pass: 0 }
        }

        /// A pass that finds this version of the file. True when the file was read, with this result.
        fn pass(&mut self, version: i64, read: &Result<(), Fault>, age: Duration) -> bool {
            self.pass += 1;
            let seen = self.files.see(Path::new(PATH), &identity(version), self.pass, self.now);
            if seen == Seen::Unknown {
                let read = read.clone().map(|()| unreachable!("no test reads an image"));
                self.files.learn(Path::new(PATH), identity(version), read, self.pass, (self.now, Some(age)));
            }
            self.files.finish(self.pass, |_| false);
            seen == Seen::Unknown
        }

        fn outcome(&self) -> Option<&'static str> {
            self.files.present().next().map(|(_, outcome)| match outcome {
                Outcome::Image(_) => "image",
                Outcome::Broken(_) => "broken",
                Outcome::Unread { .. } => "unread",
                Outcome::Incomplete { .. } => "incomplete",
            })
        }
    }

    #[test]
    fn a_broken_file_is_read_once_per_version() {
        let (mut world, broken) = (World::new(), Err(Fault::Bytes(problem())));
        assert!(world.pass(1, &broken, Duration::ZERO));
        for _ in 0..3 {
            world.now += Duration::from_secs(3600);
            assert!(!world.pass(1, &broken, Duration::ZERO));
            assert_eq!(world.outcome(), Some("broken"));
        }
        assert!(world.pass(2, &broken, Duration::ZERO));
    }

    #[test]
    fn a_file_that_grows_is_waited_for_and_one_that_stays_short_is_reported() {
        let (mut world, short) = (World::new(), Err(Fault::End(problem())));
        for version in 1..20 {
            world.now += Duration::from_secs(5);
            assert!(world.pass(version, &short, Duration::from_secs(1)));
            assert_eq!(world.outcome(), Some("incomplete"));
        }
        world.now += PATIENCE / 2;
        assert!(!world.pass(19, &short, PATIENCE / 2));
        assert_eq!(world.outcome(), Some("incomplete"));
        world.now += PATIENCE / 2;
        assert!(world.pass(19, &short, Duration::ZERO), "whatever the wall clock says");
        assert_eq!(world.outcome(), Some("broken"));
        world.now += PATIENCE;
        assert!(!world.pass(19, &short, Duration::ZERO));
    }

    #[test]
    fn a_short_file_that_nobody_has_changed_for_long_is_reported_at_once() {
        let mut world = World::new();
        assert!(world.pass(1, &Err(Fault::End(problem())), PATIENCE));
        assert_eq!(world.outcome(), Some("broken"));
    }

    #[test]
    fn what_the_system_refuses_is_tried_again_after_a_while() {
        let (mut world, refused) = (World::new(), Err(Fault::System(problem())));
        assert!(world.pass(1, &refused, Duration::ZERO));
        world.now += AGAIN_AFTER / 2;
        assert!(!world.pass(1, &refused, Duration::ZERO));
        assert!(world.pass(2, &refused, Duration::ZERO), "it was changed");
        world.now += AGAIN_AFTER;
        assert!(world.pass(2, &refused, Duration::ZERO));
    }

    #[test]
    fn what_is_remembered_counts_once_it_was_found() {
        let mut files = KnownFiles::default();
        let (path, now) = (Path::new(PATH), Instant::now());
        files.remember(path.to_owned(), identity(1), Outcome::Broken(problem()));
        assert_eq!(files.present().count(), 0);
        assert_eq!(files.see(path, &identity(2), 1, now), Seen::Unknown);
        assert_eq!(files.see(path, &identity(1), 1, now), Seen::Known);
        assert_eq!(files.see(path, &identity(1), 1, now), Seen::Known);
        assert_eq!(files.present().count(), 1);
    }

    #[test]
    fn what_cannot_be_reached_is_hidden_and_what_is_gone_is_forgotten() {
        let mut files = KnownFiles::default();
        let (path, now) = (Path::new(PATH), Instant::now());
        files.remember(path.to_owned(), identity(1), Outcome::Broken(problem()));
        files.see(path, &identity(1), 1, now);
        assert_eq!(files.finish(1, |_| false), Vec::<PathBuf>::new());
        assert_eq!(files.finish(2, |path| path.starts_with("/images")), Vec::<PathBuf>::new());
        assert_eq!(files.present().count(), 0, "its folder cannot be read");
        assert_eq!(files.see(path, &identity(1), 3, now), Seen::Known);
        files.finish(3, |_| false);
        assert_eq!(files.present().count(), 1);
        assert_eq!(files.finish(4, |_| false), [path]);
        assert!(files.get(path).is_none());
    }
}
