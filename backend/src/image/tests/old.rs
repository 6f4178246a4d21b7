//! What older tools may have written, and what only looks like it: each rule of docs/FORMAT.md for readers of it.

use super::repack::{by_hand, with_chunk};
use super::*;
use std::io::Write;

use sha2::{Digest as _, Sha256};

fn sha256(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

fn payload_of(file: Vec<u8>) -> Result<Vec<u8>, ImageError> {
    let image = open(file)?;
    read(&image, &image.segments()[0], 1000)
}

/// A classic image of `stored` that says it is a compressed payload of `size` bytes.
fn compressed(stored: &[u8], size: usize) -> Vec<u8> {
    let encoded = stored.len();
    by_hand(stored, &format!(r#"{{"data_size":{size},"encoded_size":{encoded},"compression":{{"type":"zstd-h5"}}}}"#))
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    stream.write_all(bytes).unwrap();
    stream.finish().unwrap()
}

/// A zstd frame of one stored block, with a window of 2 to the power of `window` bytes.
fn zstd(bytes: &[u8], window: u8) -> Vec<u8> {
    let block = u32::try_from(bytes.len()).unwrap() << 3 | 1;
    [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3], &block.to_le_bytes()[..3], bytes].concat()
}

#[test]
fn compressed_payloads_have_exactly_their_size() {
    let content = bytes(1, 9000);
    let stored = |stored: &[u8], size| payload_of(compressed(stored, size));
    let mut trailing = zlib(&content);
    trailing.extend_from_slice(b"ignored");
    for good in [zlib(&content), trailing, zstd(&content, 20), content.clone()] {
        assert!(stored(&good, 9000).unwrap() == content);
    }
    for size in [8999, 9001] {
        for bad in [zlib(&content), zstd(&content, 20), content.clone()] {
            assert!(matches!(stored(&bad, size), Err(ImageError::Malformed { .. })), "{size}");
        }
    }
    for whole in [zlib(&content), zstd(&content, 20)] {
        let cut = &whole[..whole.len() - 2];
        assert!(matches!(stored(cut, 9000), Err(ImageError::Malformed { .. })), "cut");
    }
    let mut checksum = zlib(&content);
    *checksum.last_mut().unwrap() ^= 1;
    assert!(matches!(stored(&checksum, 9000), Err(ImageError::Malformed { .. })), "the checksum");
}

#[test]
fn a_bomb_in_the_payload_is_inflated_only_to_its_declared_size() {
    let bomb = zlib(&vec![0; 30 << 20]);
    assert!(matches!(payload_of(compressed(&bomb, 1000)), Err(ImageError::Malformed { .. })));
    let huge = compressed(&bomb, (1 << 30) + 1);
    assert!(matches!(payload_of(huge), Err(ImageError::Limit { .. })));
}

#[test]
fn a_window_that_would_fill_the_memory_is_refused() {
    assert!(payload_of(compressed(&zstd(b"hello", 23), 5)).is_ok());
    for window in [24, 27, 31, 41] {
        let outcome = payload_of(compressed(&zstd(b"hello", window), 5));
        assert!(matches!(outcome, Err(ImageError::Malformed { .. })), "2^{window}");
    }
}

/// More than is kept in memory: the payload is in a file, stored and inflated.
#[test]
fn payloads_in_files_are_what_they_are_in_memory() {
    let content = bytes(7, (17 << 20) + 5);
    let hash = sha256(&content);
    let plain = format!(r#"{{"data_size":{},"data_hash":"{hash}"}}"#, content.len());
    assert!(payload_of(by_hand(&content, &plain)).unwrap() == content);
    let stream = zlib(&content);
    let json = format!(
        r#"{{"data_size":{},"encoded_size":{},"data_hash":"{hash}","compression":{{}}}}"#,
        content.len(),
        stream.len()
    );
    assert!(payload_of(by_hand(&stream, &json)).unwrap() == content);
}

#[test]
fn every_hash_is_compared() {
    let content = b"kernelinitrd";
    let json = |kernel: &[u8], initrd: &[u8], whole: &[u8]| {
        format!(
            r#"{{"data_size":12,"data_hash":"{}","segments":{{"kernel":{{"offset":0,"size":6}},
            "initrd":{{"start":6,"end":12,"sha256":"{}"}}}},"hashes":{{"kernel":"{}"}}}}"#,
            sha256(whole).to_string().to_uppercase(),
            sha256(initrd),
            sha256(kernel).to_string().to_uppercase(),
        )
    };
    let outcome = |json: &str| open(by_hand(content, json));
    let good = outcome(&json(b"kernel", b"initrd", content)).unwrap();
    assert_eq!(good.unverified().count(), 0);
    let wrong = outcome(&json(b"other", b"initrd", content)).map(drop);
    assert!(matches!(wrong, Err(ImageError::SegmentMismatch { segment, .. }) if segment == "kernel"));
    let wrong = outcome(&json(b"kernel", b"other", content)).map(drop);
    assert!(matches!(wrong, Err(ImageError::SegmentMismatch { segment, .. }) if segment == "initrd"));
    let wrong = outcome(&json(b"kernel", b"initrd", b"other")).map(drop);
    assert!(matches!(wrong, Err(ImageError::PayloadMismatch { .. })));
}

