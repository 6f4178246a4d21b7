//! PNG chunks: length, four letters, data, CRC-32 of letters and data.

use std::io::{self, Write};

use crc32fast::Hasher;

use super::{ImageError, checksum};
use crate::blob::Blob;

pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// The bytes of a chunk besides its data: length, letters and CRC.
pub(super) const FRAME: u64 = 12;
/// The bytes before the data: length and letters.
pub(super) const HEAD: usize = 8;
pub(super) const CRC: usize = 4;

/// A chunk that is completely inside its blob. Its data has not been read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) kind: [u8; 4],
    /// Where the chunk begins, at its length field.
    pub(super) at: u64,
    /// The length of the data in bytes.
    pub(super) length: u32,
}

/// A chunk's data with the CRC from the file, which has not been checked yet.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) chunk: Chunk,
    pub(super) data: Vec<u8>,
    crc: u32,
}

impl Chunk {
    pub(super) fn read(blob: &dyn Blob, at: u64) -> Result<Self, ImageError> {
        Self::check_room(at, blob.len())?;
        let mut head = [0; HEAD];
        blob.read_exact_at(&mut head, at)?;
        Self::parse(head, at, blob.len())
    }

    /// Checks that a file of `size` bytes has room for the smallest chunk at `at`.
    pub(super) fn check_room(at: u64, size: u64) -> Result<(), ImageError> {
        let end = at.checked_add(FRAME).ok_or_else(|| ImageError::malformed("a chunk's offset", "less", at))?;
        if end > size { Err(cut(at, end, size)) } else { Ok(()) }
    }

    /// Parses the first bytes of a chunk at `at`, which must end within a file of `size` bytes.
    pub(super) fn parse(head: [u8; HEAD], at: u64, size: u64) -> Result<Self, ImageError> {
        let [a, b, c, d, kind @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(ImageError::malformed(
                format!("the chunk at byte {at}"),
                "a name of four letters",
                "other bytes",
            ));
        }
        let known = matches!(&kind, b"IHDR" | b"PLTE" | b"IDAT" | b"IEND");
        if kind[0].is_ascii_uppercase() && !known {
            let found = String::from_utf8_lossy(&kind);
            return Err(ImageError::malformed(
                format!("the chunk at byte {at}"),
                "a critical chunk that PNG defines",
                found,
            ));
        }
        let chunk = Self { kind, at, length };
        if chunk.end() > size { Err(cut(at, chunk.end(), size)) } else { Ok(chunk) }
    }

    /// The offset behind the CRC.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(FRAME + u64::from(self.length))
    }

    pub(super) fn name(&self) -> String {
        format!("the {} chunk at byte {}", String::from_utf8_lossy(&self.kind), self.at)
    }

    /// The offset of the first byte of the data.
    pub(super) fn data_at(&self) -> u64 {
        self.at + HEAD as u64
    }

    /// The number of bytes of the data and of the CRC behind it. The data may have at most `limit` bytes; `part` names it
    /// in the error.
    pub(super) fn body_len(&self, part: &'static str, limit: usize) -> Result<usize, ImageError> {
        let length = self.length as usize;
        if length > limit {
            return Err(ImageError::Limit { part, limit: limit as u64, found: u64::from(self.length) });
        }
        Ok(length + CRC)
    }

    /// Reads the data. The limit is checked before memory is allocated.
    pub(super) fn body(&self, blob: &dyn Blob, part: &'static str, limit: usize) -> Result<Body, ImageError> {
        let mut data = vec![0; self.body_len(part, limit)?];
        blob.read_exact_at(&mut data, self.data_at())?;
        Ok(Body::new(*self, data))
    }
}

impl Body {
    /// Makes a body from all of the chunk's bytes behind its head.
    pub(super) fn new(chunk: Chunk, mut data: Vec<u8>) -> Self {
        let crc = data.split_off(chunk.length as usize);
        Self { chunk, data, crc: u32::from_be_bytes(crc.try_into().expect("a CRC has four bytes")) }
    }

    pub(super) fn check_crc(&self) -> Result<(), ImageError> {
        check_crc(&self.chunk, &self.data, self.crc)
    }
}

fn cut(at: u64, expected: u64, found: u64) -> ImageError {
    ImageError::Truncated { part: format!("the chunk at byte {at}"), expected, found }
}

pub(super) fn check_crc(chunk: &Chunk, data: &[u8], stored: u32) -> Result<(), ImageError> {
    let found = crc(chunk.kind, data);
    if checksum::matches(&stored, &found) {
        return Ok(());
    }
    let part = format!("the CRC-32 of {}", chunk.name());
    Err(ImageError::malformed(part, format_args!("{stored:08x}"), format_args!("{found:08x}")))
}

pub(super) fn crc(kind: [u8; 4], data: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(&kind);
    crc.update(data);
    crc.finalize()
}

/// Writes a chunk.
///
/// # Panics
/// It panics with 4 GiB of data or more. The limit of the index keeps the writer's chunks smaller.
pub(super) fn write(to: &mut impl Write, kind: [u8; 4], data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).expect("chunks are bounded by the index limit");
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&kind)?;
    to.write_all(data)?;
    to.write_all(&crc(kind, data).to_be_bytes())
}
