//! Reads values from JSON text.
//!
//! `serde_json` would bring its tables for numbers to every visitor, and the browser's own parser makes objects whose
//! every part has to be fetched one by one: of ten thousand entries that takes longer than all else. So this reads the
//! text where it is, and asks the browser only about numbers that are not whole. Whole numbers that are too large are
//! cut, not refused: one server that sends a wrong size must not hide the other servers.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

/// Lists in lists in lists: nothing that the backend sends goes deeper than a few.
const MOST_DEPTH: u8 = 64;

/// Why a text is not the value that was expected.
#[derive(Debug)]
pub struct Unreadable(String);

pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    let mut reader = Reader { text, at: 0, depth: MOST_DEPTH };
    let value = T::deserialize(&mut reader)?;
    if reader.next().is_none() { Ok(value) } else { Err(Unreadable::no_json()) }
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
    fn no_json() -> Self {
        Self("It is not JSON.".to_owned())
    }

    fn expected(expected: &dyn Expected) -> Self {
        Self(format!("It has something else in the place of {expected}."))
    }
}

struct Reader<'de> {
    text: &'de str,
    at: usize,
    /// How much deeper it may go.
    depth: u8,
}

enum Number {
    Whole(u64),
    Other(f64),
}

impl<'de> Reader<'de> {
    /// The first byte of what follows, behind blanks.
    fn next(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    /// Goes on behind this byte, if it follows.
    fn skip(&mut self, byte: u8) -> bool {
        let follows = self.next() == Some(byte);
        self.at += usize::from(follows);
        follows
    }

    fn word(&mut self, word: &str) -> bool {
        self.next();
        let follows = self.text[self.at..].starts_with(word);
        self.at += if follows { word.len() } else { 0 };
        follows
    }

    /// The wrong kind of value, or none at all.
    fn refuse(&mut self, expected: &dyn Expected) -> Unreadable {
        let begins = matches!(self.next(), Some(b'"' | b'[' | b'{' | b'-' | b'0'..=b'9'));
        let is_value = begins || ["true", "false", "null"].iter().any(|word| self.word(word));
        if is_value { Unreadable::expected(expected) } else { Unreadable::no_json() }
    }

    fn number(&mut self) -> Result<Number, Unreadable> {
        self.next();
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let token = &rest[..rest.bytes().take_while(|byte| is_part(byte)).count()];
        self.at += token.len();
        let digits = token.strip_prefix('-').unwrap_or(token).as_bytes();
        let well_begun = match digits {
            [b'0', more, ..] => !more.is_ascii_digit(),
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        };
        if !well_begun {
            return Err(Unreadable::no_json());
        }
        if token.bytes().all(|byte| byte.is_ascii_digit()) {
            let add = |number: u64, byte: u8| number.saturating_mul(10).saturating_add((byte - b'0').into());
            return Ok(Number::Whole(token.bytes().fold(0, add)));
        }
        let number = float(token).filter(|_| token.ends_with(|last: char| last.is_ascii_digit()));
        let number = number.ok_or_else(Unreadable::no_json)?;
        Ok(if number >= 0.0 && number.fract() == 0.0 { Number::Whole(whole(number)) } else { Number::Other(number) })
    }

    /// A string. Most have no `\` in them, and are used where they are.
    fn string(&mut self) -> Result<Cow<'de, str>, Unreadable> {
        self.at += 1;
        let mut text = Cow::Borrowed("");
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            let end = rest.as_bytes().get(plain).copied();
            self.at += plain + 1;
            if text.is_empty() {
                text = Cow::Borrowed(&rest[..plain]);
            } else {
                text.to_mut().push_str(&rest[..plain]);
            }
            match end {
                Some(b'"') => return Ok(text),
                Some(b'\\') => {
                    let letter = self.escaped()?;
                    text.to_mut().push(letter);
                }
                _ => return Err(Unreadable::no_json()),
            }
        }
    }

    /// The letter that is written behind a `\`.
    fn escaped(&mut self) -> Result<char, Unreadable> {
        let kind = self.text.as_bytes().get(self.at).copied();
        self.at += 1;
        Ok(match kind {
            Some(kind @ (b'"' | b'\\' | b'/')) => char::from(kind),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut unit = self.unit()?;
                // A pair stands for one letter; half of one stands for none.
                if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u") {
                    let before = self.at;
                    self.at += 2;
                    match self.unit()? {
                        second @ 0xdc00..0xe000 => unit = 0x1_0000 + ((unit - 0xd800) << 10) + (second - 0xdc00),
                        _ => self.at = before,
                    }
                }
                char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(Unreadable::no_json()),
        })
    }

    fn unit(&mut self) -> Result<u32, Unreadable> {
        let digits = self.text.get(self.at..self.at + 4).ok_or_else(Unreadable::no_json)?;
        self.at += 4;
        digits.chars().try_fold(0, |unit, digit| Some(unit << 4 | digit.to_digit(16)?)).ok_or_else(Unreadable::no_json)
    }

    fn deeper(&mut self) -> Result<Parts<'_, 'de>, Unreadable> {
        self.at += 1;
        self.depth = self.depth.checked_sub(1).ok_or_else(Unreadable::no_json)?;
        Ok(Parts { reader: self, begun: false })
    }
}

