//! A strip: 65,536 pixels, 256 KiB of payload, one IDAT chunk that can be inflated alone.
//!
//! Between the payload and the file are the strip's *raw bytes*: its PNG rows, each of which is a filter byte (0) and W
//! pixels. Each geometry has one table of offsets that maps the curve of a tile onto the rows, so that a pixel costs one
//! load and one store.

use std::sync::{Arc, OnceLock};

use flate2::{Decompress, FlushDecompress, Status};
use sha2::{Digest as _, Sha256};

use super::chunk::Chunk;
use super::idat::{self, Deflater, EMPTY_BLOCK, Effort, Run, stored_len};
use super::{ImageError, hilbert};
use pixelrts_shared::Digest;

pub(super) const PIXELS: u32 = 1 << 16;
/// The number of payload bytes of a strip.
pub(super) const BYTES: usize = 4 * PIXELS as usize;
pub(super) const WIDTHS: [u32; 6] = [512, 1024, 2048, 4096, 8192, 16384];

/// The flags of a strip in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u32);

impl Flags {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ZERO: Self = Self(1);
    pub(super) const STORED: Self = Self(2);

    pub(super) fn new(bits: u32) -> Option<Self> {
        (bits <= 3).then_some(Self(bits))
    }

    fn of(payload: &[u8], stored: bool) -> Self {
        let zero = if is_zero(payload) { Self::ZERO } else { Self::NONE };
        let stored = if stored { Self::STORED } else { Self::NONE };
        Self(zero.0 | stored.0)
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// All payload bytes are zero.
    pub(super) fn is_zero(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn is_stored(self) -> bool {
        self.0 & 2 != 0
    }
}

/// The shape of every strip of an image, and the table that maps it.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    width: u32,
    rows: u32,
    /// Offset in the raw bytes of each pixel of the first tile, along the curve.
    table: Arc<[u32]>,
}

impl Geometry {
    /// Returns `None` for a width that strips never have.
    pub(super) fn new(width: u32) -> Option<Self> {
        /// The tables are made once, because many images are opened only to be listed or refused.
        static MADE: [OnceLock<Geometry>; WIDTHS.len()] = [const { OnceLock::new() }; WIDTHS.len()];
        let place = WIDTHS.iter().position(|known| *known == width)?;
        Some(MADE[place].get_or_init(|| Self::mapped(width, PIXELS / width, hilbert::position)).clone())
    }

    /// `rows` divides the width. `position` gives the place of a pixel in a tile that has so many rows.
    pub(super) fn mapped(width: u32, rows: u32, position: impl Fn(u32, u32) -> (u32, u32)) -> Self {
        let place = |pixel| {
            let (x, y) = position(rows, pixel);
            y * (1 + 4 * width) + 1 + 4 * x
        };
        Self { width, rows, table: (0..rows * rows).map(place).collect() }
    }

    /// The geometry for a number of strips: the picture is about square up to 2 GiB, because the width is the smallest one
    /// whose square holds half of the pixels.
    pub(super) fn for_strips(strips: usize) -> Self {
        let enough = |width: &u32| u64::from(*width).pow(2) >= (strips as u64).saturating_mul(1 << 15);
        let width = WIDTHS.into_iter().find(enough).unwrap_or(WIDTHS[5]);
        Self::new(width).expect("the width is one of the six")
    }

    pub(super) fn width(&self) -> u32 {
        self.width
    }

    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// The number of bytes of a row, with its filter byte.
    pub(super) fn stride(&self) -> usize {
        1 + 4 * self.width as usize
    }

    /// The number of raw bytes of a strip.
    pub(super) fn raw_len(&self) -> usize {
        self.rows as usize * self.stride()
    }

    /// The most bytes that a strip's chunk may have in the file: those of its stored form (docs/FORMAT.md, 3.2).
    pub(super) fn chunk_max(&self) -> usize {
        12 + stored_len(self.raw_len())
    }

    fn tile_bytes(&self) -> usize {
        4 * self.table.len()
    }

    fn scatter(&self, payload: &[u8], raw: &mut [u8]) {
        for (tile, bytes) in payload.chunks_exact(self.tile_bytes()).enumerate() {
            let raw = &mut raw[tile * 4 * self.rows as usize..];
            for (pixel, place) in bytes.chunks_exact(4).zip(self.table.iter()) {
                raw[*place as usize..][..4].copy_from_slice(pixel);
            }
        }
    }

    /// Copies the payload out of the raw bytes.
    pub(super) fn gather(&self, raw: &[u8], payload: &mut [u8]) {
        for (tile, bytes) in payload.chunks_exact_mut(self.tile_bytes()).enumerate() {
            let raw = &raw[tile * 4 * self.rows as usize..];
            for (pixel, place) in bytes.chunks_exact_mut(4).zip(self.table.iter()) {
                pixel.copy_from_slice(&raw[*place as usize..][..4]);
            }
        }
    }
}

/// A strip as it is written to the file.
#[derive(Debug)]
pub(super) struct Encoded {
    /// The whole IDAT chunk.
    pub(super) chunk: Vec<u8>,
    pub(super) flags: Flags,
    pub(super) sha256: Digest,
    /// The Adler-32 of the raw bytes.
    pub(super) adler: u32,
}

/// A strip that is taken over from another file: its chunk, whose hash was checked.
#[derive(Debug)]
pub(super) struct ReusedStrip {
    pub(super) chunk: Vec<u8>,
    pub(super) stored: bool,
    pub(super) sha256: Digest,
}

/// Encodes one strip after the other. Each result depends only on the strip's payload.
pub(super) struct Encoder<'a> {
    geometry: &'a Geometry,
    deflater: Deflater,
    raw: Vec<u8>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(geometry: &'a Geometry, effort: Effort) -> Self {
        Self { geometry, deflater: Deflater::new(effort), raw: vec![0; geometry.raw_len()] }
    }