#[test]
fn segments_that_no_hash_covers_are_named() {
    let unproven = |json: &str| {
        let image = open(by_hand(b"kernelinitrd", json)).unwrap();
        image.unverified().map(|segment| segment.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(unproven(r#"{"data_size":12}"#), ["payload"]);
    let table = r#""segments":{"a":{"offset":0,"size":6},"b":{"offset":6,"size":6,"sha256":HASH}}"#;
    let table = table.replace("HASH", &format!("\"{}\"", sha256(b"initrd")));
    assert_eq!(unproven(&format!(r#"{{"data_size":12,{table}}}"#)), ["a"]);
    let hash = sha256(b"kernelinitrd");
    assert!(unproven(&format!(r#"{{"data_size":12,"data_hash":"{hash}",{table}}}"#)).is_empty());
    let streamable = open(packed(&[("kernel", Role::Kernel, b"k")], Effort::Fast)).unwrap();
    assert_eq!(streamable.unverified().count(), 0);
}

#[test]
fn text_chunks_are_read_wherever_they_are() {
    let text = format!(r#"PixelRTS{{"data_size":5,"name":"Größe","data_hash":"{}"}}"#, sha256(b"hello"));
    let without = by_hand(b"hello", "no object");
    let with = |before: &[u8; 4], kind, head: &[u8], text: &[u8]| {
        open(with_chunk(&without, before, kind, &[b"PixelRTS\0", head, text].concat()))
    };
    for before in [b"IDAT", b"IEND"] {
        for image in [
            with(before, *b"tEXt", b"", text.as_bytes()),
            with(before, *b"zTXt", b"\0", &zlib(text.as_bytes())),
            with(before, *b"iTXt", b"\0\0de\0Wort\0", text.as_bytes()),
            with(before, *b"iTXt", b"\x01\0\0\0", &zlib(text.as_bytes())),
        ] {
            assert_eq!(image.unwrap().metadata().name.as_deref(), Some("Größe"));
        }
    }
    for bad in ["PixelRTS{\"data_size\":NaN}", "{\"data_size\":5}", "PixelRTS[5]"] {
        assert!(matches!(with(b"IDAT", *b"tEXt", b"", bad.as_bytes()), Err(ImageError::NoMetadata)), "{bad}");
    }
    let second = with_chunk(&by_hand(b"hello", r#"{"data_size":5}"#), b"IDAT", *b"tEXt", b"PixelRTS\0PixelRTS{}");
    assert_eq!(payload_of(second).unwrap(), b"hello", "the first one counts");
}

#[test]
fn a_picture_of_code_without_the_code_is_refused() {
    let with = |rest: &str| by_hand(b"picture", &format!(r#"{{"data_size":5,"encoding_mode":"RGBA-code"{rest}}}"#));
    assert_eq!(payload_of(with(r#","original_data_b64":"aGVsbG8=""#)).unwrap(), b"hello");
    assert!(matches!(payload_of(with("")), Err(ImageError::Unsupported { .. })));
    for bad in ["aGVsbG8", "aGVs\\nbG8=", "aGVsbA=="] {
        let outcome = payload_of(with(&format!(r#","original_data_b64":"{bad}""#)));
        assert!(matches!(outcome, Err(ImageError::Malformed { .. })), "{bad}");
    }
}

#[test]
fn unknown_chunks_are_refused_only_if_they_are_critical() {
    let classic = by_hand(b"hello", r#"{"data_size":5}"#);
    for place in [b"IDAT", b"IEND"] {
        assert_eq!(payload_of(with_chunk(&classic, place, *b"abCd", b"any")).unwrap(), b"hello");
        assert!(open(with_chunk(&classic, place, *b"ABCD", b"any")).is_err());
    }
    let streamable = packed(&[("kernel", Role::Kernel, b"k")], Effort::Fast);
    assert!(open(with_chunk(&streamable, b"rtSX", *b"ABCD", b"any")).is_err());
    let code = by_hand(b"p", r#"{"data_size":5,"encoding_mode":"RGBA-code","original_data_b64":"aGVsbG8="}"#);
    assert!(open(with_chunk(&code, b"IEND", *b"ABCD", b"any")).is_err());
}

#[test]
fn the_header_comes_first() {
    let file = by_hand(b"hello", r#"{"data_size":5}"#);
    assert!(matches!(open(with_chunk(&file, b"IHDR", *b"tIME", &[0; 7])), Err(ImageError::Malformed { .. })));
}