/// Each kind is asked for by its own method: one that could be all of them would be compiled in full for every type that
/// is read.
impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.next() {
            Some(b'"') => self.deserialize_str(visitor),
            Some(b'[') => self.deserialize_seq(visitor),
            Some(b'{') => self.deserialize_map(visitor),
            Some(b't' | b'f') => self.deserialize_bool(visitor),
            Some(b'n') if self.word("null") => visitor.visit_unit(),
            _ => self.deserialize_f64(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.word("true") {
            visitor.visit_bool(true)
        } else if self.word("false") {
            visitor.visit_bool(false)
        } else {
            Err(self.refuse(&visitor))
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.next() {
            Some(b'-' | b'0'..=b'9') => match self.number()? {
                Number::Whole(number) => visitor.visit_u64(number),
                Number::Other(number) => visitor.visit_f64(number),
            },
            _ => Err(self.refuse(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.next() != Some(b'"') {
            return Err(self.refuse(&visitor));
        }
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.next() != Some(b'[') {
            return Err(self.refuse(&visitor));
        }
        let value = visitor.visit_seq(self.deeper()?)?;
        self.depth += 1;
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.next() != Some(b'{') {
            return Err(self.refuse(&visitor));
        }
        let value = visitor.visit_map(self.deeper()?)?;
        self.depth += 1;
        Ok(value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
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
        if self.next() != Some(b'"') {
            return Err(self.refuse(&visitor));
        }
        visitor.visit_enum(self.string()?.into_deserializer())
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
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

/// What is between brackets, one after the other.
struct Parts<'a, 'de> {
    reader: &'a mut Reader<'de>,
    begun: bool,
}

impl Parts<'_, '_> {
    /// True when another part follows.
    fn follows(&mut self, end: u8) -> Result<bool, Unreadable> {
        if self.reader.skip(end) {
            return Ok(false);
        }
        let begun = std::mem::replace(&mut self.begun, true);
        if begun && !self.reader.skip(b',') { Err(Unreadable::no_json()) } else { Ok(true) }
    }
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Unreadable> {
        if !self.follows(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Parts<'_, 'de> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        if !self.follows(b'}')? {
            return Ok(None);
        }
        if self.reader.next() != Some(b'"') {
            return Err(Unreadable::no_json());
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        if !self.reader.skip(b':') {
            return Err(Unreadable::no_json());
        }
        seed.deserialize(&mut *self.reader)
    }
}

/// The whole part of a number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, which is what is wanted")]
fn whole(number: f64) -> u64 {
    number as u64
}

/// A number with a point, an exponent or a sign.
fn float(token: &str) -> Option<f64> {
    #[cfg(target_arch = "wasm32")]
    let number = wasm_bindgen::JsValue::from_str(token).unchecked_into_f64();
    #[cfg(not(target_arch = "wasm32"))]
    let number: f64 = token.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests;
