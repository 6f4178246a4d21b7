//! The index of an image, read as `docs/FORMAT.md` says: what a client compares to know what it has to fetch.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

/// A strip as the index has it.
pub(super) struct Strip {
    /// Of its chunk in the file, in bytes.
    pub(super) length: u64,
    pub(super) zero: bool,
    pub(super) sha256: [u8; 32],
}

/// The strips, and the bytes of the file that are in none of them.
pub(super) fn read(image: &Path) -> Result<(Vec<Strip>, u64)> {
    let file = File::open(image)?;
    let mut at = 8;
    let data = loop {
        let mut head = [0; 8];
        file.read_exact_at(&mut head, at).context("no index")?;
        let length = u32::from_be_bytes(head[..4].try_into()?);
        if head[4..] == *b"rtSX" {
            let mut data = vec![0; length as usize];
            file.read_exact_at(&mut data, at + 8)?;
            break data;
        }
        at += 12 + u64::from(length);
    };
    let entries = data.get(24..data.len() - 32).context("a short index")?;
    let strip = |entry: &[u8; 48]| -> Result<Strip> {
        let word = |at: usize| -> Result<u32> { Ok(u32::from_le_bytes(entry[at..at + 4].try_into()?)) };
        Ok(Strip { length: word(8)?.into(), zero: word(12)? & 1 == 1, sha256: entry[16..].try_into()? })
    };
    let strips = entries.as_chunks().0.iter().map(strip).collect::<Result<Vec<_>>>()?;
    let rest = file.metadata()?.len() - strips.iter().map(|strip| strip.length).sum::<u64>();
    Ok((strips, rest))
}
