//! Checked entries as one compressed block of bytes: what waits while a catalog arrives, and what the database keeps.
//!
//! Entries are written as JSON, a line each, and compressed in pieces. A piece is as long as it needs to be for a good
//! ratio, and short enough that neither writing nor reading needs much memory.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use pixelrts_shared::catalog::Entry;
use sha2::{Digest as _, Sha256};

use super::budget::weight;

/// The bytes of lines in a piece, not counting the last line.
const PIECE: usize = 128 << 10;
/// An upper limit for the last line.
const LINE: usize = 64 << 10;

/// Entries that were checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// Pieces, each after its length in four bytes.
    bytes: Vec<u8>,
    /// Lines that are not compressed yet.
    lines: Vec<u8>,
    count: usize,
    weight: usize,
}

/// The bytes are not what this version packs.
#[derive(Debug, thiserror::Error)]
#[error("the kept entries are damaged: {0}")]
pub(super) struct Damaged(String);

impl Packed {
    pub(super) fn push(&mut self, entry: &Entry) {
        serde_json::to_writer(&mut self.lines, entry).expect("an entry is plain data");
        self.lines.push(b'\n');
        self.count += 1;
        self.weight += weight(entry);
        if self.lines.len() >= PIECE {
            self.finish();
        }
    }

    /// Compresses the lines that wait.
    pub(super) fn finish(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        let mut encoder = DeflateEncoder::new(&mut self.bytes, Compression::fast());
        encoder.write_all(&self.lines).and_then(|()| encoder.finish()).expect("memory takes everything");
        let length = u32::try_from(self.bytes.len() - start - 4).expect("a piece is short");
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self.lines = Vec::new();
    }

    /// How many bytes this takes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.lines.len()
    }

    /// How many bytes all entries that were pushed take in memory.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Tells other entries apart.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// How many entries were pushed.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, lines: Vec::new(), count: 0, weight: 0 }
    }

    /// Calls `take` with every entry.
    pub(super) fn unpack(&self, mut take: impl FnMut(Entry)) -> Result<(), Damaged> {
        let damaged = |error: &dyn ToString| Damaged(error.to_string());
        let mut rest = self.bytes.as_slice();
        let mut lines = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (piece, behind) = behind.split_at_checked(length).ok_or_else(|| damaged(&"a piece is cut"))?;
            lines.clear();
            DeflateDecoder::new(piece)
                .take((PIECE + LINE) as u64)
                .read_to_end(&mut lines)
                .map_err(|error: io::Error| damaged(&error))?;
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                take(serde_json::from_slice(line).map_err(|error| damaged(&error))?);
            }
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(damaged(&"a piece is cut")) }
    }
}
