//! Reads values from JSON text. The browser parses the text, and serde fills our types from the browser's objects.
//!
//! With a parser of our own, every visitor would download it, and its tables for numbers with it. Whole numbers that are
//! too large for the browser to hold exactly are rounded, not refused: one server that sends a wrong size must not hide
//! the other servers.

use std::fmt;

use js_sys::{Array, JSON, Object};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use wasm_bindgen::{JsCast, JsValue};

use crate::clock::whole;

/// Why a text is not the value that was expected.
#[derive(Debug)]
pub(crate) struct Unreadable(String);

pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    let value = JSON::parse(text).map_err(|_| Unreadable("It is not JSON.".to_owned()))?;
    T::deserialize(Node(value))
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Error for Unreadable {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }

    // What was found instead is left out: printing it would add code for every kind of number to the page.
    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::expected(expected)
    }
}

impl Unreadable {
    fn expected(expected: &dyn Expected) -> Self {
        Self(format!("It has something else in the place of {expected}."))
    }
}

/// A part of what was parsed. Each kind is asked for by its own method: one that could be all of them would be compiled
/// in full for every type that is read.
struct Node(JsValue);

impl<'de> Deserializer<'de> for Node {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.0.is_null() {
            visitor.visit_unit()
        } else if self.0.as_bool().is_some() {
            self.deserialize_bool(visitor)
        } else if self.0.as_f64().is_some() {
            self.deserialize_f64(visitor)
        } else if self.0.is_string() {
            self.deserialize_string(visitor)
        } else if Array::is_array(&self.0) {
            self.deserialize_seq(visitor)
        } else {
            self.deserialize_map(visitor)
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0.as_bool() {
            Some(truth) => visitor.visit_bool(truth),
            None => Err(Unreadable::expected(&visitor)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0.as_f64() {
            Some(number) if number >= 0.0 && number.fract() == 0.0 => visitor.visit_u64(whole(number)),
            Some(number) => visitor.visit_f64(number),
            None => Err(Unreadable::expected(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0.as_string() {
            Some(text) => visitor.visit_string(text),
            None => Err(Unreadable::expected(&visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0.dyn_ref::<Array>() {
            Some(list) => visitor.visit_seq(SeqDeserializer::new(list.iter().map(Node))),
            None => Err(Unreadable::expected(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if !self.0.is_object() || Array::is_array(&self.0) {
            return Err(Unreadable::expected(&visitor));
        }
        let pair = |pair: JsValue| {
            let pair: Array = pair.unchecked_into();
            (Node(pair.get(0)), Node(pair.get(1)))
        };
        visitor.visit_map(MapDeserializer::new(Object::entries(self.0.unchecked_ref()).iter().map(pair)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_enum(self.0.as_string().unwrap_or_default().into_deserializer())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_map(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 char str bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

impl IntoDeserializer<'_, Unreadable> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::catalog::{MergedEntry, Role};
    use pixelrts_shared::machine::BootStage;
    use wasm_bindgen_test::wasm_bindgen_test;

    const ENTRY: &str = r#"{
        "id": "debian", "name": "Debian", "size": 18446744073709551615, "description": null, "later": [1.5, {"a": true}],
        "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
        "segments": [{"name": "k", "role": "kernel", "size": 4096}, {"name": "n", "role": "unheard", "size": 1}],
        "sources": [], "cached": true, "status": "idle"
    }"#;

    #[wasm_bindgen_test]
    fn an_entry_is_read_with_what_it_has_and_without_what_is_new() {
        let entry: MergedEntry = read(ENTRY).unwrap();
        assert_eq!((&*entry.entry.name, entry.entry.description, entry.cached), ("Debian", None, true));
        let segments: Vec<_> = entry.entry.segments.iter().map(|segment| (segment.role, segment.size)).collect();
        assert_eq!(segments, [(Role::Kernel, 4096), (Role::Other, 1)]);
    }

    #[wasm_bindgen_test]
    fn numbers_beyond_what_the_browser_holds_exactly_are_still_numbers() {
        assert_eq!(read::<MergedEntry>(ENTRY).unwrap().entry.size, u64::MAX);
        assert_eq!(read::<u64>("9007199254740993").unwrap(), 9_007_199_254_740_992);
        assert_eq!(read::<Vec<f64>>("[1, 2.5, -3]").unwrap(), [1.0, 2.5, -3.0]);
    }

    #[wasm_bindgen_test]
    fn what_is_not_what_was_expected_is_refused() {
        for text in ["", "{", "[1", "nothing"] {
            assert_eq!(read::<u64>(text).unwrap_err().to_string(), "It is not JSON.", "{text}");
        }
        assert!(read::<u32>("4294967296").is_err() && read::<u64>("-1").is_err() && read::<u64>("1.5").is_err());
        assert!(read::<MergedEntry>("[]").is_err() && read::<bool>("0").is_err() && read::<String>("7").is_err());
        assert!(read::<BootStage>("\"dancing\"").is_err());
        assert_eq!(read::<BootStage>("\"kernel\"").unwrap(), BootStage::Kernel);
    }
}
