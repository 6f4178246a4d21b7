//! Spans of time, as people write and read them.
//!
//! One grammar holds wherever a person writes one: a number, which may have a fraction, and one of the units `ms`,
//! `s`, `m` (or `min`), `h`, `d` and `w`, or their English names. Several may follow each other: `1h 30m`. Upper and
//! lower case mean the same, except that `M` is refused, which is a month elsewhere; and blanks do not matter. A number alone is refused; only 0 needs no unit. Months and
//! years are not units, because they have no fixed length.
//!
//! A span is written in two ways: [`Display`](fmt::Display) is exact and reads back to the same span, and
//! [`Span::in_words`] is rounded for people.

mod words;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::address::shown;
use crate::quantity::{self, Refused};

/// Whole milliseconds, and not more than 100 years: no setting means anything finer or longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

const LONGEST: u64 = 100 * 365 * 86_400_000;

/// The unit's own name, its length in milliseconds, and the other names by which it is read.
const UNITS: [(&str, u64, &[&str]); 6] = [
    ("w", 7 * 86_400_000, &["wk", "wks", "week", "weeks"]),
    ("d", 86_400_000, &["day", "days"]),
    ("h", 3_600_000, &["hr", "hrs", "hour", "hours"]),
    ("m", 60_000, &["min", "mins", "minute", "minutes"]),
    ("s", 1_000, &["sec", "secs", "second", "seconds"]),
    ("ms", 1, &["msec", "millis", "millisecond", "milliseconds"]),
];

impl Span {
    /// More than 100 years become 100 years.
    #[must_use]
    pub const fn from_millis(count: u64) -> Self {
        Self(if count > LONGEST { LONGEST } else { count })
    }

    /// More than 100 years become 100 years.
    #[must_use]
    pub const fn from_secs(count: u64) -> Self {
        Self::from_millis(count.saturating_mul(1_000))
    }

    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

/// What is finer than a millisecond is cut off.
impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self::from_millis(u64::try_from(duration.as_millis()).unwrap_or(LONGEST))
    }
}

/// Why a text is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanError {
    /// A number alone.
    NoUnit {
        number: String,
    },
    Unreadable {
        text: String,
    },
    TooLong {
        text: String,
    },
}

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUnit { number } => write!(f, "{number} has no unit: write {number}s or {number}m"),
            Self::Unreadable { text } => write!(f, "{text:?} is not a duration: write it as 250ms, 30s, 5m, 2h or 7d"),
            Self::TooLong { text } => write!(f, "{text:?} is longer than 100 years"),
        }
    }
}

impl std::error::Error for SpanError {}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let unreadable = || SpanError::Unreadable { text: shown(text) };
        let too_long = || SpanError::TooLong { text: shown(text) };
        let (mut rest, mut sum) = (text, 0_u64);
        loop {
            let part = quantity::first(rest).ok_or_else(unreadable)?;
            let alone = rest == text && part.unit.is_empty() && part.rest.is_empty();
            let unit = match unit(part.unit) {
                Some(unit) => unit,
                // Zero is the same in every unit.
                None if alone && part.number == "0" => return Ok(Self(0)),
                None if alone && quantity::scaled(part.number, u64::MAX) != Err(Refused::Malformed) => {
                    return Err(SpanError::NoUnit { number: shown(part.number) });
                }
                None => return Err(unreadable()),
            };
            let length = quantity::scaled(part.number, unit).map_err(|refused| match refused {
                Refused::Malformed => unreadable(),
                Refused::TooLarge => too_long(),
            })?;
            sum = sum.checked_add(length).filter(|sum| *sum <= LONGEST).ok_or_else(too_long)?;
            if part.rest.is_empty() {
                return Ok(Self(sum));
            }
            rest = part.rest;
        }
    }
}

/// In milliseconds.
fn unit(word: &str) -> Option<u64> {
    // Other programs take it for a month, and so did earlier versions: it must not become a minute without a word.
    if word == "M" {
        return None;
    }
    let is = |name: &&str| word.eq_ignore_ascii_case(name);
    UNITS.iter().find(|(name, _, names)| is(name) || names.iter().any(is)).map(|(_, length, _)| *length)
}

/// Exact, in the largest unit up to days that divides it: `7d`, `36h`, `250ms`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = UNITS.iter().filter(|(name, ..)| *name != "w");
        let (name, length, _) =
            units.find(|(_, length, _)| self.0 > 0 && self.0.is_multiple_of(*length)).unwrap_or(&UNITS[5]);
        f.pad(&format!("{}{name}", self.0 / length))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict)
    }
}

struct Strict;

impl de::Visitor<'_> for Strict {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration like \"30s\" or \"7d\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Span, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests;
