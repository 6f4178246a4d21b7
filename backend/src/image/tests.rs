//! Images as files: round trips, images of the older tools, and damage of every kind.

mod base;
mod classic;
mod damage;
mod model;
mod old;
mod old_images;
mod reads;
mod repack;
mod round_trip;
mod sparse;

use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::blob::MemoryBlob;

/// Opens bytes as an image.
fn open(bytes: Vec<u8>) -> Result<Image, ImageError> {
    Image::open(Box::new(MemoryBlob::from(bytes)), &Limits::default())
}

/// Reads a whole segment in pieces of `piece` bytes.
fn read(image: &Image, segment: &Segment, piece: usize) -> Result<Vec<u8>, ImageError> {
    let (mut found, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match image.read_at(segment, &mut buffer, found.len() as u64)? {
            0 => return Ok(found),
            count => found.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Packs segments into the bytes of a streamable image.
fn packed(segments: &[(&str, Role, &[u8])], effort: Effort) -> Vec<u8> {
    packed_as(Layout::default(), segments, effort).0
}

fn packed_as(layout: Layout, segments: &[(&str, Role, &[u8])], effort: Effort) -> (Vec<u8>, Packed) {
    let folder = tempfile::tempdir().unwrap();
    let sources = segments.iter().map(|(name, role, bytes)| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        SegmentFile { name: (*name).to_owned(), role: *role, path }
    });
    let metadata = Metadata { name: Some("test".into()), cmdline: Some("quiet".into()), ..Metadata::default() };
    let pack = Pack { metadata, segments: sources.collect(), effort, layout, ..Pack::default() };
    let out = folder.path().join("out.rts.png");
    let said = pack.write(&out, &mut |_, _| {}).unwrap();
    let file = std::fs::read(out).unwrap();
    assert_eq!(said.size, file.len() as u64);
    (file, said)
}

/// Files with heads of every kind: both profiles, texts that are compressed or of others, chunks between.
pub(in crate::image) fn sample_heads() -> &'static [Vec<u8>] {
    static HEADS: std::sync::LazyLock<[Vec<u8>; 3]> = std::sync::LazyLock::new(|| {
        let segments: [(&str, Role, &[u8]); 1] = [("kernel", Role::Kernel, &[7; 3000])];
        let classic = packed_as(Layout::Classic, &segments, Effort::Fast).0;
        let mut busy = classic[..33].to_vec();
        for (kind, data) in [(*b"tEXt", b"Title\0of others".as_slice()), (*b"gAMA", &[0; 4]), (*b"tEXt", b"Pixel")] {
            chunk::write(&mut busy, kind, data).unwrap();
        }
        busy.extend_from_slice(&classic[33..]);
        [packed(&segments, Effort::Fast), classic, busy]
    });
    &*HEADS
}

/// Bytes that deflate a little, and differ by `seed`.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        state.to_be_bytes()[0] & 0x3f
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A committed image of the older tools.
fn old_image(name: &str) -> Vec<u8> {
    std::fs::read(pixelrts_testing::old_image(name)).unwrap()
}
