//! Which server is asked next, and what follows when it fails. Pure.
//!
//! Every source waits for itself: after a failure that may pass, its next try comes later and later, and meanwhile the
//! others are tried. A source that cannot have the image, or has wrong bytes, is not asked again.
//!
//! When bytes of several sources, or of several answers, turn out to be wrong together, nobody knows whose fault it was.
//! From then on bytes of different sources are not mixed, and each source gets one clean try: who then gives wrong bytes
//! alone is not asked again. So wrong bytes cost one transfer per source at most, and the one with whom it began.

use std::time::{Duration, Instant};

use pixelrts_shared::backoff::Backoff;

use crate::remote::error::Kind;
use crate::remote::transfer::{Failure, LEAST_PROGRESS, Mirror};

/// Waits between the tries of one source; progress begins them again. The average is half of each.
#[must_use]
pub fn backoff() -> Backoff {
    Backoff::exponential(Duration::from_secs(2), 2, Duration::from_secs(60))
}

/// A server that asks to wait longer is asked again after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);
/// A source that brought as much is asked for the rest at once: its connection broke.
const PLENTY: u64 = 1 << 20;
/// So often in a row a source may contradict its own catalog.
const CONTRADICTIONS: u32 = 5;
/// While sources are not mixed, the one whose bytes are here is left after so many tries in a row without progress.
const CLEAN_TRIES: u32 = 3;

#[derive(Debug)]
pub(super) struct Sources {
    all: Vec<Source>,
    backoff: Backoff,
    /// Bytes of different sources are not mixed.
    clean: bool,
    writers: Writers,
}

#[derive(Debug)]
struct Source {
    id: usize,
    mirror: Mirror,
    backoff: Backoff,
    ready_at: Option<Instant>,
    /// Tries in a row without progress.
    fruitless: u32,
    contradictions: u32,
    slow: bool,
    /// It has a shorter file than what is here.
    doubts: bool,
}

/// Whose bytes are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    Nobody,
    One { id: usize, answers: u32 },
    Several,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Try(usize),
    /// All sources wait; the first one until then.
    WaitUntil(Instant),
    /// None is left.
    Nobody,
}

/// What follows a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    GoOn,
    /// All bytes that are here go first.
    Discard,
    /// The disk or the cache is full; there may be room after this time.
    WaitForRoom(Duration),
    /// The disk is at fault, and another server would not help.
    GiveUp,
}

/// A try that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    pub(super) id: usize,
    /// How many bytes it brought.
    pub(super) brought: u64,
    /// In how many answers.
    pub(super) answers: u32,
    pub(super) at: Instant,
}

impl Sources {
    /// `from_before`: bytes are here that nobody remembers.
    pub(super) fn new(mirrors: Vec<Mirror>, backoff: &Backoff, from_before: bool) -> Self {
        let source = |(id, mirror)| Source {
            id,
            mirror,
            backoff: backoff.clone(),
            ready_at: None,
            fruitless: 0,
            contradictions: 0,
            slow: false,
            doubts: false,
        };
        let all = mirrors.into_iter().enumerate().map(source).collect();
        let writers = if from_before { Writers::Several } else { Writers::Nobody };
        Self { all, backoff: backoff.clone(), clean: false, writers }
    }

    pub(super) fn mirror(&self, id: usize) -> Option<&Mirror> {
        self.all.iter().find(|source| source.id == id).map(|source| &source.mirror)
    }

    /// Another source could be asked instead of this one, and is not known to be slow.
    pub(super) fn has_other_than(&self, id: usize) -> bool {
        self.all.iter().any(|source| source.id != id && !source.slow)
    }

    /// The best source that is ready: in the given order, but first those that are neither slow nor in doubt.
    pub(super) fn next(&self, now: Instant) -> Next {
        let owner = match self.writers {
            Writers::One { id, .. } if self.clean => self.all.iter().find(|source| source.id == id),
            _ => None,
        };
        let stays = owner.filter(|owner| owner.fruitless < CLEAN_TRIES);
        let ready = |source: &&Source| source.ready_at.is_none_or(|at| at <= now);
        let candidates = || self.all.iter().filter(|source| stays.is_none_or(|owner| owner.id == source.id));
        match candidates().filter(ready).min_by_key(|source| (source.doubts, source.slow)) {
            Some(source) => Next::Try(source.id),
            None => candidates().filter_map(|source| source.ready_at).min().map_or(Next::Nobody, Next::WaitUntil),
        }
    }

