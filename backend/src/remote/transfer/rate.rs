//! Whether a server is too slow for a download that another one could go on with. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Timing;

/// The bytes of the last while.
#[derive(Debug)]
pub(super) struct Rate {
    timing: Timing,
    /// How many bytes had come at some moments, the oldest first.
    moments: VecDeque<(Instant, u64)>,
    total: u64,
}

impl Rate {
    pub(super) fn new(timing: Timing, now: Instant) -> Self {
        Self { timing, moments: VecDeque::from([(now, 0)]), total: 0 }
    }

    /// `more` bytes have come. The rate in bytes per second, when it is too low.
    pub(super) fn record(&mut self, now: Instant, more: u64) -> Option<u64> {
        self.total += more;
        let over = self.timing.slow_over;
        // The moments are a tenth of the time apart, so that a fast server needs no long list.
        if self.moments.back().is_none_or(|(last, _)| now.duration_since(*last) >= over / 10) {
            self.moments.push_back((now, self.total));
        }
        while self.moments.get(1).is_some_and(|(next, _)| now.duration_since(*next) >= over) {
            self.moments.pop_front();
        }
        let (since, before) = *self.moments.front()?;
        let time = now.duration_since(since);
        if time < over {
            return None;
        }
        let rate = u64::try_from(u128::from(self.total - before) * 1000 / time.as_millis().max(1)).unwrap_or(u64::MAX);
        (rate < self.timing.slow_below).then_some(rate)
    }
}

/// How long a rate is measured.
pub(super) fn measured_over(timing: &Timing) -> Duration {
    timing.slow_over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(seconds: impl Iterator<Item = u64>, bytes: impl Fn(u64) -> u64) -> Option<(u64, u64)> {
        let start = Instant::now();
        let mut rate = Rate::new(Timing::default(), start);
        let mut at = 0;
        seconds.into_iter().find_map(|second| {
            at = second;
            rate.record(start + Duration::from_secs(second), bytes(second)).map(|rate| (at, rate))
        })
    }

    #[test]
    fn a_server_is_too_slow_after_half_a_minute_below_the_least_rate() {
        assert_eq!(found(1..1000, |_| 100), Some((30, 100)));
        assert_eq!(found(1..1000, |_| 10_000), None);
        assert_eq!(found((1..1000).step_by(14), |_| 14), Some((43, 1)));
        assert!(
            found(1..1000, |second| if second < 100 { 1 << 20 } else { 5 }).unwrap().0 >= 129,
            "it was fast before"
        );
    }
}
