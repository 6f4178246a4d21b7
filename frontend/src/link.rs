//! The connection to the backend: whether it answers, and how long the page waits before it tries again.

use std::time::Duration;

use pixelrts_shared::Problem;
use pixelrts_shared::backoff::Backoff;

#[cfg(target_arch = "wasm32")]
pub(crate) mod retry;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// For connections that must come back: they are tried without a limit.
#[must_use]
pub fn reconnecting() -> Backoff {
    Backoff::exponential(FIRST_WAIT, 2, LONGEST_WAIT)
}

/// For a reply that is not complete yet: it is requested again after 0.5, 1, 2, 4, 8 and 8 s, then no more. Nothing has
/// failed, so there is no need for jitter.
#[must_use]
pub fn still_asking() -> Backoff {
    Backoff::exponential(FIRST_WAIT, 2, LONGEST_WAIT).without_jitter().retries(6)
}

/// What is known of the connection. Methods that change it return true when something changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connection {
    /// Why the backend does not answer.
    problem: Option<Problem>,
    /// How often it came back. What failed because it was away is worth another try then.
    returns: u32,
    /// The version of the backend that answered last.
    version: Option<String>,
}

impl Connection {
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    #[must_use]
    pub fn returns(&self) -> u32 {
        self.returns
    }

    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// A backend of this version answered.
    pub fn answered(&mut self, version: String) -> bool {
        let came_back = self.problem.take().is_some();
        self.returns += u32::from(came_back);
        let other = self.version.as_ref() != Some(&version);
        self.version = Some(version);
        came_back || other
    }

    /// The backend does not answer. The first reason is kept, because later ones only repeat it.
    pub fn lost(&mut self, problem: Problem) -> bool {
        let new = self.problem.is_none();
        if new {
            self.problem = Some(problem);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::ProblemCode;

    fn refused(what: &str) -> Problem {
        Problem::new(ProblemCode::NetworkRefused, what, "why", "fix")
    }

    #[test]
    fn an_incomplete_answer_is_asked_for_for_half_a_minute() {
        let mut waits = still_asking();
        let seconds: Vec<_> = std::iter::from_fn(|| waits.failed(0)).map(|wait| wait.as_secs_f32()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]);
    }

    #[test]
    fn a_connection_is_tried_again_without_an_end_and_never_rarer_than_every_8_seconds() {
        let mut waits = reconnecting();
        let longest = (0..100).map(|_| waits.failed(u32::MAX).expect("there is no end")).max();
        assert!(longest.is_some_and(|longest| longest <= Duration::from_secs(8)), "{longest:?}");
    }

    #[test]
    fn the_first_reason_stays_until_the_backend_is_back() {
        let mut connection = Connection::default();
        assert!(connection.answered("1".to_owned()) && !connection.answered("1".to_owned()));
        assert!(connection.lost(refused("first")) && !connection.lost(refused("second")));
        assert_eq!(connection.problem().map(|problem| &*problem.what), Some("first"));
        assert!(connection.answered("1".to_owned()));
        assert_eq!((connection.problem(), connection.returns(), connection.version()), (None, 1, Some("1")));
    }

    #[test]
    fn a_backend_that_was_never_lost_has_not_come_back() {
        let mut connection = Connection::default();
        assert!(connection.answered("1".to_owned()) && connection.answered("2".to_owned()));
        assert_eq!(connection.returns(), 0);
    }
}
