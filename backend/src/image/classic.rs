//! Reading a classic image: one Hilbert curve over the whole square, so the whole picture is decoded at once.
//!
//! The size is checked against the grid, the metadata, the caller's limit and what so many deflated bytes can
//! become, before the payload is allocated. Rows come from the `png` crate one at a time and are laid straight into
//! the payload. The old tools write hashes and never check them; here nothing is used before they are.

use std::io::{BufReader, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pixelrts_shared::Digest;
use png::DecodingError;
use sha2::{Digest as _, Sha256};

use super::ImageError;
use super::chunk::{Chunk, FRAME};
use super::head::{Head, collect_text};
use super::hilbert::Grid;
use super::limits::Limits;
use super::metadata::{self, Document};
use crate::blob::{self, Blob};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Deflate makes at most 1032 bytes of one.
const MOST_INFLATED: u64 = 1032;

/// The verified payload of a classic image.
pub(super) fn open(blob: &dyn Blob, head: &Head, limits: &Limits) -> Result<(Document, Vec<u8>), ImageError> {
    let (document, deflated) = survey(blob, head, limits)?;
    check_grid(head, &document, limits)?;
    let payload = match (&document.original, document.code_mode) {
        (Some(original), true) => {
            STANDARD.decode(original).map_err(|error| ImageError::malformed("original_data_b64", "Base64", error))?
        }
        (None, true) => {
            return Err(ImageError::Unsupported {
                part: "the encoding",
                expected: "pixels that hold the payload",
                found: "a picture of code, and original_data_b64 is missing".to_owned(),
            });
        }
        (_, false) => {
            let stored = pixels(blob, head, &document, deflated, limits)?;
            if document.compressed { inflate(stored, &document)? } else { stored }
        }
    };
    if payload.len() as u64 != document.data_size {
        return Err(ImageError::malformed("the payload", format_args!("{} bytes", document.data_size), payload.len()));
    }
    check(&document, &payload)?;
    Ok((document, payload))
}

/// Walks every chunk to the end of the file. Gives the metadata and the number of deflated bytes.
fn survey(blob: &dyn Blob, head: &Head, limits: &Limits) -> Result<(Document, u64), ImageError> {
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
    Ok((document?, deflated))
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

/// The bytes in the pixels, along the curve.
fn pixels(
    blob: &dyn Blob,
    head: &Head,
    document: &Document,
    deflated: u64,
    limits: &Limits,
) -> Result<Vec<u8>, ImageError> {
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
    let size = usize::try_from(size).map_err(|_| ImageError::malformed("the payload", "an addressable size", size))?;
    let mut payload = vec![0; size];
    let grid = Grid::new(side);
    let mut turns = Vec::new();
    for_each_row(blob, side, |y, row| {
        let (band, line) = ((y / grid.block()) as usize, (y % grid.block()) as usize);
        if line == 0 {
            turns = (0..grid.squares()).map(|column| grid.square(column, band)).collect();
        }
        for ((square, turn), pixels) in turns.iter().zip(row.chunks_exact(4 * grid.block() as usize)) {
            // Beyond the payload the grid is padding.
            let Some(piece) = payload.get_mut(square * grid.square_bytes()..) else { continue };
            for (pixel, place) in pixels.chunks_exact(4).zip(grid.line(*turn, line)) {
                let at = 4 * usize::from(*place);
                if let Some(four) = piece.get_mut(at..at + 4) {
                    four.copy_from_slice(pixel);
                } else if let Some(rest) = piece.get_mut(at..) {
                    rest.copy_from_slice(&pixel[..rest.len()]);
                }
            }
        }
    })?;
    Ok(payload)
}

/// Decodes the picture and gives its unfiltered rows, from the top.
fn for_each_row(blob: &dyn Blob, side: u32, mut each: impl FnMut(u32, &[u8])) -> Result<(), ImageError> {
    // A few rows and the inflater's window; the crate's own default is 64 MiB.
    let limits = png::Limits { bytes: 16 << 20 };
    let mut decoder = png::Decoder::new_with_limits(BufReader::with_capacity(1 << 16, blob::Reader::new(blob)), limits);
    decoder.ignore_checksums(false);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let broken = |error| match error {
        DecodingError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => ImageError::Io(error),
        error => ImageError::malformed("the picture data", "a valid PNG stream", error),
    };
    let mut reader = decoder.read_info().map_err(broken)?;
    for y in 0..side {
        let row = reader.next_row().map_err(broken)?;
        let row = row.ok_or_else(|| ImageError::malformed("the picture data", format_args!("{side} rows"), y))?;
        // An animation's frame may be smaller than the picture.
        if row.data().len() != 4 * side as usize {
            let expected = format!("rows of {side} pixels");
            return Err(ImageError::malformed("the picture data", expected, row.data().len() / 4));
        }
        each(y, row.data());
    }
    reader.finish().map_err(broken)
}

/// Gives the RGBA pixels of the rows `wanted`, which ascend, to `row`.
pub(super) fn rows(blob: &dyn Blob, side: u32, wanted: &[u32], mut row: impl FnMut(&[u8])) -> Result<(), ImageError> {
    let mut wanted = wanted.iter().peekable();
    for_each_row(blob, side, |y, pixels| {
        while wanted.next_if(|wanted| **wanted == y).is_some() {
            row(pixels);
        }
    })
}

/// Inflates a compressed payload. What it is, its first bytes tell: the label is unreliable.
fn inflate(stored: Vec<u8>, document: &Document) -> Result<Vec<u8>, ImageError> {
    let same_size = stored.len() as u64 == document.data_size;
    // A payload that is a compressed file itself, stored as it is.
    if same_size && document.data_hash == Some(sha256(&stored)) {
        return Ok(stored);
    }
    let broken = |kind: &str, error: &dyn std::fmt::Display| {
        ImageError::malformed("the compressed payload", format_args!("a whole {kind} stream"), error)
    };
    if stored.starts_with(&ZSTD_MAGIC) {
        let window = document.data_size.max(8 << 20);
        let stream = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(stored.as_slice(), window)
            .map_err(|error| broken("zstd", &error))?;
        bounded(stream, document.data_size).map_err(|error| broken("zstd", &error))
    } else if is_zlib(&stored) {
        bounded(flate2::read::ZlibDecoder::new(stored.as_slice()), document.data_size)
            .map_err(|error| broken("zlib", &error))
    } else if same_size {
        Ok(stored)
    } else {
        let found = format!("{:02x?}", &stored[..stored.len().min(4)]);
        Err(ImageError::malformed("the compressed payload", "a zlib or zstd stream", found))
    }
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flags, ..] if cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([*cmf, *flags]) % 31 == 0)
}

/// Reads to the end, at most one byte more than `size`.
fn bounded(stream: impl Read, size: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check(document: &Document, payload: &[u8]) -> Result<(), ImageError> {
    if let Some(expected) = document.data_hash {
        let found = sha256(payload);
        if found != expected {
            return Err(ImageError::PayloadMismatch { expected, found });
        }
    }
    for segment in &document.segments {
        let Some(expected) = segment.sha256 else { continue };
        let range = usize::try_from(segment.offset).ok().zip(usize::try_from(segment.offset + segment.size).ok());
        let (start, end) = range.expect("segments lie inside the payload, which is in memory");
        let found = sha256(&payload[start..end]);
        if found != expected {
            return Err(ImageError::SegmentMismatch { segment: segment.name.clone(), expected, found });
        }
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}
