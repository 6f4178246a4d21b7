//! One entry of a catalog: what must be right, and what may be left out.
//!
//! An entry needs an id, a size and a digest. Everything else is for people, or has a default, so a member of a wrong
//! type counts as if it were absent.

use std::collections::HashMap;

use pixelrts_shared::catalog::Entry;
use pixelrts_shared::text::Text;
use pixelrts_shared::{Digest, EntryId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use super::split::MOST_TEXT;

/// The members of an entry that may be absent.
const OPTIONAL: [&str; 17] = [
    "name",
    "description",
    "version",
    "distro",
    "architecture",
    "kernel_version",
    "cmdline",
    "tags",
    "index_sha256",
    "segments",
    "width",
    "height",
    "memory",
    "cpus",
    "net",
    "url",
    "thumbnail",
];

/// Reads an entry. `base` is the address that its own address is relative to. The error is a reason for people.
pub(super) fn read(text: &[u8], base: Option<&Url>) -> Result<Entry, String> {
    let entry = match serde_json::from_slice::<Entry>(text) {
        Ok(entry) => entry,
        Err(error) => tolerantly(text, &error)?,
    };
    // A longer address was cut.
    if [&entry.url, &entry.thumbnail].into_iter().flatten().any(|address| address.len() >= MOST_TEXT) {
        return Err(format!("its address has more than {MOST_TEXT} bytes"));
    }
    if let (Some(base), Some(address)) = (base, &entry.url) {
        let found = base.join(address).map_err(|error| format!("its address cannot be understood: {error}"))?;
        if !matches!(found.scheme(), "http" | "https") {
            return Err(format!("its address is {}, neither http nor https", found.scheme()));
        }
    }
    Ok(entry)
}

/// An entry in which something is absent, null or of a wrong type. What is wrong with one member costs no other.
fn tolerantly(text: &[u8], error: &serde_json::Error) -> Result<Entry, String> {
    let text = mended(text);
    if !text.trim_start().starts_with('{') {
        return Err("it is not an object".to_owned());
    }
    let said: HashMap<String, &RawValue> =
        serde_json::from_str(&text).map_err(|error| format!("it is no JSON: {error}"))?;
    // A number may be too large for any program.
    let said = |key: &str| said.get(key).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let required =
        |key: &str| said(key).filter(|value| !value.is_null()).ok_or_else(|| format!("its {key} is missing"));
    let mut kept = Map::new();
    let id = required("id")?;
    kept.insert("id".to_owned(), usable::<EntryId>(id).map_err(|why| format!("its id cannot be used: {why}"))?);
    let size = required("size")?;
    let bytes = whole_number(&size).ok_or_else(|| {
        format!("its size cannot be used: it is {}, not a number of bytes", Text::<30>::new(&size.to_string()))
    })?;
    kept.insert("size".to_owned(), bytes.into());
    let digest = bare_digest(required("sha256")?);
    kept.insert(
        "sha256".to_owned(),
        usable::<Digest>(digest).map_err(|why| format!("its sha256 cannot be used: {why}"))?,
    );
    kept.insert("name".to_owned(), kept["id"].clone());
    let is_read = |kept: &Map<String, Value>| Entry::deserialize(&Value::Object(kept.clone()));
    for key in OPTIONAL {
        let Some(value) = said(key).filter(|value| !value.is_null()) else { continue };
        let before = kept.insert(key.to_owned(), value);
        if is_read(&kept).is_err() {
            match before {
                Some(before) => kept.insert(key.to_owned(), before),
                None => kept.remove(key),
            };
        }
    }
    is_read(&kept).map_err(|_| error.to_string())
}

/// The value, if it can be used as a `T`, which is written as a text.
fn usable<T: DeserializeOwned>(value: Value) -> Result<Value, String> {
    if !value.is_string() {
        return Err("it is not a text".to_owned());
    }
    T::deserialize(&value).map(drop).map_err(|error| error.to_string())?;
    Ok(value)
}

/// Some programs write each number as a fraction, and some as a text.
pub(super) fn whole_number(value: &Value) -> Option<u64> {
    /// Larger ones are not exact as a fraction.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::String(digits) => digits.trim().parse().ok(),
        Value::Number(number) => number.as_u64().or_else(|| {
            let fraction = number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..EXACT).contains(n))?;
            format!("{fraction:.0}").parse().ok()
        }),
        _ => None,
    }
}

