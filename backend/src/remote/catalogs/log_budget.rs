//! How often a server may make a line in the log. Pure: the caller passes the time in.
//!
//! A line is written when what there is to say changed. As a server decides when that is, it has a few lines, and gets
//! back one in ten minutes. What was not written is counted, and the next line says how much it was.

use std::time::{Duration, Instant};

/// The lines that a server may write in a row.
const LINES: u32 = 5;
const LINE_EVERY: Duration = Duration::from_secs(600);

#[derive(Clone, Debug)]
pub(super) struct LogBudget<T> {
    last: Option<T>,
    lines: u32,
    /// When a line was last given back.
    since: Option<Instant>,
    unsaid: u32,
}

impl<T> Default for LogBudget<T> {
    fn default() -> Self {
        Self { last: None, lines: LINES, since: None, unsaid: 0 }
    }
}

impl<T: PartialEq> LogBudget<T> {
    /// This is the state, and it is not worth a line.
    pub(super) fn known(&mut self, state: T) {
        self.last = Some(state);
    }

    /// Whether to write a line about `state`, and how many changes were not written since the last one.
    pub(super) fn say(&mut self, state: T, now: Instant) -> Option<u32> {
        if self.last.as_ref() == Some(&state) {
            return None;
        }
        self.last = Some(state);
        let since = *self.since.get_or_insert(now);
        let back = now.saturating_duration_since(since).as_secs() / LINE_EVERY.as_secs();
        if back > 0 {
            self.lines = self.lines.saturating_add(u32::try_from(back).unwrap_or(LINES)).min(LINES);
            self.since = Some(now);
        }
        match self.lines.checked_sub(1) {
            Some(rest) => {
                self.lines = rest;
                Some(std::mem::take(&mut self.unsaid))
            }
            None => {
                self.unsaid += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_the_same_is_said_once() {
        let (mut budget, now) = (LogBudget::default(), Instant::now());
        assert_eq!(budget.say("down", now), Some(0));
        assert_eq!(budget.say("down", now + LINE_EVERY * 9), None);
        assert_eq!(budget.say("up", now + LINE_EVERY * 9), Some(0));
    }

    /// A server that answers differently each second for a day.
    #[test]
    fn a_server_that_changes_all_the_time_writes_few_lines() {
        let (mut budget, now) = (LogBudget::default(), Instant::now());
        let said: Vec<_> =
            (0..86_400).filter_map(|second| budget.say(second, now + Duration::from_secs(second))).collect();
        assert!(said.len() <= 5 + 144, "{}", said.len());
        assert_eq!(said[..5], [0; 5]);
        assert_eq!(said[5], 595, "the next line says what was not said");
    }
}
