//! When something that ended is restarted, and when it is given up. Pure: the caller has the clock.
//!
//! A success resets only the delay. Ends still count within the window, so that a program which works for a minute and
//! fails again and again is given up too.

use std::time::{Duration, Instant};

use pixelrts_shared::backoff::Backoff;

/// The policy for one program, and what has happened to it.
#[derive(Clone, Debug)]
pub struct Restarts {
    backoff: Backoff,
    most: Option<u32>,
    window: Duration,
    /// Ends that were followed by a restart, within the window.
    recent: Vec<Instant>,
}

impl Restarts {
    /// `backoff` says how long to wait before each restart. `most` ends within `window` are followed by a restart, the
    /// next one is not; `None`: no limit.
    #[must_use]
    pub fn new(backoff: Backoff, most: Option<u32>, window: Duration) -> Self {
        Self { backoff, most, window, recent: Vec::new() }
    }

    /// It works: the next delay is the first one again.
    pub fn succeeded(&mut self) {
        self.backoff.reset();
    }

    /// It ended: how long to wait, counted from `now`, before it is started again; `None`: it is given up. `random` is
    /// the number for the jitter of `backoff`, if it has any.
    pub fn ended(&mut self, now: Instant, random: u32) -> Option<Duration> {
        if let Some(most) = self.most {
            self.recent.retain(|then| now.saturating_duration_since(*then) < self.window);
            if self.recent.len() >= most as usize {
                return None;
            }
            self.recent.push(now);
        }
        self.backoff.failed(random)
    }

    /// Restarts within the window, the one that was just allowed included.
    pub fn recent(&self) -> usize {
        self.recent.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn restarts(most: Option<u32>, window: u64) -> Restarts {
        Restarts::new(Backoff::steps([1, 2, 4].map(seconds).to_vec()), most, seconds(window))
    }

    #[test]
    fn one_two_four_then_the_fourth_end_is_the_last() {
        let (mut restarts, now) = (restarts(Some(3), 300), Instant::now());
        let delays: Vec<_> = (0..4).map(|_| restarts.ended(now, 0)).collect();
        assert_eq!(delays, [Some(seconds(1)), Some(seconds(2)), Some(seconds(4)), None]);
    }

    #[test]
    fn a_success_resets_the_delay_and_nothing_else() {
        let (mut restarts, now) = (restarts(Some(3), 300), Instant::now());
        for at in 0..3 {
            restarts.succeeded();
            assert_eq!(restarts.ended(now + seconds(at), 0), Some(seconds(1)));
        }
        restarts.succeeded();
        assert_eq!(restarts.ended(now + seconds(299), 0), None);
        assert_eq!(restarts.ended(now + seconds(300), 0), Some(seconds(1)), "the first end has left the window");
    }

    #[test]
    fn without_a_limit_the_last_delay_repeats_for_ever() {
        let mut restarts = restarts(None, 300);
        let now = Instant::now();
        let delays: Vec<_> = (0..1000).filter_map(|_| restarts.ended(now, 0)).collect();
        assert_eq!((delays.len(), delays.last()), (1000, Some(&seconds(4))));
        assert_eq!(restarts.recent(), 0, "what is not counted is not kept");
    }

    proptest! {
        /// Against the plain rule: an end is the last one exactly when `most` allowed ones lie within the window
        /// before it; the delay follows the number of ends since the last success.
        #[test]
        fn it_is_the_rule(
            most in 0_u32..5,
            window in 1_u64..400,
            steps in prop::collection::vec((0_u64..200, any::<bool>()), 0..40),
        ) {
            let (mut restarts, start) = (restarts(Some(most), window), Instant::now());
            let (mut at, mut allowed, mut in_a_row) = (0, Vec::new(), 0_usize);
            for (later, success) in steps {
                at += later;
                if success {
                    restarts.succeeded();
                    in_a_row = 0;
                }
                let near = allowed.iter().filter(|then| at - **then < window).count();
                let expected = (near < most as usize).then(|| seconds([1, 2, 4][in_a_row.min(2)]));
                prop_assert_eq!(restarts.ended(start + seconds(at), 0), expected);
                if expected.is_some() {
                    allowed.push(at);
                    in_a_row += 1;
                }
            }
        }
    }
}
