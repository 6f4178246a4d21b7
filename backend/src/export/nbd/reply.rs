//! What answers a request: simple replies, and structured ones in chunks. Pure: values to bytes.

use crate::image::Extent;

const SIMPLE_MAGIC: u32 = 0x6744_6698;
const CHUNK_MAGIC: u32 = 0x668e_33ef;
/// The number under which `base:allocation` is reported.
pub(super) const ALLOCATION: u32 = 1;

/// How reads are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    Simple,
    /// QEMU takes disks whose size is no multiple of 512 bytes only with these.
    Structured,
}

/// A part of a structured reply.
enum Chunk<'a> {
    /// Nothing more: the reply to a read of no bytes.
    None,
    /// What follows was read from this offset.
    Bytes {
        offset: u64,
        length: u32,
    },
    Hole {
        offset: u64,
        length: u32,
    },
    Extents(&'a [Extent]),
    Error(u32),
}

impl Replies {
    /// The reply to a read from `offset`, whose extents are these. `read` fills a buffer from an offset.
    pub(super) fn read<E>(
        self,
        cookie: u64,
        mut offset: u64,
        extents: &[Extent],
        mut read: impl FnMut(&mut [u8], u64) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let total: u64 = extents.iter().map(|extent| extent.length).sum();
        let mut out = Vec::with_capacity(64 + length(total) as usize);
        let mut fill = |out: &mut Vec<u8>, offset, length| {
            let start = out.len();
            out.resize(start + length as usize, 0);
            read(&mut out[start..], offset)
        };
        if self == Self::Simple {
            out.extend_from_slice(&simple(cookie, 0));
            fill(&mut out, offset, length(total))?;
            return Ok(out);
        }
        if extents.is_empty() {
            Chunk::None.write(cookie, true, &mut out);
        }
        for (number, extent) in extents.iter().enumerate() {
            let (last, length) = (number + 1 == extents.len(), length(extent.length));
            if extent.zero {
                Chunk::Hole { offset, length }.write(cookie, last, &mut out);
            } else {
                Chunk::Bytes { offset, length }.write(cookie, last, &mut out);
                fill(&mut out, offset, length)?;
            }
            offset += extent.length;
        }
        Ok(out)
    }

    /// A read, or a question for extents, that failed.
    pub(super) fn failed(self, cookie: u64, error: u32) -> Vec<u8> {
        match self {
            Self::Simple => simple(cookie, error).to_vec(),
            Self::Structured => Chunk::Error(error).only(cookie),
        }
    }
}

/// The reply to a question for extents; it is always structured.
pub(super) fn extents(cookie: u64, extents: &[Extent]) -> Vec<u8> {
    Chunk::Extents(extents).only(cookie)
}

/// The reply to anything else; 0 is success.
pub(super) fn simple(cookie: u64, error: u32) -> [u8; 16] {
    let mut out = [0; 16];
    out[..4].copy_from_slice(&SIMPLE_MAGIC.to_be_bytes());
    out[4..8].copy_from_slice(&error.to_be_bytes());
    out[8..].copy_from_slice(&cookie.to_be_bytes());
    out
}

impl Chunk<'_> {
    fn only(self, cookie: u64) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(cookie, true, &mut out);
        out
    }

    /// Without the bytes that were read.
    fn write(self, cookie: u64, last: bool, out: &mut Vec<u8>) {
        const HOLE_AND_ZERO: u32 = 1 | 2;
        let (kind, length, data): (u16, u32, Vec<u8>) = match self {
            Self::None => (0, 0, Vec::new()),
            Self::Bytes { offset, length } => (1, 8 + length, offset.to_be_bytes().to_vec()),
            Self::Hole { offset, length } => (2, 12, [&offset.to_be_bytes()[..], &length.to_be_bytes()].concat()),
            Self::Extents(extents) => {
                let words = extents.iter().flat_map(|extent| {
                    [length(extent.length), if extent.zero { HOLE_AND_ZERO } else { 0 }].map(u32::to_be_bytes)
                });
                let data = [ALLOCATION.to_be_bytes()].into_iter().chain(words).flatten().collect::<Vec<_>>();
                (5, length(data.len() as u64), data)
            }
            // With a message of no letters.
            Self::Error(error) => (1 << 15 | 1, 6, [&error.to_be_bytes()[..], &[0, 0]].concat()),
        };
        out.extend_from_slice(&CHUNK_MAGIC.to_be_bytes());
        out.extend_from_slice(&u16::from(last).to_be_bytes());
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&cookie.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&data);
    }
}

fn length(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("no request asks for more than its 32 bits")
}
