//! Values that an image or a catalog says in words or in numbers.
//!
//! Nobody refuses a whole catalog because one entry asks for `"many"` processors: what is said is kept as text, and the
//! rule of [`boot_decision`](crate::boot_decision) decides what it is worth. Other JSON than a text or a number is as if it were absent.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

/// A number of things: written as a JSON number where it is one.
pub mod count {
    use super::{Deserializer, Said, Serializer};

    pub fn serialize<S: Serializer>(said: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
        match said {
            Some(said) => match said.parse::<u64>() {
                Ok(number) => serializer.serialize_u64(number),
                Err(_) => serializer.serialize_str(said),
            },
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(Said { unit: "" })
    }
}

/// A size of memory: a JSON number is MiB, as QEMU has it.
pub mod memory {
    use super::{Deserializer, Said, Serializer};

    pub fn serialize<S: Serializer>(said: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
        match said {
            Some(said) => serializer.serialize_str(said),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        deserializer.deserialize_any(Said { unit: "M" })
    }
}

/// A number with at most three digits behind its point. The standard library's way to print a fraction is exact, and
/// every visitor of the shell would download it.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and what is that large is refused later")]
fn in_thousandths(number: f64) -> String {
    let thousandths = (number * 1000.0) as i64;
    let (sign, whole, rest) =
        (if thousandths < 0 { "-" } else { "" }, thousandths.unsigned_abs() / 1000, thousandths.unsigned_abs() % 1000);
    if rest == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:03}").trim_end_matches('0').to_owned()
    }
}

/// Puts the unit behind a number, and takes a text as it is.
struct Said {
    unit: &'static str,
}

impl<'de> Visitor<'de> for Said {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(format!("{number}{}", self.unit)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(format!("{number}{}", self.unit)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(format!("{}{}", in_thousandths(number), self.unit)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::in_thousandths;

    #[test]
    fn fractions_have_up_to_three_digits() {
        let texts = [1.5, 0.25, -2.125, 3.0, 1e300].map(in_thousandths);
        assert_eq!(texts, ["1.5", "0.25", "-2.125", "3", "9223372036854775.807"]);
    }
}
