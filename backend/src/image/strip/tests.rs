use super::*;
use crate::image::chunk;
use crate::image::idat::store;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..BYTES).map(|_| next()).collect()
}

fn decoded(encoded: &Encoded, geometry: &Geometry) -> Vec<u8> {
    let mut decoder = Decoder::new(geometry);
    let raw = decoder.decode(0, 0, &encoded.chunk, encoded.flags, geometry).unwrap();
    assert_eq!(simd_adler32::adler32(&raw), encoded.adler);
    let mut payload = vec![0; BYTES];
    geometry.gather(raw, &mut payload);
    payload
}

#[test]
fn every_width_and_effort_gives_the_payload_back() {
    let text: Vec<u8> = b"kernel ".iter().copied().cycle().take(BYTES).collect();
    for width in WIDTHS {
        let geometry = Geometry::new(width).unwrap();
        for effort in [Effort::None, Effort::Fast, Effort::Best] {
            let mut encoder = Encoder::new(&geometry, effort);
            for (payload, stored, zero) in [
                (&text, effort == Effort::None, false),
                (&noise(9), true, false),
                (&vec![0; BYTES], effort == Effort::None, true),
            ] {
                let encoded = encoder.encode(payload, Vec::new());
                assert_eq!((encoded.flags.is_stored(), encoded.flags.is_zero()), (stored, zero), "{width} {effort:?}");
                assert!(encoded.chunk.len() <= geometry.chunk_max());
                assert!(decoded(&encoded, &geometry) == *payload, "{width} {effort:?}");
            }
        }
    }
}

#[test]
fn a_strip_does_not_depend_on_those_before_it() {
    let geometry = Geometry::new(512).unwrap();
    let mut half = noise(4);
    half[BYTES / 3..].fill(7);
    // The pieces of the sample deflate, the whole hardly.
    let mostly: Vec<u8> =
        noise(5).chunks(4096).flat_map(|noise| [vec![1; 300], noise[300..].to_vec()].concat()).collect();
    let strips = [noise(3), half, mostly, vec![0; BYTES], noise(8)];
    for effort in [Effort::Fast, Effort::Best] {
        let mut used = Encoder::new(&geometry, effort);
        for (number, payload) in strips.iter().enumerate() {
            let (again, fresh) =
                (used.encode(payload, vec![7; 9]), Encoder::new(&geometry, effort).encode(payload, Vec::new()));
            assert!(again.chunk == fresh.chunk, "{effort:?}, strip {number}");
            assert!(decoded(&again, &geometry) == *payload, "{effort:?}, strip {number}");
        }
    }
}

#[test]
fn bytes_are_where_the_format_says() {
    for width in WIDTHS {
        let geometry = Geometry::new(width).unwrap();
        let rows = PIXELS / width;
        let payload = noise(u64::from(width));
        let mut raw = vec![0; geometry.raw_len()];
        geometry.scatter(&payload, &mut raw);
        for k in (0..BYTES).step_by(997) {
            let tile_bytes = 4 * (rows * rows) as usize;
            let (tile, within) = (k / tile_bytes, k % tile_bytes);
            let (x, y) = hilbert::position(rows, u32::try_from(within / 4).unwrap());
            let column = tile * rows as usize + x as usize;
            assert_eq!(raw[y as usize * (1 + 4 * width as usize) + 1 + 4 * column + k % 4], payload[k], "{width} {k}");
        }
    }
}

#[test]
fn the_width_is_the_smallest_that_is_about_square() {
    for (strips, width) in [(1, 512), (8, 512), (9, 1024), (32, 1024), (33, 2048), (8192, 16384), (340_000, 16384)] {
        assert_eq!(Geometry::for_strips(strips).width(), width, "{strips}");
    }
    assert!(Geometry::new(256).is_none());
    assert!(Geometry::new(32768).is_none());
}

/// A chunk around deflated bytes.
fn chunk_of(body: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::new();
    chunk::write(&mut chunk, *b"IDAT", body).unwrap();
    chunk
}

#[test]
fn strips_of_a_wrong_length_or_with_wrong_flags_are_refused() {
    let geometry = Geometry::new(512).unwrap();
    let refuse = |body: &[u8], flags: Flags, why: &str| {
        let outcome = Decoder::new(&geometry).decode(3, 77, &chunk_of(body), flags, &geometry).map(drop);
        assert!(matches!(outcome, Err(ImageError::Malformed { .. })), "{why}: {outcome:?}");
    };
    let deflate = |raw: &[u8], flush: FlushCompress| {
        let mut body = Vec::with_capacity(raw.len() + 100);
        Compress::new(Compression::fast(), false).compress_vec(raw, &mut body, flush).unwrap();
        body
    };
    let len = geometry.raw_len();
    let good = deflate(&vec![0; len], FlushCompress::Full);
    assert!(Decoder::new(&geometry).decode(0, 0, &chunk_of(&good), Flags::NONE, &geometry).is_ok());
    refuse(&good, Flags::STORED, "flagged as stored, but deflated");
    refuse(&deflate(&vec![0; len + 1], FlushCompress::Full), Flags::NONE, "one byte too many");
    refuse(&deflate(&vec![0; 40 * len], FlushCompress::Full), Flags::NONE, "a bomb");
    refuse(&deflate(&vec![0; len - 1], FlushCompress::Full), Flags::NONE, "one byte too few");
    refuse(&deflate(&vec![0; len], FlushCompress::Finish), Flags::NONE, "an end of the stream");
    refuse(&good[..good.len() - 5], Flags::NONE, "no full flush");
    refuse(&good[..good.len() - 1], Flags::NONE, "cut");
    refuse(&[good.clone(), vec![0]].concat(), Flags::NONE, "a byte behind the flush");
    refuse(&deflate(&vec![1; len], FlushCompress::Full), Flags::NONE, "a row filter");
    let mut stored = Vec::new();
    store(&vec![0; len], &mut stored);
    assert!(Decoder::new(&geometry).decode(0, 0, &chunk_of(&stored), Flags::STORED, &geometry).is_ok());
    assert!(Decoder::new(&geometry).decode(0, 0, &chunk_of(&stored), Flags::NONE, &geometry).is_ok());
    refuse(&stored[..stored.len() - 5], Flags::STORED, "stored without the flush");
    refuse(&[&stored[..], &EMPTY_BLOCK[..4]].concat(), Flags::STORED, "half a block");
    stored[2] ^= 1;
    refuse(&stored, Flags::STORED, "a length that differs from its complement");
    refuse(&[], Flags::NONE, "nothing");
}

proptest! {
    #[test]
    fn a_single_byte_that_is_not_zero_is_found(mut bytes in proptest::collection::vec(Just(0_u8), 1..200), at: proptest::sample::Index) {
        prop_assert!(is_zero(&bytes));
        let place = at.index(bytes.len());
        bytes[place] = 1;
        prop_assert!(!is_zero(&bytes));
    }

    #[test]
    fn random_strips_never_panic(body: Vec<u8>, stored: bool) {
        let geometry = Geometry::new(16384).unwrap();
        let flags = if stored { Flags::STORED } else { Flags::NONE };
        prop_assert!(Decoder::new(&geometry).decode(0, 0, &chunk_of(&body), flags, &geometry).is_err());
        prop_assert!(Decoder::new(&geometry).decode(0, 0, &body, flags, &geometry).is_err());
    }
}
