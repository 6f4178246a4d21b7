//! YAML as a tree of texts with lines. This is the only place that knows the YAML library.
//!
//! Scalars stay the text that was written. The key decides what they mean, and not their spelling, so that a version
//! `1.10` stays what it looks like. The input is bounded in bytes, depth, nodes and aliases.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, budget, options};

use super::ConfigError;

/// A hundred servers with long addresses are a tenth of this.
const LIMIT: u64 = 256 << 10;

/// A value and the line where it stands, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) line: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key without a value.
    Null,
    Text(String),
    List(Vec<Node>),
    /// For each key its name, its line and its value.
    Map(Vec<(String, u64, Node)>),
}

pub(super) fn read(path: &Path) -> Result<Node, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > LIMIT {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: LIMIT });
    }
    parse(&text).map_err(|(line, why)| ConfigError::Syntax { path: path.to_owned(), line, why })
}

/// The error is the line and the reason.
pub(super) fn parse(text: &str) -> Result<Node, (u64, String)> {
    let options = options! {
        budget: budget! {
            max_depth: 16, max_nodes: 20_000, max_events: 40_000, max_documents: 1,
            max_aliases: 100, max_anchors: 100, max_merge_keys: 100,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(raw.value.node(raw.defined, text)),
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line().max(1));
            let why = error.without_snippet().to_string();
            // It is shown on a terminal, and may quote the file.
            Err((line, why.lines().next().unwrap_or_default().replace(char::is_control, "?")))
        }
    }
}

/// As the library gives it.
enum Raw {
    Null,
    Text(String),
    /// The library read a number or a truth value. The text is taken from the document.
    Other(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl Raw {
    fn node(self, at: serde_saphyr::Location, source: &str) -> Node {
        let child = |raw: Spanned<Self>| raw.value.node(raw.defined, source);
        let kind = match self {
            Self::Null => Kind::Null,
            Self::Text(text) => Kind::Text(text),
            Self::Other(meant) => Kind::Text(written(at, source).map_or(meant, str::to_owned)),
            Self::List(items) => Kind::List(items.into_iter().map(child).collect()),
            Self::Map(pairs) => {
                let pair = |(key, value): (Spanned<String>, _)| (key.value, key.referenced.line(), child(value));
                Kind::Map(pairs.into_iter().map(pair).collect())
            }
        };
        Node { kind, line: at.line() }
    }
}

fn written(at: serde_saphyr::Location, source: &str) -> Option<&str> {
    let from = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    source.get(from..from.checked_add(length)?).map(str::trim)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settings")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Raw, D::Error> {
        Raw::deserialize(from)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Other(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element()? {
            found.push(item);
        }
        Ok(Raw::List(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Raw, A::Error> {
        let mut found = Vec::new();
        while let Some(pair) = pairs.next_entry()? {
            found.push(pair);
        }
        Ok(Raw::Map(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get<'a>(node: &'a Node, key: &str) -> &'a Node {
        let Kind::Map(pairs) = &node.kind else { panic!("{node:?} is no map") };
        &pairs.iter().find(|(name, ..)| name == key).unwrap().2
    }

    #[test]
    fn scalars_stay_what_was_written_and_lines_are_known() {
        let node = parse("# a comment\na: 007\nb:\n  c: yes\n  d: 1.50\n  e: \"x: y\"\nf:\ng: [1, two]\n").unwrap();
        let text = |text: &str, line| Node { kind: Kind::Text(text.to_owned()), line };
        assert_eq!(get(&node, "a"), &text("007", 2));
        assert_eq!(get(get(&node, "b"), "c"), &text("yes", 4));
        assert_eq!(get(get(&node, "b"), "d"), &text("1.50", 5));
        assert_eq!(get(get(&node, "b"), "e"), &text("x: y", 6));
        assert_eq!(get(&node, "f").kind, Kind::Null);
        assert_eq!(get(&node, "g").kind, Kind::List(vec![text("1", 8), text("two", 8)]));
    }

    #[test]
    fn a_file_of_comments_says_nothing() {
        for text in ["", "# nothing\n", "\n\n#a: b\n", "---\n"] {
            assert_eq!(parse(text).unwrap().kind, Kind::Null, "{text:?}");
        }
    }

    #[test]
    fn text_that_is_not_yaml_is_refused_with_its_line() {
        assert_eq!(parse("a: 1\nb: [1\nc: 2\n").unwrap_err().0, 3);
        assert_eq!(parse("a: 1\na: 2\n").unwrap_err().0, 2, "one key twice");
        assert!(parse("a: 1\n---\nb: 2\n").is_err(), "two documents");
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn aliases_that_multiply_are_stopped() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[-a-c0-9:#&*!\\[\\]{}'\"|> \n,~.]{0,80}") {
            let _ = parse(&text);
        }
    }
}