    /// The bytes that are here must go before this source is tried.
    pub(super) fn must_be_clean_for(&mut self, id: usize) -> bool {
        let mixes = self.clean && matches!(self.writers, Writers::Several | Writers::One { .. }) && !self.is_owner(id);
        if mixes {
            self.writers = Writers::Nobody;
        }
        mixes
    }

    fn is_owner(&self, id: usize) -> bool {
        matches!(self.writers, Writers::One { id: owner, .. } if owner == id)
    }

    /// A try has ended, however it did.
    fn note_bytes(&mut self, tried: Tried) {
        if tried.brought == 0 {
            return;
        }
        self.writers = match self.writers {
            Writers::Nobody => Writers::One { id: tried.id, answers: tried.answers },
            Writers::One { id, answers } if id == tried.id => Writers::One { id, answers: answers + tried.answers },
            Writers::One { .. } | Writers::Several => Writers::Several,
        };
    }

    /// The bytes are complete, and are not what was promised. They are gone.
    pub(super) fn mismatched(&mut self, tried: Tried) {
        self.note_bytes(tried);
        match std::mem::replace(&mut self.writers, Writers::Nobody) {
            Writers::One { id, answers } if self.clean || answers <= 1 => self.drop(id),
            Writers::Nobody | Writers::One { .. } | Writers::Several => self.clean = true,
        }
        self.all.iter_mut().for_each(|source| source.doubts = false);
    }

    /// The bytes are no image, and are gone.
    pub(super) fn refused(&mut self, tried: Tried) {
        self.writers = Writers::Nobody;
        self.drop(tried.id);
    }

    /// Decides what follows. `jitter` is a random number for the wait.
    pub(super) fn failed(&mut self, failure: &Failure, tried: Tried, jitter: u32) -> After {
        self.note_bytes(tried);
        match failure {
            Failure::Shorter(_) => self.shorter(tried, jitter),
            Failure::NoImage(_) => {
                self.refused(tried);
                After::Discard
            }
            Failure::Error(error) => match &error.kind {
                Kind::Cache(error) => error.passes_after().map_or(After::GiveUp, After::WaitForRoom),
                Kind::Length { .. } => {
                    if let Some(source) = self.source(tried.id) {
                        source.contradictions += 1;
                        if source.contradictions >= CONTRADICTIONS {
                            self.drop(tried.id);
                        } else {
                            self.later(None, tried, jitter);
                        }
                    }
                    After::GoOn
                }
                Kind::TooSlow { .. } => {
                    if let Some(source) = self.source(tried.id) {
                        source.slow = true;
                    }
                    After::GoOn
                }
                _ if error.is_retryable() => {
                    self.later(error.wait(), tried, jitter);
                    After::GoOn
                }
                _ => {
                    self.drop(tried.id);
                    After::GoOn
                }
            },
        }
    }

    /// When all that are left say so, what is here is thrown away, and each gets a clean try.
    fn shorter(&mut self, tried: Tried, jitter: u32) -> After {
        if let Some(source) = self.source(tried.id) {
            source.doubts = true;
        }
        if self.all.iter().all(|source| source.doubts) {
            let alone = self.clean && self.is_owner(tried.id);
            (self.clean, self.writers) = (true, Writers::Nobody);
            self.all.iter_mut().for_each(|source| source.doubts = false);
            if alone {
                self.drop(tried.id);
            }
            return After::Discard;
        }
        self.later(None, tried, jitter);
        After::GoOn
    }

    /// The next try of a source comes later, unless its connection broke after it had brought much.
    fn later(&mut self, asked: Option<Duration>, tried: Tried, jitter: u32) {
        let fresh = self.backoff.clone();
        let Some(source) = self.source(tried.id) else { return };
        if tried.brought >= LEAST_PROGRESS {
            (source.backoff, source.fruitless, source.contradictions) = (fresh, 0, 0);
        } else {
            source.fruitless += 1;
        }
        let wait = match asked {
            Some(asked) => Some(asked.min(LONGEST_WAIT)),
            None if tried.brought >= PLENTY => Some(Duration::ZERO),
            None => source.backoff.failed(jitter),
        };
        match wait {
            Some(wait) => source.ready_at = Some(tried.at + wait),
            // The number of tries is limited in tests only.
            None => self.drop(tried.id),
        }
    }

    fn source(&mut self, id: usize) -> Option<&mut Source> {
        self.all.iter_mut().find(|source| source.id == id)
    }

    fn drop(&mut self, id: usize) {
        self.all.retain(|source| source.id != id);
    }
}

#[cfg(test)]
mod tests;
