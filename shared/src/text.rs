//! Text that somebody else wrote: names and descriptions in catalogs and images, words of a server in a problem.
//!
//! It may be anything: a million letters, codes that command a terminal, marks that turn the order of letters around so
//! that a name reads like another one. [`Text`] is cleaned and cut when it is made, so nobody who shows it has to think
//! of that. [`printable`] is for texts of several lines.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// One line of text for people, of at most `MOST` characters. Gaps are single spaces, and characters that nobody sees
/// are gone: controls, marks of direction, fillers. In the backend it is in Unicode's normal form C too, so that
/// the same name is always written with the same characters.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MOST: usize = 200>(String);

/// A description.
pub type LongText = Text<1000>;

impl<const MOST: usize> Text<MOST> {
    /// Cleans a text and cuts it. What was cut ends in `…`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if is_plain(text, MOST) { Self(text.to_owned()) } else { Self::cleaned(text) }
    }

    fn cleaned(text: &str) -> Self {
        let mut clean = String::new();
        let mut gap = false;
        // Composing can make a text shorter, so more than enough is taken before.
        for letter in text.chars().filter(|letter| letter.is_whitespace() || !is_hidden(*letter)).take(4 * MOST) {
            if letter.is_whitespace() {
                gap = !clean.is_empty();
                continue;
            }
            if std::mem::take(&mut gap) {
                clean.push(' ');
            }
            clean.push(letter);
        }
        let mut clean = composed(clean);
        if clean.char_indices().nth(MOST).is_some() {
            let end = clean.char_indices().nth(MOST.saturating_sub(1)).map_or(0, |(end, _)| end);
            clean.truncate(end);
            clean.truncate(clean.trim_end().len());
            clean.push('…');
        }
        Self(clean)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether cleaning changes nothing, for the most usual texts: catalogs have tens of thousands of them.
fn is_plain(text: &str, most: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= most
        && bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && !bytes.windows(2).any(|pair| pair == b"  ")
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ')
}

#[cfg(feature = "normalize")]
fn composed(text: String) -> String {
    match icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(&text) {
        Cow::Owned(composed) => composed,
        Cow::Borrowed(_) => text,
    }
}

/// The shell shows what the backend has composed.
#[cfg(not(feature = "normalize"))]
fn composed(text: String) -> String {
    text
}

/// Characters that are not seen, or that change how others are seen. Those that join letters (U+200C, U+200D) stay: some
/// languages and pictures need them.
#[must_use]
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A text of several lines without characters that are not seen, so that it commands no terminal. Line ends and tabs
/// stay.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let fine = |letter: char| matches!(letter, '\n' | '\t') || !is_hidden(letter);
    if text.chars().all(fine) { text.into() } else { text.chars().filter(|letter| fine(*letter)).collect() }
}

impl<const MOST: usize> Deref for Text<MOST> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> AsRef<str> for Text<MOST> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const MOST: usize> fmt::Display for Text<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const MOST: usize> fmt::Debug for Text<MOST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MOST: usize> From<&str> for Text<MOST> {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<const MOST: usize> From<String> for Text<MOST> {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl<const MOST: usize> From<Text<MOST>> for String {
    fn from(text: Text<MOST>) -> Self {
        text.0
    }
}

impl<const MOST: usize> PartialEq<str> for Text<MOST> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<const MOST: usize> PartialEq<&str> for Text<MOST> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<'de, const MOST: usize> Deserialize<'de> for Text<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cleaned<const MOST: usize>;

        impl<const MOST: usize> Visitor<'_> for Cleaned<MOST> {
            type Value = Text<MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text::new(text))
            }
        }

        deserializer.deserialize_str(Cleaned)
    }
}

/// A number of things in words: "1 image", "10,000 images".
#[must_use]
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number as people read it: `10,000`.
#[must_use]
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_commands_nothing_and_has_an_end() {
        for (raw, clean) in [
            ("Debian 12", "Debian 12"),
            ("\u{1b}[31mred\u{1b}[0m\u{7}", "[31mred[0m"),
            ("  two\r\n\tlines \u{2028}", "two lines"),
            ("abc\u{202e}gpj.exe", "abcgpj.exe"),
            ("\u{9b}2Jx\u{0}", "2Jx"),
            ("\u{feff}\u{200b}\u{3164}", ""),
            ("क्\u{200d}ष", "क्\u{200d}ष"),
        ] {
            assert_eq!(Text::<200>::new(raw), *clean, "{raw:?}");
        }
        let long: Text = serde_json::from_str(&format!("{:?}", "x".repeat(200_000))).unwrap();
        assert_eq!((long.chars().count(), long.chars().last()), (200, Some('…')));
        assert_eq!(serde_json::to_string(&Text::<200>::new("a\"\u{1b}")).unwrap(), r#""a\"""#);
        assert!(serde_json::from_str::<Text>("7").is_err());
    }

    #[test]
    fn one_thing_is_not_many() {
        let said = |count| counted(count, "entry", "entries");
        assert_eq!([said(0), said(1), said(2)], ["0 entries", "1 entry", "2 entries"]);
        assert_eq!([said(999), said(1000)], ["999 entries", "1,000 entries"]);
        assert_eq!(grouped(12_345_678), "12,345,678");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(printable("a\n\tb"), "a\n\tb");
        assert_eq!(printable("a\u{1b}]0;title\u{7}\r\nb\u{202e}"), "a]0;title\nb");
    }

    #[cfg(feature = "normalize")]
    #[test]
    fn one_name_is_written_in_one_way() {
        assert_eq!(Text::<200>::new("Cafe\u{301}"), "Caf\u{e9}");
    }

    proptest! {
        #[test]
        fn plain_texts_are_clean(text in "[ a~!é\u{7f}\t]{0,8}") {
            prop_assert_eq!(Text::<6>::new(&text), Text::<6>::cleaned(&text));
        }

        #[test]
        fn cleaning_again_changes_nothing(raw in any::<String>(), marks in "[\\p{M}\u{1b}\u{202e} a-z]{0,80}") {
            for raw in [raw, marks] {
                let once = Text::<20>::new(&raw);
                prop_assert!(once.chars().count() <= 20);
                prop_assert!(!once.chars().any(is_hidden), "{once:?}");
                prop_assert_eq!(Text::<20>::new(&once), once);
            }
        }
    }
}
