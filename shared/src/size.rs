//! Numbers of bytes, as people write and read them.
//!
//! One grammar holds wherever a person writes a size: on the command line, in the configuration, in images, in
//! catalogs and in the API. It is a number, which may have a fraction, and a unit:
//!
//! | unit | bytes |
//! | --- | --- |
//! | `K`, `M`, `G`, `T`, or `KiB`, `MiB`, `GiB`, `TiB` | powers of 1024, as QEMU takes them |
//! | `KB`, `MB`, `GB`, `TB` | powers of 1000, as makers of disks use them |
//! | `B` | one byte |
//!
//! Upper and lower case mean the same, and blanks around the number and the unit do not matter. A number alone is
//! refused, because some programs take it for bytes and others for MiB; only 0 needs no unit.
//!
//! A size is written in two ways: [`Display`](fmt::Display) is exact and reads back to the same size, and
//! [`Size::in_words`] is rounded for people.

mod words;

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::address::shown;
use crate::quantity::{self, Refused};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

const BINARY: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];
const DECIMAL: [(&str, u64); 4] = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1_000)];

impl Size {
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// More MiB than 64 bits of bytes can count become the most that they can.
    #[must_use]
    pub const fn from_mebibytes(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    #[must_use]
    pub const fn from_gibibytes(count: u64) -> Self {
        Self(count.saturating_mul(1 << 30))
    }

    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// A number alone.
    NoUnit {
        number: String,
    },
    Unreadable {
        text: String,
    },
    TooLarge {
        text: String,
    },
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUnit { number } => write!(f, "{number} has no unit: write {number}M or {number}MiB"),
            Self::Unreadable { text } => write!(f, "{text:?} is not a size: write it as 512M, 1.5G or 2GiB"),
            Self::TooLarge { text } => write!(f, "{text:?} is more than a size can be"),
        }
    }
}

impl std::error::Error for SizeError {}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let unreadable = || SizeError::Unreadable { text: shown(text) };
        let part = quantity::first(text).filter(|part| part.rest.is_empty()).ok_or_else(unreadable)?;
        let number = || quantity::scaled(part.number, u64::MAX);
        let unit = match unit(part.unit) {
            Some(unit) => unit,
            // Zero is the same in every unit.
            None if part.unit.is_empty() && number() == Ok(0) => 1,
            None if part.unit.is_empty() && number() != Err(Refused::Malformed) => {
                return Err(SizeError::NoUnit { number: shown(part.number) });
            }
            None => return Err(unreadable()),
        };
        quantity::scaled(part.number, unit).map(Self).map_err(|refused| match refused {
            Refused::Malformed => unreadable(),
            Refused::TooLarge => SizeError::TooLarge { text: shown(text) },
        })
    }
}

/// In bytes.
fn unit(word: &str) -> Option<u64> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let binary = || BINARY.iter().find(|(name, _)| is(name) || is(&format!("{name}iB")));
    let decimal = || DECIMAL.iter().find(|(name, _)| is(name));
    if is("B") { Some(1) } else { binary().or_else(decimal).map(|(_, unit)| *unit) }
}

/// Exact, in the unit that makes it shortest: `2G`, `1536M`, `2048MB`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = BINARY.iter().chain(&DECIMAL).chain(&[("B", 1)]);
        let whole = units.filter(|(_, unit)| self.0.is_multiple_of(*unit) && (self.0 > 0 || *unit == 1));
        let shortest = whole.map(|(name, unit)| format!("{}{name}", self.0 / unit)).min_by_key(String::len);
        f.pad(&shortest.unwrap_or_default())
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict)
    }
}

struct Strict;

impl de::Visitor<'_> for Strict {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size like \"512M\" or \"2GiB\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests;
