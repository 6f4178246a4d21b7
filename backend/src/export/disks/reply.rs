//! Replies to requests: simple ones, and structured ones in chunks. Pure: values to bytes.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::image::Extent;

const SIMPLE_MAGIC: u32 = 0x6744_6698;
const CHUNK_MAGIC: u32 = 0x668e_33ef;
/// The number under which `base:allocation` is reported.
pub(super) const ALLOCATION: u32 = 1;

/// How reads are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    Simple,
    /// QEMU needs these for disks whose size is not a multiple of 512 bytes.
    Structured,
}

/// A part of a structured reply.
enum Chunk<'a> {
    /// The end. It is the reply to a read of 0 bytes.
    None,
    /// The bytes that follow were read from this offset.
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
    /// The reply to a read from `offset`, in parts that follow each other. The extents are those of the bytes read.
    pub(super) fn read(self, cookie: u64, mut offset: u64, extents: &[Extent], read: Vec<Bytes>) -> Vec<Bytes> {
        if self == Self::Simple {
            return [vec![simple(cookie, 0)], read].concat();
        }
        if extents.is_empty() {
            return vec![Chunk::None.bytes(cookie, true)];
        }
        let (mut read, mut reply) = (VecDeque::from(read), Vec::new());
        for (number, extent) in extents.iter().enumerate() {
            let (last, length) = (number + 1 == extents.len(), length(extent.length));
            let bytes = first(&mut read, length as usize);
            if extent.zero {
                reply.push(Chunk::Hole { offset, length }.bytes(cookie, last));
            } else {
                reply.push(Chunk::Bytes { offset, length }.bytes(cookie, last));
                reply.extend(bytes);
            }
            offset += extent.length;
        }
        reply
    }

    /// The reply to a read, or to a request for extents, that failed.
    pub(super) fn failed(self, cookie: u64, error: u32) -> Bytes {
        match self {
            Self::Simple => simple(cookie, error),
            Self::Structured => Chunk::Error(error).bytes(cookie, true),
        }
    }
}

/// The reply to a request for extents; it is always structured.
pub(super) fn extents(cookie: u64, extents: &[Extent]) -> Bytes {
    Chunk::Extents(extents).bytes(cookie, true)
}

/// The reply to anything else; 0 is success.
pub(super) fn simple(cookie: u64, error: u32) -> Bytes {
    [&SIMPLE_MAGIC.to_be_bytes()[..], &error.to_be_bytes(), &cookie.to_be_bytes()].concat().into()
}

impl Chunk<'_> {
    /// The chunk without the bytes that were read, which follow it.
    fn bytes(self, cookie: u64, last: bool) -> Bytes {
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
            // The text of the message is empty.
            Self::Error(error) => (1 << 15 | 1, 6, [&error.to_be_bytes()[..], &[0, 0]].concat()),
        };
        [
            &CHUNK_MAGIC.to_be_bytes()[..],
            &u16::from(last).to_be_bytes(),
            &kind.to_be_bytes(),
            &cookie.to_be_bytes(),
            &length.to_be_bytes(),
            &data,
        ]
        .concat()
        .into()
    }
}

/// Takes so many bytes from the front.
fn first(pieces: &mut VecDeque<Bytes>, mut count: usize) -> Vec<Bytes> {
    let mut taken = Vec::new();
    while count > 0 {
        let Some(mut piece) = pieces.pop_front() else { break };
        taken.push(piece.split_to(piece.len().min(count)));
        count -= taken.last().map_or(0, Bytes::len);
        if !piece.is_empty() {
            pieces.push_front(piece);
        }
    }
    taken
}

fn length(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("the length of a request has 32 bits")
}
