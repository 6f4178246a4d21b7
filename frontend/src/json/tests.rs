use super::*;
use pixelrts_shared::catalog::{MergedEntry, Role};
use pixelrts_shared::machine::BootStage;
use serde_json::Value;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test;

const ENTRY: &str = r#"{
    "id": "debian", "name": "Debian", "size": 18446744073709551616, "description": null, "later": [1.5, {"a": true}, ""],
    "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
    "segments": [{"name": "k", "role": "kernel", "size": 4096}, {"name": "n", "role": "unheard", "size": 1}],
    "sources": [], "cached": true, "status": "idle"
}"#;

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn an_entry_is_read_with_what_it_has_and_without_what_is_new() {
    let entry: MergedEntry = read(ENTRY).unwrap();
    assert_eq!((&*entry.entry.name, entry.entry.description, entry.cached), ("Debian", None, true));
    let segments: Vec<_> = entry.entry.segments.iter().map(|segment| (segment.role, segment.size)).collect();
    assert_eq!(segments, [(Role::Kernel, 4096), (Role::Other, 1)]);
    assert_eq!(entry.entry.size, u64::MAX, "a size that is too large is still one");
}

#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
#[cfg_attr(not(target_arch = "wasm32"), test)]
fn numbers_are_read_as_what_they_are() {
    assert_eq!(read::<u64>(" 9007199254740993\n").unwrap(), 9_007_199_254_740_993);
    assert_eq!(read::<Vec<f64>>("[1, 2.5, -3, 1e2, 0, -0.25e-1]").unwrap(), [1.0, 2.5, -3.0, 100.0, 0.0, -0.025]);
    assert_eq!(read::<Vec<u64>>("[1.0, 2e3, 1e40]").unwrap(), [1, 2000, u64::MAX]);
    for text in ["01", "-", "1.", ".5", "1e", "+1", "1-1", "--1", "1e999", "0x1", "1.2.3"] {
        assert!(read::<f64>(text).is_err(), "{text}");
    }
}

#[test]
fn letters_are_read_however_they_are_written() {
    let read = |text: &str| read::<String>(text).unwrap();
    assert_eq!(read(r#""plain ünïcode 🦀""#), "plain ünïcode 🦀");
    assert_eq!(read(r#""\"\\\/\b\f\n\r\t\u00fc\ud83e\udd80""#), "\"\\/\u{8}\u{c}\n\r\tü🦀");
    assert_eq!(read(r#""a\ud83eb\udd80\ud83e\u0041""#), "a\u{fffd}b\u{fffd}\u{fffd}A", "halves of pairs");
}

#[test]
fn what_is_no_json_is_refused() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let texts = [
        "",
        "{",
        "[1",
        "nothing",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "1 1",
        "nul",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12é4\"",
        "\"\n\"",
        "]",
    ];
    for text in texts.iter().map(|text| (*text).to_owned()).chain([deep(65), deep(1_000_000)]) {
        let why = read::<Value>(&text).unwrap_err().to_string();
        assert_eq!(why, "It is not JSON.", "{}", &text[..text.len().min(20)]);
    }
    assert!(read::<Value>(&deep(64)).is_ok());
}

#[test]
fn what_is_not_what_was_expected_is_refused() {
    assert!(read::<u32>("4294967296").is_err() && read::<u64>("-1").is_err() && read::<u64>("1.5").is_err());
    assert!(read::<MergedEntry>("[]").is_err() && read::<bool>("0").is_err() && read::<String>("7").is_err());
    assert!(read::<BootStage>("\"dancing\"").is_err() && read::<BootStage>("7").is_err());
    assert_eq!(read::<BootStage>("\"kernel\"").unwrap(), BootStage::Kernel);
    let why = read::<bool>("[]").unwrap_err().to_string();
    assert_eq!(why, "It has something else in the place of a boolean.");
}

#[cfg(not(target_arch = "wasm32"))]
mod any {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 5, |part| {
            prop_oneof![
                prop::collection::vec(part.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), part, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Whole numbers are whole however they are written.
    fn without_points(value: Value) -> Value {
        match value {
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(number), _) => number.into(),
                (None, Some(float)) if float >= 0.0 && float.fract() == 0.0 => whole(float).into(),
                (None, float) => float.into(),
            },
            Value::Array(parts) => parts.into_iter().map(without_points).collect(),
            Value::Object(parts) => parts.into_iter().map(|(key, part)| (key, without_points(part))).collect(),
            other => other,
        }
    }

    /// serde reads some numbers a little off.
    fn rounded(value: Value) -> Value {
        match value {
            Value::Number(number) if number.is_f64() => format!("{:.12e}", number.as_f64().unwrap()).into(),
            Value::Array(parts) => parts.into_iter().map(rounded).collect(),
            Value::Object(parts) => parts.into_iter().map(|(key, part)| (key, rounded(part))).collect(),
            other => other,
        }
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read_back(value in value(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(read::<Value>(&text).unwrap(), without_points(value));
        }

        /// Whatever a text is: it never panics, and what is read is what serde reads.
        #[test]
        fn no_text_panics(text in r#"([\[\]{}:,"\\ u0-9.eE+\-a-z]|"a"|null|true|[[:cntrl:]]|é|🦀){0,40}"#) {
            let (ours, theirs) = (read::<Value>(&text), serde_json::from_str::<Value>(&text));
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(rounded(ours), rounded(without_points(theirs))),
                (Err(_), Ok(theirs)) => prop_assert!(false, "{theirs} is not read"),
                (Ok(_), Err(_)) | (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn no_bytes_panic(text: String) {
            let _ = read::<Value>(&text);
            let _ = read::<MergedEntry>(&text);
        }
    }
}
