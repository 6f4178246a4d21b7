use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use pixelrts_shared::catalog::Entry;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::split::{MOST_ENTRY, MOST_TEXT};
use super::*;

fn entry(n: usize) -> Value {
    json!({"id": format!("e{n}"), "name": format!("Entry {n}"), "size": n, "sha256": format!("{n:064x}")})
}

fn document(entries: &[Value]) -> Vec<u8> {
    let document = json!({"format": 1, "name": "office", "generated_at": "2026-01-01T00:00:00Z", "entries": entries});
    serde_json::to_vec(&document).unwrap()
}

/// Less than a server may send, so that tests are quick.
const LIMITS: Limits = Limits { bytes: 8 << 20, entries: 1000, packed: 1 << 20 };

/// Reads a document that arrives in pieces of these lengths, over and over.
fn in_pieces(bytes: &[u8], lengths: &[usize]) -> Result<Read, NotACatalog> {
    let mut reader = Reader::new(None, LIMITS);
    let (mut rest, mut lengths) = (bytes, lengths.iter().cycle());
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
        reader.push(piece)?;
        rest = behind;
    }
    reader.finish()
}

fn read(bytes: &[u8]) -> Result<Read, NotACatalog> {
    in_pieces(bytes, &[usize::MAX])
}

fn entries(read: &Read) -> Vec<Entry> {
    let mut entries = Vec::new();
    read.entries.unpack(|entry| entries.push(entry)).unwrap();
    entries
}

