//! How long a command goes on while no server sends anything.
//!
//! On a terminal somebody sees what is waited for and can end it. A script gets an answer: the reason, once every server
//! has failed for a while.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::Args;
use pixelrts_shared::Problem;
use pixelrts_shared::download::Download;

const FOR_SCRIPTS: Duration = Duration::from_secs(2 * 60);

#[derive(Clone, Copy, Debug, Default, Args)]
pub(in crate::cli) struct Wait {
    /// How long to go on while no server sends anything, as in 30s or 1h [default: without end on a terminal, else 2m]
    #[arg(long, value_name = "TIME")]
    wait: Option<pixelrts_shared::Span>,
}

/// Watches a download for one command.
#[derive(Debug)]
pub(super) struct Patience {
    /// `None`: without end.
    limit: Option<Duration>,
    received: u64,
    /// Since when every server has failed.
    failing_since: Option<Instant>,
}

impl Patience {
    /// `watched`: somebody sees the progress, and can end the command.
    pub(super) fn new(wait: Wait, watched: bool) -> Self {
        let limit = match wait.wait {
            Some(wait) => Some(wait.into()),
            None => (!watched).then_some(FOR_SCRIPTS),
        };
        Self { limit, received: 0, failing_since: None }
    }

    /// Whether somebody sees what is printed on standard error.
    pub(super) fn is_watched(is_json: bool) -> bool {
        !is_json && std::io::stderr().is_terminal()
    }

    /// The reason to give up, when the command has waited long enough.
    pub(super) fn is_over(&mut self, state: &Download, now: Instant) -> Option<Problem> {
        let failing = state.next_try_seconds.is_some().then_some(state.problem.as_ref()).flatten();
        if state.received > self.received {
            self.failing_since = None;
        }
        self.received = state.received;
        let problem = failing?;
        let since = *self.failing_since.get_or_insert(now);
        (now.duration_since(since) >= self.limit?).then(|| problem.clone())
    }
}

/// What is waited for, in one line for people.
pub(super) fn waiting(state: &Download) -> Option<String> {
    let reason = state.problem.as_ref().map(|problem| problem.what.clone());
    let waits_for = state.waits_for.clone()?;
    let said = match reason {
        Some(reason) if reason != waits_for => format!("{reason} {waits_for}"),
        _ => waits_for,
    };
    Some(match state.next_try_seconds {
        Some(seconds) => format!("{said} The next try is in {seconds} s."),
        None => said,
    })
}

#[cfg(test)]
mod tests {
    use pixelrts_shared::ProblemCode;

    use super::*;

    fn state(received: u64, next_try_seconds: Option<u64>) -> Download {
        let key = "0".repeat(64);
        let json =
            format!(r#"{{"id":"0000000000000000","key":"{key}","stage":"queued","received":{received},"attempt":2}}"#);
        let problem = Problem::new(ProblemCode::NetworkRefused, "office refused the connection.", "why", "fix");
        let waits_for = next_try_seconds.map(|_| "No server sends the image now.".to_owned());
        let problem = next_try_seconds.map(|_| problem);
        Download { next_try_seconds, waits_for, problem, ..serde_json::from_str(&json).unwrap() }
    }

    #[test]
    fn a_script_ends_when_no_server_has_sent_anything_for_so_long_and_a_person_decides_alone() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut script = Patience::new(Wait::default(), false);
        assert_eq!(script.is_over(&state(0, Some(3)), at(0)), None);
        assert_eq!(script.is_over(&state(0, None), at(60)), None, "it tries again");
        assert_eq!(script.is_over(&state(0, Some(3)), at(119)), None);
        assert_eq!(script.is_over(&state(5, Some(3)), at(120)), None, "bytes came");
        assert_eq!(script.is_over(&state(5, Some(3)), at(239)), None);
        let problem = script.is_over(&state(5, Some(3)), at(240)).unwrap();
        assert_eq!(problem.code, ProblemCode::NetworkRefused);
        let mut person = Patience::new(Wait::default(), true);
        assert_eq!((0..9).find_map(|hour| person.is_over(&state(0, Some(3)), at(3600 * hour))), None);
        let mut asked = Patience::new(Wait { wait: Some("0s".parse().unwrap()) }, true);
        assert!(asked.is_over(&state(0, None), at(0)).is_none());
        assert!(asked.is_over(&state(0, Some(3)), at(0)).is_some(), "at once, but not before every server has failed");
    }

    #[test]
    fn what_is_waited_for_is_one_line() {
        let line = waiting(&state(0, Some(3))).unwrap();
        assert_eq!(line, "office refused the connection. No server sends the image now. The next try is in 3 s.");
        assert_eq!(waiting(&state(0, None)), None);
    }
}
