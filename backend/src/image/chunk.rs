//! PNG chunks over a blob: length, four letters, data, CRC-32 of letters and data.

use std::io::{self, Write};

use crc32fast::Hasher;

use super::ImageError;
use crate::blob::Blob;

pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Length, letters and CRC: what a chunk has besides its data.
pub(super) const FRAME: u64 = 12;

/// A chunk that lies wholly inside its blob; its data is not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) kind: [u8; 4],
    /// Of the length field.
    pub(super) at: u64,
    /// Of the data, in bytes.
    pub(super) length: u32,
}

/// A chunk's data with the CRC that the file holds, not checked yet.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) chunk: Chunk,
    pub(super) data: Vec<u8>,
    crc: u32,
}

impl Chunk {
    pub(super) fn read(blob: &dyn Blob, at: u64) -> Result<Self, ImageError> {
        let mut head = [0; 8];
        let cut =
            |expected| ImageError::Truncated { part: format!("the chunk at byte {at}"), expected, found: blob.len() };
        let end = at.checked_add(FRAME).ok_or_else(|| ImageError::malformed("a chunk's offset", "less", at))?;
        if end > blob.len() {
            return Err(cut(end));
        }
        blob.read_exact_at(&mut head, at)?;
        let [a, b, c, d, kind @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            let found = format!("{kind:02x?}");
            return Err(ImageError::malformed(format!("the chunk at byte {at}"), "a name of four letters", found));
        }
        let chunk = Self { kind, at, length };
        if chunk.end() > blob.len() {
            return Err(cut(chunk.end()));
        }
        Ok(chunk)
    }

    /// One past the CRC.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(FRAME + u64::from(self.length))
    }

    pub(super) fn name(&self) -> String {
        format!("the {} chunk at byte {}", String::from_utf8_lossy(&self.kind), self.at)
    }

    /// Reads the data. `limit` in bytes is checked before anything is allocated; `part` names it in the error.
    pub(super) fn body(&self, blob: &dyn Blob, part: &'static str, limit: usize) -> Result<Body, ImageError> {
        let length = self.length as usize;
        if length > limit {
            return Err(ImageError::Limit { part, limit: limit as u64, found: u64::from(self.length) });
        }
        let mut data = vec![0; length + 4];
        blob.read_exact_at(&mut data, self.at + 8)?;
        let crc = data.split_off(length);
        let crc = u32::from_be_bytes(crc.try_into().expect("four bytes were split off"));
        Ok(Body { chunk: *self, data, crc })
    }
}

impl Body {
    pub(super) fn check_crc(&self) -> Result<(), ImageError> {
        check_crc(&self.chunk, &self.data, self.crc)
    }
}

pub(super) fn check_crc(chunk: &Chunk, data: &[u8], stored: u32) -> Result<(), ImageError> {
    let found = crc(chunk.kind, data);
    if found == stored {
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
/// With 4 GiB of data or more; the writer's chunks are bounded by the index limit.
pub(super) fn write(to: &mut impl Write, kind: [u8; 4], data: &[u8]) -> io::Result<()> {
    let length = u32::try_from(data.len()).expect("chunks are bounded by the index limit");
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&kind)?;
    to.write_all(data)?;
    to.write_all(&crc(kind, data).to_be_bytes())
}
