//! The speed of a download over the last seconds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Long enough for a steady number, short enough to follow a change of the line.
const WINDOW: Duration = Duration::from_secs(5);
/// A speed that is measured over a shorter time means nothing.
const SHORTEST: Duration = Duration::from_millis(500);

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
        let ((start, from), (end, to)) = (self.0.front()?, self.0.back()?);
        let time = end.duration_since(*start);
        if time < SHORTEST {
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
}