fn ids(read: &Read) -> Vec<String> {
    entries(read).iter().map(|entry| entry.id.to_string()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_catalog_is_read_however_it_is_written() {
    let plain = document(&[entry(1), entry(2)]);
    let utf16 = |big: bool| -> Vec<u8> {
        let units = std::str::from_utf8(&plain).unwrap().encode_utf16();
        std::iter::once(0xfeff)
            .chain(units)
            .flat_map(|unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    };
    let marked = [&[0xef, 0xbb, 0xbf], plain.as_slice()].concat();
    let pretty = serde_json::to_vec_pretty(&serde_json::from_slice::<Value>(&plain).unwrap()).unwrap();
    let two_members = [gzip(&plain[..40]), gzip(&plain[40..])].concat();
    for bytes in [
        plain.clone(),
        gzip(&plain),
        marked.clone(),
        gzip(&marked),
        utf16(false),
        utf16(true),
        gzip(&utf16(true)),
        utf16(false)[2..].to_vec(),
        utf16(true)[2..].to_vec(),
        pretty,
        two_members,
    ] {
        for lengths in [[usize::MAX, 1], [1, 1], [7, 3]] {
            let read = in_pieces(&bytes, &lengths).unwrap();
            assert_eq!((ids(&read), read.name.as_str()), (vec!["e1".to_owned(), "e2".to_owned()], "office"));
        }
    }
}

#[test]
fn a_bad_entry_costs_itself_and_is_named() {
    let mut bad = entry(3);
    bad["sha256"] = "7".into();
    let read = read(&document(&[entry(1), entry(1), bad, json!(7), json!({"id": "../x"}), Value::Null, entry(2)]));
    let read = read.unwrap();
    assert_eq!(ids(&read), ["e1", "e2"]);
    let named: Vec<_> = read.left_out.first.iter().map(|one| (one.id.as_str(), one.reason.as_str())).collect();
    assert_eq!(read.left_out.count, 5);
    assert_eq!(named[0], ("e1", "another entry has the same sha256"));
    assert!(named[1].0 == "e3" && named[1].1.starts_with("its sha256 cannot be used"), "{named:?}");
    assert_eq!(named[2], ("", "it is not an object"));
    assert!(named[3].0 == "../x" && named[3].1.starts_with("its id cannot be used"), "{named:?}");
}

#[test]
fn brackets_that_do_not_fit_cost_their_entry_only() {
    let digest = "0".repeat(64);
    let good = format!(r#"{{"id":"a","size":1,"sha256":"{digest}"}}"#);
    let text = format!(r#"{{"format":1,"entries":[{{"id":"b"],[}},{good},"a\"]","\u12",{good},]}}"#);
    let read = read(text.as_bytes()).unwrap();
    assert_eq!((ids(&read), read.left_out.count), (vec!["a".to_owned()], 5));
}

#[test]
fn the_format_is_a_number_however_it_is_written() {
    for format in ["1", "1.0", "\"1\""] {
        read(format!(r#"{{"format": {format}, "entries": []}}"#).as_bytes()).unwrap();
    }
}

#[test]
fn nulls_are_read() {
    let read = read(br#"{"name": null, "format": 1, "generated_at": null, "x": null, "entries": null}"#).unwrap();
    assert_eq!((read.name.as_str(), ids(&read).len()), ("", 0));
}

#[test]
fn other_documents_are_refused_in_words() {
    for (text, expected) in [
        ("", "it is no catalog: it is empty"),
        ("\u{feff}", "it is no catalog: it is empty"),
        ("[]", r#"it is no catalog: "[]" is at byte 0"#),
        ("{}", "it is no catalog: format is missing"),
        (r#"{"format":2,"entries":[]}"#, "its format is not 1"),
        (r#"{"format":"x","entries":[]}"#, "its format is not 1"),
        (r#"{"format":1.5,"entries":[]}"#, "its format is not 1"),
        (r#"{"format":1}"#, "it is no catalog: entries is missing"),
        (r#"{"format":1,"entries":{}}"#, "it is no catalog: its entries are no list"),
        (r#"{"format":1,"entries":[]"#, "it ends in the middle"),
        (r#"{"format":1,"entries":[{"id"#, "it ends in the middle"),
        (r#"{"format":1,"entries":[]}x"#, "it is no catalog: \"x\" is at byte 25"),
        (r#"{"format":1,"entries":[,]}"#, "it is no catalog: \",]}\" is at byte 23"),
        ("<html>", "it is a web page or another document, not a catalog"),
        (" \n<?xml version", "it is a web page or another document, not a catalog"),
    ] {
        assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        let found = read(&gzip(text.as_bytes())).unwrap_err().to_string();
        assert_eq!(found, expected, "compressed: {text}");
    }
    let whole = gzip(&document(&[entry(1)]));
    assert_eq!(read(&whole[..whole.len() - 9]).unwrap_err(), NotACatalog::Cut);
    let mut damaged = whole;
    damaged[20] ^= 0xff;
    assert!(matches!(read(&damaged), Err(NotACatalog::Compression(_) | NotACatalog::Malformed(_) | NotACatalog::Cut)));
}

#[test]
fn a_list_of_millions_of_sevens_is_one_short_answer() {
    let text = [b"{\"format\":1,\"entries\":[7".as_slice(), &b",7".repeat(1_000_000), b"]}"].concat();
    let read = read(&text).unwrap();
    assert_eq!((read.left_out.count, read.left_out.first.len(), ids(&read).len()), (1_000_001, 20, 0));
    assert_eq!(read.entries.len(), 0);
}

#[test]
fn entries_are_read_up_to_the_limit() {
    let all: Vec<_> = (0..LIMITS.entries + 10).map(entry).collect();
    let read = read(&document(&all)).unwrap();
    assert_eq!((read.entries.count(), read.left_out.count), (LIMITS.entries, 10));
    assert!(read.left_out.first[0].reason.contains("the first 1000"), "{:?}", read.left_out.first[0]);
}

/// Reads `bytes` over and over, until the reader refuses to go on. Returns what was read, and the refusal.
fn endlessly(start: &[u8], bytes: &[u8]) -> (usize, NotACatalog, usize) {
    let mut reader = Reader::new(None, LIMITS);
    reader.push(start).unwrap();
    let mut read = start.len();
    loop {
        if let Err(error) = reader.push(bytes) {
            return (read, error, reader.weight());
        }
        read += bytes.len();
        assert!(read <= LIMITS.bytes, "it has an end");
    }
}

#[test]
fn endless_documents_have_an_end() {
    let start = b"{\"format\":1,\"entries\":[";
    for (start, more) in [
        (start.as_slice(), vec![b'['; 1 << 18]),
        (start, vec![b' '; 1 << 18]),
        (start, vec![b'a'; 1 << 18]),
        (b"{\"name\":\"", vec![b'a'; 1 << 18]),
        (b"{\"name\":\"", vec![b'\\'; 1 << 18]),
        (b"{\"", vec![b'\x80'; 1 << 18]),
        (start, b"{\"x\":7},".repeat(1 << 15)),
    ] {
        let (read, error, kept) = endlessly(start, &more);
        assert_eq!(error, NotACatalog::TooLarge(LIMITS.bytes));
        assert!(read > LIMITS.bytes - (1 << 20) && kept == 0, "{read} {kept}");
    }
}

#[test]
fn a_compressed_bomb_is_noticed_while_it_is_inflated() {
    let text = [b"{\"name\":\"".as_slice(), &vec![b'a'; 64 << 20]].concat();
    let bomb = gzip(&text);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(read(&bomb).unwrap_err(), NotACatalog::TooLarge(LIMITS.bytes));
    // Blocks that are inflated to nothing.
    let mut empty = gzip(b"")[..10].to_vec();
    empty.extend([0, 0, 0, 0xff, 0xff].repeat(LIMITS.bytes / 5 + 1));
    assert_eq!(in_pieces(&empty, &[1 << 16]).unwrap_err(), NotACatalog::TooLarge(LIMITS.bytes));
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters() {
    for (text, character) in [
        ("\u{1f600}".to_owned(), "\u{1f600}"),
        ("\\ud83d\\ude00".to_owned(), "\u{1f600}"),
        ("\\n".to_owned(), "\n"),
        ("ü".to_owned(), "ü"),
        ("a".to_owned(), "a"),
    ] {
        for shift in 0..7 {
            let name = format!("{}{}", "x".repeat(shift), text.repeat(3_000));
            let digest = "0".repeat(64);
            let document =
                format!(r#"{{"format":1,"entries":[{{"id":"a","name":"{name}","size":1,"sha256":"{digest}"}}]}}"#);
            for lengths in [[usize::MAX, 1], [1, 1], [7, 4]] {
                let read = in_pieces(document.as_bytes(), &lengths).unwrap();
                assert_eq!(ids(&read), ["a"], "{text} {shift} {:?}", read.left_out);
                let name = entries(&read)[0].name.to_string();
                assert!(name.len() <= MOST_TEXT + 4);
                let rest = name.trim_start_matches('x').trim_end_matches('…');
                assert!(character == "\n" || rest.chars().all(|found| character.contains(found)), "{rest}");
            }
        }
    }
}

#[test]
fn an_entry_that_is_too_long_is_left_out() {
    let mut long = entry(1);
    long["tags"] = json!(vec!["a tag of some length"; MOST_ENTRY / 20]);
    let read = read(&document(&[long, entry(2)])).unwrap();
    assert_eq!(ids(&read), ["e2"]);
    assert_eq!(read.left_out.first[0].reason, "it is longer than 4 KiB");
}

#[test]
fn deep_nesting_costs_its_entry() {
    let deep = [
        b"{\"format\":1,\"entries\":[".as_slice(),
        &b"[".repeat(200_000),
        &b"]".repeat(200_000),
        b",{\"a\":",
        &b"[".repeat(500),
        &b"]".repeat(500),
        b"}]}",
    ];
    let read = read(&deep.concat()).unwrap();
    assert_eq!(read.left_out.count, 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever arrives, in whatever pieces: there is an answer, and it does not depend on the pieces.
    #[test]
    fn the_pieces_change_nothing(
        list in prop::collection::vec(any::<(u8, bool)>(), 0..20),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        lengths in prop::collection::vec(1_usize..90, 1..6),
        compressed: bool,
    ) {
        let entries: Vec<_> = list.iter().map(|(n, good)| if *good { entry(usize::from(*n)) } else { json!([n]) }).collect();
        let mut bytes = document(&entries);
        if compressed {
            bytes = gzip(&bytes);
        }
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let told = |read: Result<Read, NotACatalog>| read.map(|read| (read.name.clone(), ids(&read), read.left_out));
        let (whole, pieces) = (told(read(&bytes)), told(in_pieces(&bytes, &lengths)));
        match (whole, pieces) {
            // What is repeated of a broken document is what was there when it was noticed.
            (Err(NotACatalog::Malformed(_) | NotACatalog::Markup(_)), Err(_)) => {}
            // Damage may be noticed before or after the text in front of it was read.
            (Err(_), Err(_)) if compressed => {}
            (whole, pieces) => prop_assert_eq!(whole, pieces),
        }
    }

    /// What serde_json reads, this reads.
    #[test]
    fn every_entry_of_a_document_is_found(list in prop::collection::vec(any::<u16>(), 0..40), name in ".{0,60}") {
        let mut expected = Vec::new();
        for n in &list {
            if !expected.contains(n) {
                expected.push(*n);
            }
        }
        let entries: Vec<_> = list.iter().map(|n| entry(usize::from(*n))).collect();
        let text = json!({"a": [{"]": "}"}], "entries": entries, "name": name, "format": 1, "z": "\\\""}).to_string();
        let read = read(text.as_bytes()).unwrap();
        prop_assert_eq!(ids(&read), expected.iter().map(|n| format!("e{n}")).collect::<Vec<_>>());
        prop_assert_eq!(read.name, Text::new(&name));
    }
}
