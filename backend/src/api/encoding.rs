//! Compressed bodies, for clients that take them.

use std::io::Write;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter bodies fit into one packet anyway.
pub(super) const WORTH_IT: usize = 1 << 10;
/// A catalog gets ten times smaller. More effort takes twice the time and saves a twentieth.
const EFFORT: u32 = 4;

/// Whether the client takes this coding: `gzip`, `br`.
pub(super) fn accepts(request_headers: &HeaderMap, wanted: &str) -> bool {
    let lists = request_headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings = lists.flat_map(|list| list.split(',')).map(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        (name.trim(), !refused)
    });
    let mut named = None;
    for (name, taken) in codings {
        if name.eq_ignore_ascii_case(wanted) {
            named = Some(taken);
        }
    }
    named.unwrap_or(false)
}

/// The pieces of a document in one; it is never whole in memory without compression.
pub(super) fn gzip_pieces(pieces: impl Iterator<Item = Vec<u8>>) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(EFFORT));
    for piece in pieces {
        encoder.write_all(&piece).expect("memory takes all of it");
    }
    encoder.finish().expect("memory takes all of it").into()
}

pub(super) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(EFFORT));
    encoder.write_all(bytes).expect("memory takes all of it");
    encoder.finish().expect("memory takes all of it").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_coding_is_taken_when_the_client_names_it() {
        let accepts = |text, wanted| {
            super::accepts(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]), wanted)
        };
        for (text, brotli, zip) in [
            ("gzip, br", true, true),
            ("br;q=0.5", true, false),
            ("GZIP ; q=1", false, true),
            ("br;q=0", false, false),
            ("gzip;q=0.000, br", true, false),
            ("identity", false, false),
            ("brx, gzipped", false, false),
            ("", false, false),
        ] {
            assert_eq!((accepts(text, "br"), accepts(text, "gzip")), (brotli, zip), "{text}");
        }
    }

    #[test]
    fn both_ways_give_the_same_bytes_back() {
        use std::io::Read;
        let document: Vec<u32> = (0..100_000).collect();
        let plain = serde_json::to_vec(&document).unwrap();
        for packed in [gzip_pieces(plain.chunks(1000).map(<[u8]>::to_vec)), gzip(&plain)] {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            assert!(packed.len() < plain.len() / 2 && unpacked == plain);
        }
    }
}
