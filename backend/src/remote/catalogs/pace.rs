//! How fast a catalog must arrive. Pure: the caller passes the time in.
//!
//! Any server may take one window of time. After that each window must have brought a minimum, so that neither a server
//! that sends a byte now and then nor one that sends without an end holds a reader for long.

use std::time::Duration;

use tokio::time::Instant;

/// How long a server may take without showing how fast it is.
pub(super) const WINDOW: Duration = Duration::from_secs(15);
/// So many bytes a second must come.
const LEAST_PER_SECOND: u128 = 10_000;
/// The windows for a whole catalog.
const WINDOWS: u32 = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    length: Duration,
    window: Instant,
    end: Instant,
    bytes: usize,
    /// Bytes of the window that ended last.
    before: usize,
}

impl Pace {
    pub(super) fn new(now: Instant, length: Duration) -> Self {
        Self { length, window: now + length, end: now + length * WINDOWS, bytes: 0, before: 0 }
    }

    /// The time until which to wait for the next piece.
    pub(super) fn until(&self) -> Instant {
        self.window.min(self.end)
    }

    pub(super) fn arrived(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// The time of `until` has come: whether the server may go on.
    pub(super) fn goes_on(&mut self) -> bool {
        let enough = self.bytes as u128 * 1000 >= LEAST_PER_SECOND * self.length.as_millis();
        let goes_on = enough && self.window < self.end;
        self.window += self.length;
        self.before = std::mem::take(&mut self.bytes);
        goes_on
    }

    /// What the server has brought in the window that ended last, in bytes a second.
    pub(super) fn rate(&self) -> (u64, Duration) {
        let rate = self.before as u128 * 1000 / self.length.as_millis().max(1);
        (u64::try_from(rate).unwrap_or(u64::MAX), self.length)
    }

    /// The reader did not read for this long, which is not the server's fault.
    pub(super) fn paused(&mut self, time: Duration) {
        self.window += time;
        self.end += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_server_has_one_window_and_a_fast_one_four() {
        let now = Instant::now();
        let mut drip = Pace::new(now, WINDOW);
        drip.arrived(15);
        assert_eq!(drip.until(), now + WINDOW);
        assert!(!drip.goes_on());
        assert_eq!(drip.rate(), (1, WINDOW));

        let mut fast = Pace::new(now, WINDOW);
        let mut windows = 0;
        loop {
            fast.arrived(150_000);
            windows += 1;
            if !fast.goes_on() {
                break;
            }
        }
        assert_eq!((windows, fast.until()), (4, now + WINDOW * 4));
    }

    #[test]
    fn a_pause_of_the_reader_does_not_count() {
        let now = Instant::now();
        let mut pace = Pace::new(now, WINDOW);
        pace.paused(Duration::from_secs(100));
        assert_eq!(pace.until(), now + Duration::from_secs(115));
    }
}
