//! Reads parts of an image as `docs/FORMAT.md` defines them: the index, which a client compares to find out what it has
//! to fetch, and the stream of the picture.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::ZlibDecoder;

/// A strip, as the index describes it.
pub(super) struct Strip {
    /// The bytes of its chunk in the file.
    pub(super) length: u64,
    pub(super) zero: bool,
    pub(super) sha256: [u8; 32],
}

/// The data of all chunks of a kind, joined.
fn chunks(file: &File, kind: [u8; 4]) -> Result<Vec<u8>> {
    let (mut data, mut at, size) = (Vec::new(), 8, file.metadata()?.len());
    while at < size {
        let mut head = [0; 8];
        file.read_exact_at(&mut head, at)?;
        let length = u32::from_be_bytes(head[..4].try_into()?);
        if head[4..] == kind {
            let start = data.len();
            data.resize(start + length as usize, 0);
            file.read_exact_at(&mut data[start..], at + 8)?;
        }
        at += 12 + u64::from(length);
    }
    Ok(data)
}

/// The rows of the picture, each with its filter byte.
pub(super) fn rows(image: &Path) -> Result<impl Read> {
    Ok(ZlibDecoder::new(io::Cursor::new(chunks(&File::open(image)?, *b"IDAT")?)))
}

/// The strips, and the number of bytes of the file that are outside of them.
pub(super) fn read(image: &Path) -> Result<(Vec<Strip>, u64)> {
    let file = File::open(image)?;
    let data = chunks(&file, *b"rtSX")?;
    let entries = data.get(24..data.len().saturating_sub(32)).context("no index")?;
    let strip = |entry: &[u8; 48]| -> Result<Strip> {
        let word = |at: usize| -> Result<u32> { Ok(u32::from_le_bytes(entry[at..at + 4].try_into()?)) };
        Ok(Strip { length: word(8)?.into(), zero: word(12)? & 1 == 1, sha256: entry[16..].try_into()? })
    };
    let strips = entries.as_chunks().0.iter().map(strip).collect::<Result<Vec<_>>>()?;
    let rest = file.metadata()?.len() - strips.iter().map(|strip| strip.length).sum::<u64>();
    Ok((strips, rest))
}
