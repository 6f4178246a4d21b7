//! Reading a classic image: one Hilbert curve over the whole square, so the whole picture is decoded at once.
//!
//! Before memory for the payload is allocated, its size is checked against the grid, the metadata, the caller's limit and
//! the most that so many deflated bytes can become. Rows come from the `png` crate one at a time and are put along the
//! curve band by band, so that little memory is needed however large the image is. The old tools write hashes and never
//! check them; here nothing is used before its hash was checked.

mod inflate;
mod payload;
mod pixels;

use std::io;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::chunk::{Chunk, FRAME};
use super::head::{Head, collect_text};
use super::limits::Limits;
use super::metadata::{self, Document};
use super::parallel_map::{Threads, parallel_map};
use super::{ImageError, checksum};
use crate::blob::Blob;
pub(super) use payload::Payload;

/// One deflated byte becomes at most so many bytes.
const MOST_INFLATED: u64 = 1032;
/// How many bytes are hashed at once.
const PIECE: usize = 256 << 10;

/// The verified payload of a classic image. `progress` gets the number of bytes of the picture that are decoded, and
/// their total.
pub(super) fn open(
    blob: &dyn Blob,
    head: &Head,
    limits: &Limits,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Document, Payload), ImageError> {
    let (document, deflated) = survey(blob, head, limits)?;
    check_grid(head, &document, limits)?;
    let payload = match (&document.original, document.code_mode) {
        (Some(original), true) => {
            let bytes = STANDARD.decode(original);
            Payload::Memory(bytes.map_err(|error| ImageError::malformed("original_data_b64", "Base64", error))?)
        }
        (None, true) => {
            return Err(ImageError::Unsupported {
                part: "the encoding",
                expected: "pixels that hold the payload",
                found: "a picture of code, and original_data_b64 is missing".to_owned(),
            });
        }
        (_, false) => {
            let stored = pixels::payload(blob, head.width, stored_size(head, &document, deflated, limits)?, progress)?;
            if document.compressed { inflate::inflate(stored, &document)? } else { stored }
        }
    };
    if payload.len() != document.data_size {
        return Err(wrong_size(document.data_size, payload.len()));
    }
    check(&document, &payload)?;
    Ok((document, payload))
}

/// Walks over all chunks to the end of the file. Returns the metadata and the number of deflated bytes.
pub(super) fn survey(blob: &dyn Blob, head: &Head, limits: &Limits) -> Result<(Document, u64), ImageError> {
    let mut late = Vec::new();
    let (mut chunk, mut deflated) = (head.picture, 0_u64);
    while &chunk.kind != b"IEND" {
        if &chunk.kind == b"IDAT" {
            deflated += u64::from(chunk.length);
        } else {
            collect_text(blob, &chunk, limits, &mut late)?;
        }
        chunk = Chunk::read(blob, chunk.end())?;
    }
    if chunk.end() != blob.len() || chunk.end() - chunk.at != FRAME {
        return Err(ImageError::malformed("the file", format_args!("an end at byte {}", chunk.at + FRAME), blob.len()));
    }
    let (body, document) = metadata::candidates(&head.texts, limits)
        .next()
        .or_else(|| metadata::candidates(&late, limits).next())
        .ok_or(ImageError::NoMetadata)?;
    body.check_crc()?;
    let document = document?;
    if head.index.is_none() && document.had_index() {
        return Err(ImageError::Remade);
    }
    Ok((document, deflated))
}

/// The picture must be a square grid, as large as the metadata says, and no larger than the caller allows.
fn check_grid(head: &Head, document: &Document, limits: &Limits) -> Result<(), ImageError> {
    let side = head.width;
    if side > limits.side || head.height > limits.side {
        let found = u64::from(side.max(head.height));
        return Err(ImageError::Limit { part: "the side of the picture", limit: limits.side.into(), found });
    }
    if head.height != side || !side.is_power_of_two() {
        let found = format!("{side} x {}", head.height);
        return Err(ImageError::malformed("the picture", "a square whose side is a power of two", found));
    }
    if let Some(grid) = document.grid_size
        && grid != u64::from(side)
    {
        return Err(ImageError::malformed("grid_size", side, grid));
    }
    Ok(())
}

/// The number of bytes in the pixels along the curve, which is no more than the picture holds and the caller allows.
fn stored_size(head: &Head, document: &Document, deflated: u64, limits: &Limits) -> Result<u64, ImageError> {
    let side = head.width;
    let size = document.encoded_size.unwrap_or(document.data_size);
    for (part, found) in [("the payload as stored", size), ("the payload", document.data_size)] {
        if found > limits.classic_payload {
            return Err(ImageError::Limit { part, limit: limits.classic_payload, found });
        }
    }
    let grid = 4 * u64::from(side) * u64::from(side);
    if size > grid {
        return Err(ImageError::malformed("the payload", format_args!("at most {grid} bytes in the picture"), size));
    }
    let raw = grid + u64::from(side);
    if deflated.saturating_mul(MOST_INFLATED) < raw {
        let expected = format!("{} bytes or more for {side} x {side} pixels", raw / MOST_INFLATED);
        return Err(ImageError::malformed("the picture data", expected, deflated));
    }
    Ok(size)
}

/// Passes the RGBA pixels of the rows `wanted`, which are in ascending order, to `row`.
pub(super) fn rows(blob: &dyn Blob, side: u32, wanted: &[u32], mut row: impl FnMut(&[u8])) -> Result<(), ImageError> {
    let mut wanted = wanted.iter().peekable();
    pixels::for_each_row(blob, side, |y, pixels| {
        while wanted.next_if(|wanted| **wanted == y).is_some() {
            row(pixels);
        }
        Ok(())
    })
}

/// Compares every hash that the metadata has. Each hash is computed separately, in parallel with the others.
fn check(document: &Document, payload: &Payload) -> Result<(), ImageError> {
    let whole = 0..document.data_size;
    let mut hashes: Vec<_> = document.data_hash.map(|expected| (whole.clone(), expected, None)).into_iter().collect();
    for segment in &document.segments {
        let range = segment.offset..segment.offset + segment.size;
        if let Some(expected) = segment.sha256.filter(|hash| range != whole || Some(*hash) != document.data_hash) {
            hashes.push((range, expected, Some(&segment.name)));
        }
    }
    parallel_map(
        Threads::default(),
        0..hashes.len(),
        || (),
        |(), number| Ok(sha256(payload, hashes[number].0.clone())?),
        |number, found| match &hashes[number] {
            (_, expected, _) if checksum::matches(expected, &found) => Ok(()),
            (_, expected, None) => Err(ImageError::PayloadMismatch { expected: *expected, found }),
            (_, expected, Some(segment)) => {
                Err(ImageError::SegmentMismatch { segment: (*segment).clone(), expected: *expected, found })
            }
        },
    )
}

fn sha256(payload: &Payload, mut range: Range<u64>) -> io::Result<Digest> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; PIECE]);
    while !range.is_empty() {
        let count = usize::try_from(range.end - range.start).map_or(PIECE, |left| left.min(PIECE));
        payload.read_exact_at(&mut buffer[..count], range.start)?;
        hash.update(&buffer[..count]);
        range.start += count as u64;
    }
    Ok(Digest::new(hash.finalize().into()))
}

fn wrong_size(expected: u64, found: u64) -> ImageError {
    ImageError::malformed("the payload", format_args!("{expected} bytes"), found)
}
