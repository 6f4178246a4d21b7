//! The speed of a download over the last seconds, and what it says about the rest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Long enough for a steady number, short enough to follow a change of the line.
const WINDOW: Duration = Duration::from_secs(5);
/// A speed that is measured over a shorter time means nothing.
const SHORTEST: Duration = Duration::from_millis(500);

/// An estimate from a shorter time jumps from one number to another.
const STEADY: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct Meter(VecDeque<(Instant, u64)>);

impl Meter {
    /// `received` is the number of bytes that have arrived. When it shrinks, the download was restarted, and so is the
    /// measurement.
    pub(super) fn record(&mut self, now: Instant, received: u64) {
        if self.0.back().is_some_and(|(_, before)| *before > received) {
            self.0.clear();
        }
        self.0.push_back((now, received));
        while self.0.len() > 2 && now.duration_since(self.0[1].0) >= WINDOW {
            self.0.pop_front();
        }
    }

    /// The speed in bytes per second, once it is known.
    pub(super) fn speed(&self) -> Option<u64> {
        self.speed_over(SHORTEST)
    }

    /// How many seconds `bytes` more will take, once that can be estimated. Nothing is known while nothing comes.
    pub(super) fn time_for(&self, bytes: u64) -> Option<u64> {
        bytes.checked_div(self.speed_over(STEADY)?)
    }

    /// The speed, when it was measured for so long at least.
    fn speed_over(&self, least: Duration) -> Option<u64> {
        let ((start, from), (end, to)) = (self.0.front()?, self.0.back()?);
        let time = end.duration_since(*start);
        if time < least {
            return None;
        }
        u64::try_from(u128::from(to - from) * 1000 / time.as_millis()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let mut record = |second: u64, received| {
            meter.record(start + Duration::from_secs(second), received);
            meter.speed()
        };
        assert_eq!(record(0, 1000), None, "one moment has no speed");
        assert_eq!(record(1, 3000), Some(2000));
        assert_eq!(record(2, 5000), Some(2000));
        assert_eq!((3..20).map(|second| record(second, 5000 + second * 10)).last(), Some(Some(10)));
        assert_eq!(record(20, 0), None, "a restart is measured anew");
    }

    #[test]
    fn the_rest_is_estimated_after_some_seconds_and_never_while_nothing_comes() {
        let start = Instant::now();
        let mut meter = Meter::default();
        let mut left = |seconds: u64, received| {
            meter.record(start + Duration::from_secs(seconds), received);
            meter.time_for(1_000_000)
        };
        assert_eq!([left(0, 0), left(1, 1000), left(2, 2000)], [None; 3]);
        assert_eq!(left(3, 3000), Some(1000));
        assert_eq!(left(4, 4000), Some(1000));
        assert_eq!(left(20, 4000), None, "nothing has come for long");
    }
}
