//! How sizes and durations are written: `20GiB`, `7d`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// Bytes from text: `512M`, `20GiB`; without a unit, bytes. Units are powers of 1024.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let shift = match unit {
        "" | "B" => 0,
        _ => UNITS.iter().find(|(name, _)| unit == *name || unit == &name[..1])?.1,
    };
    let count = digits.trim().parse::<u64>().ok().filter(|_| !digits.starts_with('+'))?;
    count.checked_mul(1 << shift)
}

fn write_size(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    unit.map_or_else(|| bytes.to_string(), |(name, shift)| format!("{}{name}", bytes >> shift))
}

/// In the largest unit that divides it: humantime alone would write `7days`, and years as months.
fn write_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let unit = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = unit.iter().find(|(_, size)| ms > 0 && ms.is_multiple_of(*size));
    unit.map_or_else(|| format!("{ms}ms"), |(name, size)| format!("{}{name}", ms / size))
}

/// Finer than a millisecond, or more than 100 years: no setting means that.
fn parse_duration(text: &str) -> Option<Duration> {
    let found = humantime::parse_duration(text).ok()?;
    (found.subsec_nanos() % 1_000_000 == 0 && found.as_secs() <= 100 * 365 * 86_400).then_some(found)
}

/// For `#[serde(with)]`.
pub(super) mod size {
    use super::{Deserialize, Deserializer, Error, Serializer, parse_size, write_size};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(in super::super) fn serialize<S: Serializer>(bytes: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&write_size(*bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        parse_size(&text).ok_or_else(|| D::Error::custom("no size"))
    }
}

/// For `#[serde(with)]`.
pub(super) mod duration {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer, parse_duration, write_duration};

    pub(in super::super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&write_duration(*duration))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse_duration(&text).ok_or_else(|| D::Error::custom("no duration"))
    }
}

/// For `#[serde(with)]`.
pub(super) mod durations {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer, parse_duration, write_duration};

    pub(in super::super) fn serialize<S: Serializer>(durations: &[Duration], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(durations.iter().copied().map(write_duration))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Duration>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let parsed: Option<_> = texts.iter().map(|text| parse_duration(text)).collect();
        parsed.ok_or_else(|| D::Error::custom("no duration"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [("20GiB", 20 << 30), ("2G", 2 << 30), ("512M", 512 << 20), ("1", 1), ("7B", 7), ("0", 0)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "-1", "+1", "1.5G", "20GB", "20 gib", "99999999T"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_people_do() {
        for text in ["7d", "30s", "5m", "250ms", "36h", "0ms"] {
            assert_eq!(parse_duration(text).map(write_duration).as_deref(), Some(text));
        }
        assert_eq!(parse_duration("1week").map(write_duration).as_deref(), Some("7d"));
        for text in ["", "7", "d", "-1s", "1us", "1000years"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes: u64, ms in 0_u64..3_000_000_000_000) {
            prop_assert_eq!(parse_size(&write_size(bytes)), Some(bytes));
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&write_duration(duration)), Some(duration));
        }
    }
}
