//! What is known of one server, and how an answer or a failure changes it. Pure: the caller passes times and random
//! numbers in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrts_shared::backoff::{Backoff, part};
use pixelrts_shared::left_out::{LeftOut, LeftOutEntry, NAMED};
use pixelrts_shared::server::{Health, HealthState};
use pixelrts_shared::text::Text;
use pixelrts_shared::{Problem, ProblemCode};
use url::Url;

use super::ServerCatalog;
use super::log_budget::LogBudget;
use crate::remote::servers::KeptHead;

/// A server that works is asked again after three quarters of this time to five quarters, so that not all clients of a
/// server ask it at the same moment.
pub(super) const REFRESH_EVERY: Duration = Duration::from_secs(60);
/// A server that failed is asked again within this time, then within twice as long, and so on up to `REFRESH_EVERY`.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The health of a server that stays as it is is written to the database this often only.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// A server may ask for a longer wait, up to this.
const MOST_ASKED: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The address that all of this is about.
    pub(super) url: Url,
    pub(super) catalog: Option<CatalogInUse>,
    pub(super) health: Health,
    /// How it was in the last run. People see it until the server has been asked; nothing is decided by it.
    pub(super) before: Option<Health>,
    /// What the database says of its health, and since when.
    kept: Option<(Said, Instant)>,
    /// It is being asked now.
    pub(super) asking: bool,
    /// When it is to be asked again; `None`: it was never asked.
    pub(super) due: Option<Instant>,
    backoff: Backoff,
    log: LogBudget<Said>,
}

/// The last good catalog.
#[derive(Clone, Debug)]
pub(super) struct CatalogInUse {
    pub(super) catalog: Arc<ServerCatalog>,
    /// Of its entries.
    pub(super) fingerprint: [u8; 32],
    pub(super) head: KeptHead,
    /// Of all entries of the server that can be used: how many there are, and the memory that they take.
    pub(super) offered: usize,
    pub(super) wanted: usize,
    /// The memory of those that are in `catalog`.
    pub(super) kept: usize,
}

impl CatalogInUse {
    /// No more than its first entries, which take no more than `memory`.
    pub(super) fn cut(&self, memory: usize) -> Self {
        let (catalog, kept) = self.catalog.first(memory);
        Self { catalog: Arc::new(catalog), kept, ..self.clone() }
    }

    /// With those that there is no memory for.
    pub(super) fn left_out(&self) -> LeftOut {
        let LeftOut { count, mut first } = self.head.left_out.clone();
        let kept = self.catalog.entries().len();
        let beyond = self.offered.saturating_sub(kept);
        if beyond > 0 {
            let reason = format!(
                "{beyond} entries of this server are not used: the catalogs of all servers take too much memory, so \
                 only the first {kept} are"
            );
            first.insert(0, LeftOutEntry { id: Text::default(), reason: reason.into() });
            first.truncate(NAMED);
        }
        LeftOut { count: count.saturating_add(beyond), first }
    }
}

/// What a line in the log is about. It has no words of the server, which could always be new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Works { left_out: usize },
    Failed(ProblemCode),
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    WorksAgain,
    LeftOut(LeftOut),
    Failed(Problem),
}

impl Known {
    pub(super) fn new(url: Url) -> Self {
        Self {
            url,
            catalog: None,
            health: Health::default(),
            before: None,
            kept: None,
            asking: false,
            due: None,
            backoff: Backoff::exponential(FIRST_RETRY, 2, REFRESH_EVERY),
            log: LogBudget::default(),
        }
    }

