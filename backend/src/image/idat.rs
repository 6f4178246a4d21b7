//! Rows of a picture as one IDAT chunk that can be inflated alone.
//!
//! Deflate is reset before every run and ends it with a full flush, so that a run refers to nothing before it. Rows that
//! do not shrink are stored. Runs one after the other, between a zlib header and a last block, form one zlib stream.

use std::io::{self, Write};

use flate2::{Compress, Compression, FlushCompress};

use super::chunk;

/// The zlib header for deflate with a window of 32 KiB.
pub(super) const ZLIB_HEADER: [u8; 2] = [0x78, 0x01];
/// An empty block that is marked as the last one.
const LAST_BLOCK: [u8; 2] = [3, 0];
/// The empty stored block at the end of a full flush. When it is the last block of an image, its first byte is 1.
pub(super) const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];
const STORED_MAX: usize = 0xffff;

/// How much work the writer puts into compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Stored blocks only.
    None,
    /// Deflate level 1. Strips that a sample shows to be incompressible are stored.
    #[default]
    Fast,
    /// Deflate level 9.
    Best,
}

/// Rows as they are written to the file.
#[derive(Debug)]
pub(super) struct Run {
    /// The whole IDAT chunk.
    pub(super) chunk: Vec<u8>,
    /// The chunk consists of stored blocks only.
    pub(super) stored: bool,
    /// The Adler-32 of the raw bytes.
    pub(super) adler: u32,
}

/// Encodes one run after the other. Each result depends only on the run's bytes.
pub(super) struct Deflater {
    effort: Effort,
    stream: Compress,
}

impl Deflater {
    pub(super) fn new(effort: Effort) -> Self {
        let level = if effort == Effort::Best { Compression::best() } else { Compression::fast() };
        Self { effort, stream: Compress::new(level, false) }
    }

    /// `raw` holds rows, each with its filter byte. The chunk replaces the content of `chunk`.
    pub(super) fn run(&mut self, raw: &[u8], mut chunk: Vec<u8>) -> Run {
        chunk.clear();
        chunk.reserve(8 + bound(raw.len()) + 4);
        chunk.extend_from_slice(&[0; 4]);
        chunk.extend_from_slice(b"IDAT");
        let deflated = self.worth_deflating(raw) && {
            deflate(&mut self.stream, raw, &mut chunk);
            chunk.len() < 8 + stored_len(raw.len())
        };
        if !deflated {
            chunk.truncate(8);
            store(raw, &mut chunk);
        }
        let length = u32::try_from(chunk.len() - 8).expect("a run has a few MiB");
        chunk[..4].copy_from_slice(&length.to_be_bytes());
        let crc = chunk::crc(*b"IDAT", &chunk[8..]);
        chunk.extend_from_slice(&crc.to_be_bytes());
        Run { chunk, stored: !deflated, adler: adler(raw) }
    }

    /// Deflates four pieces of 4 KiB as a sample: if they do not shrink by 1/64, the rest will hardly shrink either.
    fn worth_deflating(&mut self, raw: &[u8]) -> bool {
        const PIECE: usize = 4096;
        match self.effort {
            Effort::None => false,
            Effort::Best => true,
            Effort::Fast if raw.len() < 4 * PIECE => true,
            // This check is cheap, while deflating the sample costs as much as hashing the strip.
            Effort::Fast if is_noise(raw) => false,
            Effort::Fast => {
                let mut sample = Vec::with_capacity(4 * bound(PIECE));
                for piece in raw.chunks(raw.len() / 4).take(4) {
                    deflate(&mut self.stream, &piece[..PIECE], &mut sample);
                }
                sample.len() < 4 * (PIECE - PIECE / 64)
            }
        }
    }
}

/// Whether a sample of the bytes is spread over the 256 values so evenly that a code for each value could not save 1/64.
///
/// Such a code cannot save more than chi square / (2 ln 2) bits, and by chance alone chi square is about 255.
fn is_noise(bytes: &[u8]) -> bool {
    /// The step is odd, so that the sample is not just one column of a table.
    const STEP: usize = 61;
    let mut counts = [0_u64; 256];
    bytes.iter().step_by(STEP).for_each(|byte| counts[usize::from(*byte)] += 1);
    let (total, squares) =
        counts.iter().fold((0, 0), |(total, squares), count| (total + count, squares + count * count));
    256 * squares < total * (total + total / 8 + 255)
}

/// Writes the end of the stream: the last block with the Adler-32 of all raw bytes, and IEND.
pub(super) fn write_end(out: &mut impl Write, adler: u32) -> io::Result<()> {
    let mut end = LAST_BLOCK.to_vec();
    end.extend_from_slice(&adler.to_be_bytes());
    chunk::write(out, *b"IDAT", &end)?;
    chunk::write(out, *b"IEND", &[])
}

/// More bytes than deflate makes of incompressible ones at any level: 9 bits for 8, and the blocks' headers.
fn bound(len: usize) -> usize {
    len + len / 8 + 1024
}

/// Appends the deflated bytes with a full flush. The stream is reset first.
///
/// The output never fills its buffer, because zlib-rs does not start afresh when a stream is reset while bytes are still
/// pending.
fn deflate(stream: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) {
    stream.reset();
    out.reserve(bound(bytes.len()));
    stream.compress_vec(bytes, out, FlushCompress::Full).expect("deflate takes all bytes");
    assert!(stream.total_in() == bytes.len() as u64 && out.len() < out.capacity(), "the bound has room to spare");
}

pub(super) fn stored_len(raw_len: usize) -> usize {
    raw_len + 5 * raw_len.div_ceil(STORED_MAX) + EMPTY_BLOCK.len()
}

pub(super) fn store(raw: &[u8], chunk: &mut Vec<u8>) {
    for block in raw.chunks(STORED_MAX) {
        let length = u16::try_from(block.len()).expect("a stored block has at most 65,535 bytes");
        chunk.push(0);
        chunk.extend_from_slice(&length.to_le_bytes());
        chunk.extend_from_slice(&(!length).to_le_bytes());
        chunk.extend_from_slice(block);
    }
    chunk.extend_from_slice(&EMPTY_BLOCK);
}

pub(super) fn adler(bytes: &[u8]) -> u32 {
    simd_adler32::adler32(&bytes)
}

/// The Adler-32 of two runs of bytes together, computed from the sums of both; `length` is the length of the second.
pub(super) fn adler_concat(first: u32, second: u32, length: usize) -> u32 {
    const MODULUS: u64 = 65_521;
    let split = |sum: u32| (u64::from(sum & 0xffff), u64::from(sum >> 16));
    let ((a, b), (c, d)) = (split(first), split(second));
    let length = length as u64 % MODULUS;
    let low = (a + c + MODULUS - 1) % MODULUS;
    let high = (b + d + length * (a + MODULUS - 1)) % MODULUS;
    u32::try_from(high << 16 | low).expect("both sums are below 65,521")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn adler_of_two_parts(a: Vec<u8>, b: Vec<u8>) {
            let whole = simd_adler32::adler32(&[&a[..], &b[..]].concat().as_slice());
            let sum = |bytes: &Vec<u8>| simd_adler32::adler32(&bytes.as_slice());
            prop_assert_eq!(adler_concat(sum(&a), sum(&b), b.len()), whole);
        }
    }
}