/// A digest without spaces around it, and without the name of its algorithm, which some programs write before it.
fn bare_digest(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let text = text.trim();
    let bare = text.split_once(':').filter(|(algorithm, _)| algorithm.eq_ignore_ascii_case("sha256"));
    Value::String(bare.map_or(text, |(_, digest)| digest.trim()).to_owned())
}

/// JSON in which what other programs get wrong within texts is made right: bytes that are not UTF-8, control characters,
/// and halves of pairs such as `\ud800`.
fn mended(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).replace(|c: char| c.is_ascii_control(), " ");
    let mut mended = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, escape)) = rest.find('\\').map(|at| rest.split_at(at)) {
        mended.push_str(before);
        let (kept, used) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (&escape[..12], 12),
            (Some(0xd800..=0xdfff), _) => ("\\ufffd", 6),
            _ => {
                let used = escape.chars().take(2).map(char::len_utf8).sum();
                (&escape[..used], used)
            }
        };
        mended.push_str(kept);
        rest = &escape[used..];
    }
    mended + rest
}

/// The unit of UTF-16 that an escape such as `\u00e4` stands for.
fn unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// The name by which people know an entry that cannot be read, as far as it has one.
pub(super) fn label(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let said = |behind: &str| {
        let text = behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
        text.split('"').next().map(str::to_owned)
    };
    text.split_once("\"id\"").and_then(|(_, behind)| said(behind)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTRY: &str = r#"{"id": "a", "name": "A", "size": 1,
        "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "#;

    fn with(member: &str) -> Result<Entry, String> {
        read(format!("{ENTRY}{member}}}").as_bytes(), Some(&"http://a/b/".parse().unwrap()))
    }

    #[test]
    fn a_member_that_is_null_or_of_a_wrong_type_counts_as_absent() {
        let plain = with(r#""x": 1"#).unwrap();
        for key in OPTIONAL.into_iter().filter(|key| *key != "name") {
            for value in ["null", "true", "[[[1]]]", r#"{"a": "b"}"#] {
                assert_eq!(with(&format!(r#""{key}": {value}"#)), Ok(plain.clone()), "{key}: {value}");
            }
        }
        let named = with(r#""tags": 7, "description": "good", "width": "5""#).unwrap();
        assert_eq!(named.description.as_deref(), Some("good"));
    }

    /// A member that is not listed would be lost from every entry that has a fault.
    #[test]
    fn every_member_is_listed() {
        let full = OPTIONAL.iter().map(|key| match *key {
            "tags" => r#""tags": ["t"]"#.to_owned(),
            "segments" => r#""segments": [{"name": "k", "role": "kernel", "size": 1}]"#.to_owned(),
            "width" | "height" => format!(r#""{key}": 5"#),
            "index_sha256" => format!(r#""index_sha256": "{}""#, "1".repeat(64)),
            _ => format!(r#""{key}": "v""#),
        });
        let members = full.collect::<Vec<_>>().join(", ");
        let text = ENTRY.replace(r#""name": "A", "#, "") + &members + "}";
        let strict: Entry = serde_json::from_str(&text).unwrap();
        let Value::Object(written) = serde_json::to_value(&strict).unwrap() else { panic!("it is an object") };
        assert_eq!(written.len(), OPTIONAL.len() + 3, "a member was added to entries: {written:?}");
        let faulty = text.replacen('{', r#"{"kernel_version": 7, "#, 1).replace(r#""kernel_version": "v", "#, "");
        let read = read(faulty.as_bytes(), None).unwrap();
        assert_eq!(read, Entry { kernel_version: None, ..strict });
    }

    #[test]
    fn a_number_of_memory_is_mebibytes() {
        assert_eq!(with(r#""memory": 2048"#).unwrap().memory.as_deref(), Some("2048M"));
    }

    #[test]
    fn a_member_that_no_program_can_read_costs_itself_only() {
        let plain = with(r#""x": 1"#).unwrap();
        for member in [r#""width": 1e400"#, r#""x": -1e999"#, r#""x": "\ud800""#, "\"x\": \"a\nb\""] {
            assert_eq!(with(member), Ok(plain.clone()), "{member}");
        }
        let described = |text: &[u8]| {
            let text = [ENTRY.as_bytes(), b"\"description\": \"", text, b"\"}"].concat();
            read(&text, None).unwrap().description.unwrap().to_string()
        };
        for (text, expected) in [
            (&br"a\ud800b"[..], "a\u{fffd}b"),
            (br"a\ud83d\ude00b", "a\u{1f600}b"),
            (br"\ude00\ud83d\u0061\\ud800", "\u{fffd}\u{fffd}a\\ud800"),
            (b"caf\xe9", "caf\u{fffd}"),
            (b"a\tb", "a b"),
        ] {
            assert_eq!(described(text), expected, "{text:?}");
        }
    }

    #[test]
    fn size_and_digest_are_read_as_other_programs_write_them() {
        let digest = "ab".repeat(32);
        let plain = read(format!(r#"{{"id": "a", "size": 10, "sha256": "{digest}"}}"#).as_bytes(), None).unwrap();
        for (size, sha256) in [
            ("10.0", digest.clone()),
            ("\"10\"", digest.clone()),
            ("1e1", format!("sha256:{digest}")),
            ("10", format!(" SHA256:{} ", digest.to_uppercase())),
        ] {
            let text = format!(r#"{{"id": "a", "size": {size}, "sha256": "{sha256}"}}"#);
            assert_eq!(read(text.as_bytes(), None), Ok(plain.clone()), "{text}");
        }
    }

    proptest! {
        /// Whatever an entry is, reading it ends; and what is right already is not changed by mending.
        #[test]
        fn mending_changes_nothing_that_is_right(text: String, bytes: Vec<u8>) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(mended(json.as_bytes()), json.replace('\u{7f}', " "));
            mended(&bytes);
        }
    }

    #[test]
    fn without_a_name_an_entry_has_its_id() {
        let text = ENTRY.replace("\"name\": \"A\", ", "\"name\": null, ");
        assert_eq!(read(format!("{text}\"x\": 1}}").as_bytes(), None).unwrap().name.to_string(), "a");
    }

    #[test]
    fn the_reason_says_which_member_is_wrong() {
        let digest = "0".repeat(64);
        for (text, reason) in [
            ("7".to_owned(), "it is not an object"),
            ("{".to_owned(), "it is no JSON"),
            (r#"{"id": "a", "size": 1}"#.to_owned(), "its sha256 is missing"),
            (format!(r#"{{"id": "../a", "size": 1, "sha256": "{digest}"}}"#), "its id cannot be used"),
            (format!(r#"{{"id": 5, "size": 1, "sha256": "{digest}"}}"#), "its id cannot be used: it is not a text"),
            (format!(r#"{{"id": "a", "size": -1, "sha256": "{digest}"}}"#), "its size cannot be used: it is -1, not"),
            (format!(r#"{{"id": "a", "size": 1.5, "sha256": "{digest}"}}"#), "its size cannot be used: it is 1.5, not"),
            (format!(r#"{{"id": "a", "size": 1e400, "sha256": "{digest}"}}"#), "its size is missing"),
            (format!(r#"{{"id": "a", "size": null, "sha256": "{digest}"}}"#), "its size is missing"),
        ] {
            let found = read(text.as_bytes(), None).unwrap_err();
            assert!(found.starts_with(reason), "{text}: {found}");
        }
        for (address, reason) in [
            ("file:///etc/passwd".to_owned(), "its address is file, neither http nor https"),
            ("x".repeat(MOST_TEXT), "its address has more than 2048 bytes"),
            ("http://".to_owned(), "its address cannot be understood"),
        ] {
            let found = with(&format!(r#""url": "{address}""#)).unwrap_err();
            assert!(found.starts_with(reason), "{found}");
        }
    }

    #[test]
    fn a_label_is_what_looks_like_an_id() {
        for (text, expected) in [
            (r#"{"id": "a", "x"#, "a"),
            (r#"{"x": 1, "id" :"b""#, "b"),
            (r#"{"id": 7}"#, ""),
            (r#"{"id""#, ""),
            ("7", ""),
        ] {
            assert_eq!(label(text.as_bytes()), expected);
        }
    }
}
