//! Spans of time as people read them.

use super::Span;

impl Span {
    /// Rounded down to what matters, as in a sentence: `6 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
    #[must_use]
    pub fn in_words(self) -> String {
        let seconds = self.0 / 1000;
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        match seconds {
            0..60 => format!("{seconds} s"),
            60..3_600 => format!("{minutes} min"),
            3_600..86_400 => format!("{hours} h {} min", minutes % 60),
            _ => format!("{} d {} h", hours / 24, hours % 24),
        }
    }

    /// As an estimate of what is left. Beyond a day nobody knows.
    #[must_use]
    pub fn estimated(self) -> String {
        if self > Self::from_secs(86_400) { "more than a day".to_owned() } else { self.in_words() }
    }

    /// As something that was measured: `0.31 s`, `12.4 s`, `2 min 5 s`, and `under 0.01 s` for what was too short.
    #[must_use]
    pub fn measured(self) -> String {
        let ms = self.0;
        match ms {
            0..10 => "under 0.01 s".to_owned(),
            10..10_000 => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
            10_000..100_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
            _ => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_and_measurements_read_well() {
        for (seconds, text) in [(6, "6 s"), (725, "12 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")] {
            assert_eq!(Span::from_secs(seconds).in_words(), text);
        }
        for (seconds, text) in
            [(6, "6 s"), (86_399, "23 h 59 min"), (86_401, "more than a day"), (1 << 40, "more than a day")]
        {
            assert_eq!(Span::from_secs(seconds).estimated(), text);
        }
        for (ms, text) in [
            (0, "under 0.01 s"),
            (9, "under 0.01 s"),
            (10, "0.01 s"),
            (310, "0.31 s"),
            (2_640, "2.64 s"),
            (12_450, "12.4 s"),
            (125_000, "2 min 5 s"),
        ] {
            assert_eq!(Span::from_millis(ms).measured(), text);
        }
    }

    proptest! {
        /// What people are shown can be written back, and is never longer than it was.
        #[test]
        fn words_are_durations_too(ms in 0_u64..LONGEST_SHOWN) {
            let span = Span::from_millis(ms);
            // What was too short to be measured has words of its own.
            for words in [Some(span.in_words()), (ms >= 10).then(|| span.measured())].into_iter().flatten() {
                prop_assert!(words.parse::<Span>().is_ok_and(|read| read <= span), "{}", words);
            }
        }
    }

    const LONGEST_SHOWN: u64 = 10 * 365 * 86_400_000;
}
