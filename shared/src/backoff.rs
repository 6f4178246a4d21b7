//! How long to wait before something that failed is tried again: the one retry policy of the backend and the shell.
//!
//! The wait grows exponentially up to a cap. *Full jitter* then takes a random part of it, from nothing to all, so that
//! clients which failed at the same moment do not all come back at the same moment (Marc Brooker, "Exponential Backoff
//! And Jitter", AWS Architecture Blog, 2015; of the variants compared there it costs the server the least work).
//!
//! Pure: the caller passes the random number in and does the waiting.

use std::time::Duration;

/// The waits after failures in a row. A clone made before the first failure starts from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    waits: Waits,
    jitter: bool,
    /// Failures in a row that are followed by another try; `None`: all of them.
    retries: Option<u32>,
    /// Failures in a row so far.
    failures: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Waits {
    Exponential {
        initial: Duration,
        factor: u32,
        cap: Duration,
    },
    /// The last one repeats.
    Steps(Vec<Duration>),
}

impl Backoff {
    /// Waits `initial` after the first failure and `factor` times as long after each further one, at most `cap`, with
    /// full jitter and without an end.
    #[must_use]
    pub const fn exponential(initial: Duration, factor: u32, cap: Duration) -> Self {
        Self { waits: Waits::Exponential { initial, factor, cap }, jitter: true, retries: None, failures: 0 }
    }

    /// Waits exactly what is listed, without jitter and without an end: the last wait repeats.
    #[must_use]
    pub const fn steps(waits: Vec<Duration>) -> Self {
        Self { waits: Waits::Steps(waits), jitter: false, retries: None, failures: 0 }
    }

    /// Gives up after this many retries in a row.
    #[must_use]
    pub fn retries(self, most: u32) -> Self {
        Self { retries: Some(most), ..self }
    }

    #[must_use]
    pub fn without_jitter(self) -> Self {
        Self { jitter: false, ..self }
    }

    /// It failed: how long to wait before the next try, or `None` when there is to be none. `random` is any number,
    /// all equally likely.
    pub fn failed(&mut self, random: u32) -> Option<Duration> {
        if self.retries.is_some_and(|retries| self.failures >= retries) {
            return None;
        }
        let wait = self.waits.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        Some(if self.jitter { part(wait, random) } else { wait })
    }

    /// It worked: the next failure counts as the first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

impl Waits {
    fn after(&self, failures: u32) -> Duration {
        match self {
            Self::Exponential { initial, factor, cap } => {
                let factor = factor.checked_pow(failures);
                factor.and_then(|factor| initial.checked_mul(factor)).unwrap_or(*cap).min(*cap)
            }
            Self::Steps(waits) => {
                let at = usize::try_from(failures).unwrap_or(usize::MAX);
                waits.get(at).or(waits.last()).copied().unwrap_or_default()
            }
        }
    }
}

/// A random part of a wait: from nothing (0) to almost all of it (`u32::MAX`).
pub fn part(wait: Duration, random: u32) -> Duration {
    let nanos = wait.as_nanos().saturating_mul(u128::from(random)) >> u32::BITS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn waits(mut backoff: Backoff, count: usize) -> Vec<Option<Duration>> {
        (0..count).map(|_| backoff.failed(u32::MAX)).collect()
    }

    #[test]
    fn waits_grow_up_to_the_cap_and_stay_there() {
        let backoff = Backoff::exponential(ms(500), 2, ms(3000)).without_jitter();
        assert_eq!(waits(backoff, 5), [500, 1000, 2000, 3000, 3000].map(|wait| Some(ms(wait))));
    }

    #[test]
    fn a_number_that_would_overflow_is_the_cap() {
        let mut backoff = Backoff::exponential(ms(500), 2, ms(8000)).without_jitter();
        backoff.failures = u32::MAX;
        assert_eq!((backoff.failed(0), backoff.failed(0)), (Some(ms(8000)), Some(ms(8000))));
    }

    #[test]
    fn full_jitter_takes_a_part_from_nothing_to_all() {
        let wait = |random| Backoff::exponential(ms(1000), 2, ms(8000)).failed(random);
        assert_eq!([0, 1 << 30, 1 << 31].map(wait), [0, 250, 500].map(|wait| Some(ms(wait))));
        assert!(wait(u32::MAX).unwrap() > ms(999));
    }

    #[test]
    fn steps_are_exact_and_the_last_one_repeats() {
        let steps = || Backoff::steps([1, 2, 4].map(ms).to_vec());
        assert_eq!(waits(steps(), 5), [1, 2, 4, 4, 4].map(|wait| Some(ms(wait))));
        assert_eq!(steps().failed(0), Some(ms(1)), "without jitter the random number changes nothing");
    }

    #[test]
    fn a_limit_of_retries_ends_them_and_a_success_starts_again() {
        let mut backoff = Backoff::exponential(ms(1), 2, ms(9)).without_jitter().retries(2);
        assert_eq!(waits(backoff.clone(), 4), [Some(ms(1)), Some(ms(2)), None, None]);
        assert_eq!([backoff.failed(0), backoff.failed(0)], [Some(ms(1)), Some(ms(2))]);
        backoff.reset();
        assert_eq!([backoff.failed(0), backoff.failed(0), backoff.failed(0)], [Some(ms(1)), Some(ms(2)), None]);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_cap(
            initial in 0_u64..10_000, factor: u32, cap in 0_u64..10_000, failures: u32, random: u32,
        ) {
            let mut backoff = Backoff::exponential(ms(initial), factor, ms(cap));
            backoff.failures = failures;
            prop_assert!(backoff.failed(random).unwrap() <= ms(cap));
        }
    }
}