    /// `payload` has [`BYTES`] bytes. The chunk is made in `buffer`, whose content is replaced.
    pub(super) fn encode(&mut self, payload: &[u8], buffer: Vec<u8>) -> Encoded {
        self.geometry.scatter(payload, &mut self.raw);
        let Run { chunk, stored, adler } = self.deflater.run(&self.raw, buffer);
        let sha256 = Digest::new(Sha256::digest(&chunk).into());
        Encoded { chunk, flags: Flags::of(payload, stored), sha256, adler }
    }

    /// Like [`encode`](Self::encode), with a chunk that is known to hold this payload.
    pub(super) fn reuse(&mut self, payload: &[u8], kept: ReusedStrip) -> Encoded {
        self.geometry.scatter(payload, &mut self.raw);
        let ReusedStrip { chunk, stored, sha256 } = kept;
        Encoded { chunk, flags: Flags::of(payload, stored), sha256, adler: idat::adler(&self.raw) }
    }
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// Decodes strips whose hash has been checked. They may still break every other rule of the format.
#[derive(Debug)]
pub(super) struct Decoder {
    inflate: Decompress,
    /// This buffer is one byte longer than the strip, to notice when more bytes come out.
    raw: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(geometry: &Geometry) -> Self {
        Self { inflate: Decompress::new(false), raw: vec![0; geometry.raw_len() + 1] }
    }

    /// The raw bytes of strip `number`. `file` is its whole chunk, which is stored at `at`.
    pub(super) fn decode(
        &mut self,
        number: usize,
        at: u64,
        file: &[u8],
        flags: Flags,
        geometry: &Geometry,
    ) -> Result<&[u8], ImageError> {
        let part = || format!("strip {number} at byte {at}");
        let body = match file.split_at_checked(8) {
            Some((head, rest)) if rest.len() >= 4 && &head[4..] == b"IDAT" => &rest[..rest.len() - 4],
            _ => return Err(ImageError::malformed(part(), "an IDAT chunk", "something else")),
        };
        let length = u32::from_be_bytes(file[..4].try_into().expect("split at 8"));
        if body.len() != length as usize {
            return Err(ImageError::malformed(part(), format_args!("{} bytes of data", body.len()), length));
        }
        let raw_len = geometry.raw_len();
        let outcome = if flags.is_stored() { self.copy(body, raw_len) } else { self.inflate(body, raw_len) };
        outcome
            .map_err(|found| ImageError::malformed(part(), format_args!("{raw_len} bytes and a full flush"), found))?;
        let raw = &self.raw[..raw_len];
        match raw.iter().step_by(geometry.stride()).find(|filter| **filter != 0) {
            Some(filter) => {
                Err(ImageError::malformed(part(), "rows without a filter", format_args!("filter {filter}")))
            }
            None => Ok(raw),
        }
    }

    /// Copies the content of stored blocks, the last of which must be empty. The error says what was found instead.
    fn copy(&mut self, mut body: &[u8], raw_len: usize) -> Result<(), String> {
        let mut filled = 0;
        loop {
            let Some((&[0, a, b, c, d], rest)) = body.split_first_chunk::<5>() else {
                return Err(format!("no stored block after {filled} bytes, though it is flagged as stored"));
            };
            let length = usize::from(u16::from_le_bytes([a, b]));
            if [c, d] != [!a, !b] || length > rest.len() || filled + length > raw_len {
                return Err(format!("a stored block of {length} bytes after {filled}"));
            }
            self.raw[filled..filled + length].copy_from_slice(&rest[..length]);
            filled += length;
            body = &rest[length..];
            if body.is_empty() {
                return if filled == raw_len && length == 0 { Ok(()) } else { Err(format!("{filled} bytes")) };
            }
        }
    }

    fn inflate(&mut self, body: &[u8], raw_len: usize) -> Result<(), String> {
        /// An empty last block. It inflates to nothing if, and only if, a block may begin where the strip ends.
        const LAST: [u8; 2] = [3, 0];
        self.inflate.reset(false);
        let outcome = self.inflate.decompress(body, &mut self.raw, FlushDecompress::Sync);
        let count = self.inflate.total_out();
        match outcome {
            Ok(Status::StreamEnd) => return Err(format!("an end of the stream after {count} bytes")),
            Ok(Status::Ok | Status::BufError) => {}
            Err(error) => return Err(format!("{error} after {count} bytes")),
        }
        if count != raw_len as u64 || self.inflate.total_in() != body.len() as u64 {
            return Err(if count > raw_len as u64 { "more bytes".to_owned() } else { format!("{count} bytes") });
        }
        let flushed = body.ends_with(&EMPTY_BLOCK[1..]);
        let end = self.inflate.decompress(&LAST, &mut self.raw[raw_len..], FlushDecompress::Sync);
        if flushed && matches!(end, Ok(Status::StreamEnd)) && self.inflate.total_out() == count {
            Ok(())
        } else {
            Err("no full flush at its end".to_owned())
        }
    }
}

/// The chunk at the place that the index gives, for messages.
pub(super) fn placed(at: u64, file: &[u8]) -> Chunk {
    let length = u32::try_from(file.len().saturating_sub(12)).unwrap_or(u32::MAX);
    Chunk { kind: *b"IDAT", at, length }
}

#[cfg(test)]
mod tests;
