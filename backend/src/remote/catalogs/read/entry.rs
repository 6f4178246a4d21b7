//! One entry of a catalog: what must be right, and what may be left out.
//!
//! An entry needs an id, a size and a digest. Everything else is for people, or has a default, so a member of a wrong
//! type counts as if it were absent.

use pixelrts_shared::catalog::Entry;
use pixelrts_shared::{Digest, EntryId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
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

/// An entry in which something is absent, null or of a wrong type.
fn tolerantly(text: &[u8], error: &serde_json::Error) -> Result<Entry, String> {
    let said: Value = serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let Value::Object(mut said) = said else { return Err("it is not an object".to_owned()) };
    required::<EntryId>(&said, "id")?;
    required::<u64>(&said, "size")?;
    required::<Digest>(&said, "sha256")?;
    let mut kept: Map<String, Value> =
        ["id", "size", "sha256"].into_iter().filter_map(|key| said.remove_entry(key)).collect();
    kept.insert("name".to_owned(), kept["id"].clone());
    let usable = |kept: &Map<String, Value>| Entry::deserialize(&Value::Object(kept.clone()));
    for key in OPTIONAL {
        let Some(value) = said.remove(key).filter(|value| !value.is_null()) else { continue };
        let before = kept.insert(key.to_owned(), value);
        if usable(&kept).is_err() {
            match before {
                Some(before) => kept.insert(key.to_owned(), before),
                None => kept.remove(key),
            };
        }
    }
    usable(&kept).map_err(|_| error.to_string())
}

fn required<T: DeserializeOwned>(said: &Map<String, Value>, key: &str) -> Result<(), String> {
    match said.get(key).filter(|value| !value.is_null()) {
        None => Err(format!("its {key} is missing")),
        Some(value) => T::deserialize(value).map(drop).map_err(|error| format!("its {key} cannot be used: {error}")),
    }
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
            (format!(r#"{{"id": "a", "size": -1, "sha256": "{digest}"}}"#), "its size cannot be used"),
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