    /// It has failed, and its time to be asked again has not come.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.health.state == HealthState::Down && self.due.is_some_and(|due| due > now)
    }

    /// Its health for the database, when that says something else, or is old.
    pub(super) fn health_to_keep(&mut self, now: Instant) -> Option<Health> {
        let said = match &self.health.last_error {
            Some(problem) => Said::Failed(problem.code),
            None => Said::Works { left_out: self.health.left_out.count },
        };
        let is_kept = |(kept, at): (Said, Instant)| kept == said && now.saturating_duration_since(at) < KEPT_FOR;
        if self.kept.is_some_and(is_kept) {
            return None;
        }
        self.kept = Some((said, now));
        Some(self.health.clone())
    }

    /// Its health, as of now.
    pub(super) fn health(&self, now: Instant) -> Health {
        if let (HealthState::Unknown, Some(before)) = (self.health.state, &self.before) {
            return before.clone();
        }
        let due = self.due.filter(|_| self.health.state == HealthState::Down && !self.asking);
        let next_check_seconds = due.map(|due| due.saturating_duration_since(now).as_secs());
        Health { next_check_seconds, ..self.health.clone() }
    }

    /// No more than so much memory is left for its catalog. `before` was cut and is replaced, if it is still in use.
    pub(super) fn cut(&mut self, before: &Arc<ServerCatalog>, cut: CatalogInUse) {
        if self.catalog.as_ref().is_some_and(|known| Arc::ptr_eq(&known.catalog, before)) {
            self.health.left_out = cut.left_out();
            self.catalog = Some(cut);
        }
    }

    /// It has answered. Returns what to log, and how much was not logged before.
    pub(super) fn works(
        &mut self,
        catalog: Option<CatalogInUse>,
        (latency, checked_at): (Duration, String),
        now: Instant,
        random: u32,
    ) -> Option<(Line, u32)> {
        self.catalog = catalog.or(self.catalog.take());
        let left_out = self.catalog.as_ref().map(CatalogInUse::left_out).unwrap_or_default();
        let was_down = self.health.state == HealthState::Down;
        let (said, count) = (Said::Works { left_out: left_out.count }, left_out.count);
        let latency_ms = Some(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        self.health = Health {
            state: HealthState::Up,
            latency_ms,
            checked_at: Some(checked_at),
            left_out: left_out.clone(),
            ..Health::default()
        };
        self.asking = false;
        self.backoff.reset();
        self.due = Some(now + REFRESH_EVERY * 3 / 4 + part(REFRESH_EVERY / 2, random));
        match (count, was_down) {
            // A server that works from the start is no news.
            (0, false) => {
                self.log.known(said);
                None
            }
            (0, true) => Some((Line::WorksAgain, self.log.say(said, now)?)),
            (_, _) => Some((Line::LeftOut(left_out), self.log.say(said, now)?)),
        }
    }

    /// It has failed. `asked` is how long it asks to wait. Its catalog stays.
    pub(super) fn failed(
        &mut self,
        problem: Problem,
        checked_at: String,
        asked: Option<Duration>,
        now: Instant,
        random: u32,
    ) -> Option<(Line, u32)> {
        let said = Said::Failed(problem.code);
        self.health = Health {
            state: HealthState::Down,
            checked_at: Some(checked_at),
            last_error: Some(problem.clone()),
            left_out: std::mem::take(&mut self.health.left_out),
            ..Health::default()
        };
        self.asking = false;
        let wait = self.backoff.failed(random).unwrap_or(REFRESH_EVERY);
        self.due = Some(now + wait.max(asked.unwrap_or_default().min(MOST_ASKED)));
        Some((Line::Failed(problem), self.log.say(said, now)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known::new("http://127.0.0.1:9/".parse().unwrap())
    }

    fn problem(code: ProblemCode) -> Problem {
        Problem::new(code, "It failed.", "On purpose.", "None.")
    }

    fn catalog(left_out: usize) -> CatalogInUse {
        let head = KeptHead { left_out: LeftOut { count: left_out, first: Vec::new() }, ..KeptHead::default() };
        CatalogInUse { catalog: Arc::default(), fingerprint: [0; 32], head, offered: 0, wanted: 0, kept: 0 }
    }

    #[test]
    fn a_server_that_failed_is_asked_again_sooner_than_one_that_works() {
        let (mut known, now) = (known(), Instant::now());
        let fail = |known: &mut Known, random| {
            known.failed(problem(ProblemCode::NetworkRefused), String::new(), None, now, random);
            known.due.unwrap() - now
        };
        assert!(fail(&mut known, u32::MAX) <= FIRST_RETRY);
        let waits: Vec<_> = (0..100).map(|_| fail(&mut known, u32::MAX)).collect();
        assert!(waits.is_sorted() && waits.iter().all(|wait| *wait <= REFRESH_EVERY), "{waits:?}");
        assert_eq!(fail(&mut known, 0), Duration::ZERO, "the jitter is full");
        for (random, wait) in [(0, 45), (1 << 31, 60)] {
            known.works(None, (Duration::ZERO, String::new()), now, random);
            assert_eq!(known.due.unwrap() - now, Duration::from_secs(wait));
        }
        assert!(fail(&mut known, u32::MAX) <= FIRST_RETRY, "the next failure counts as the first one");
    }

    #[test]
    fn a_wait_that_a_server_asks_for_is_kept_up_to_five_minutes() {
        let (mut known, now) = (known(), Instant::now());
        for (asked, expected) in [(4, 4), (3600, 300)] {
            let asked = Some(Duration::from_secs(asked));
            known.failed(problem(ProblemCode::RemoteFailed), String::new(), asked, now, 0);
            assert_eq!(known.health(now).next_check_seconds, Some(expected));
            assert!(known.rests(now) && !known.rests(now + Duration::from_secs(expected)));
        }
        known.works(None, (Duration::ZERO, String::new()), now, 0);
        assert_eq!(known.health(now).next_check_seconds, None);
        assert!(!known.rests(now));
    }

    #[test]
    fn the_catalog_and_what_was_left_out_of_it_survive_failures() {
        let (mut known, now) = (known(), Instant::now());
        known.works(Some(catalog(3)), (Duration::ZERO, String::new()), now, 0);
        known.failed(problem(ProblemCode::NetworkRefused), String::new(), None, now, 0);
        assert_eq!((known.health.left_out.count, known.catalog.is_some()), (3, true));
        known.works(None, (Duration::ZERO, String::new()), now, 0);
        assert_eq!(known.health.left_out.count, 3, "nothing changed there");
        known.works(Some(catalog(0)), (Duration::ZERO, String::new()), now, 0);
        assert_eq!(known.health.left_out.count, 0);
    }

    #[test]
    fn the_health_is_kept_when_it_changes_and_now_and_then() {
        let (mut known, now) = (known(), Instant::now());
        let mut works = |after: u64, fails: bool| {
            let at = now + Duration::from_secs(after);
            if fails {
                known.failed(problem(ProblemCode::NetworkRefused), String::new(), None, at, 0);
            } else {
                known.works(None, (Duration::ZERO, String::new()), at, 0);
            }
            known.health_to_keep(at).map(|health| health.state)
        };
        let (up, down) = (Some(HealthState::Up), Some(HealthState::Down));
        let kept = [(0, false), (60, false), (120, true), (121, true), (180, false), (600, false), (790, false)];
        assert_eq!(kept.map(|(after, fails)| works(after, fails)), [up, None, down, None, up, None, up]);
    }

    #[test]
    fn the_last_run_is_shown_until_the_server_has_been_asked() {
        let (mut known, now) = (known(), Instant::now());
        known.before = Some(Health { state: HealthState::Up, latency_ms: Some(7), ..Health::default() });
        assert_eq!(known.health(now).latency_ms, Some(7));
        assert_eq!(known.health.state, HealthState::Unknown, "nothing is decided by it");
        known.failed(problem(ProblemCode::NetworkRefused), String::new(), None, now, 0);
        assert_eq!(known.health(now).state, HealthState::Down);
    }

    #[test]
    fn the_log_says_what_changed_once() {
        let (mut known, now) = (known(), Instant::now());
        let works = |known: &mut Known, left_out| {
            known.works(Some(catalog(left_out)), (Duration::ZERO, String::new()), now, 0).map(|(line, _)| line)
        };
        let refused = problem(ProblemCode::NetworkRefused);
        let fail = |known: &mut Known| known.failed(refused.clone(), String::new(), None, now, 0).map(|(line, _)| line);
        assert_eq!(works(&mut known, 0), None, "a server that works is no news");
        assert_eq!(fail(&mut known), Some(Line::Failed(refused.clone())));
        assert_eq!(fail(&mut known), None);
        assert_eq!(works(&mut known, 0), Some(Line::WorksAgain));
        assert!(matches!(works(&mut known, 7), Some(Line::LeftOut(_))));
        assert_eq!(works(&mut known, 7), None);
        let lines = (0..1000).filter(|n| works(&mut known, 1 + n).is_some()).count();
        assert!(lines < 5, "{lines}");
    }
}
