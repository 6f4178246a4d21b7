//! Parses the head of a file from pieces of any length. This file reads nothing itself.
//!
//! [`HeadParser::plan`] says which bytes are needed next, and [`HeadParser::feed`] takes them, or a part of them, with
//! whatever follows. So a file, a network and a cache that holds half of the image share one parser, and how the bytes
//! were cut makes no difference.

use std::mem::take;
use std::ops::Range;

use super::{header, text};
use crate::image::chunk::{self, Body, Chunk};
use crate::image::foreign::foreign;
use crate::image::limits::Limits;
use crate::image::{ImageError, index};

/// The head of an image: everything before the picture data.
#[derive(Debug)]
pub(in crate::image) struct Head {
    /// In pixels.
    pub(in crate::image) width: u32,
    pub(in crate::image) height: u32,
    /// Text chunks with our keyword.
    pub(in crate::image) texts: Vec<Body>,
    pub(in crate::image) index: Option<Body>,
    /// The first IDAT chunk.
    pub(in crate::image) picture: Chunk,
}

/// A head of which the first bytes are known.
#[derive(Debug)]
pub(super) struct HeadParser<'a> {
    limits: &'a Limits,
    /// The size of the file in bytes.
    size: u64,
    /// Where the current item begins.
    at: u64,
    item: Item,
    /// The bytes of the current item, as far as they are known.
    bytes: Vec<u8>,
    /// The number of chunks behind the header.
    chunks: usize,
    /// The sides of the picture in pixels. Both are 0 until the header is known.
    picture: (u32, u32),
    texts: Vec<Body>,
    index: Option<Body>,
}

/// The item at the parser's position. It is completely inside the file.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// As much of the signature as the file has.
    Signature(usize),
    ChunkHead,
    Header(Chunk),
    /// The first bytes of a text chunk, which say whether it has our keyword.
    Keyword(Chunk),
    /// With the number of bytes behind the chunk's head.
    Text(Chunk, usize),
    Index(Chunk, usize),
    /// The first chunk of the picture. The head is complete.
    Picture(Chunk),
}

impl Item {
    fn len(self) -> usize {
        match self {
            Self::Signature(length) | Self::Text(_, length) | Self::Index(_, length) => length,
            Self::ChunkHead => chunk::HEAD,
            Self::Header(chunk) => chunk.length as usize + chunk::CRC,
            Self::Keyword(_) => text::KEYWORD_LEN,
            Self::Picture(_) => 0,
        }
    }
}

impl<'a> HeadParser<'a> {
    /// A parser for a file of `size` bytes.
    pub(super) fn new(size: u64, limits: &'a Limits) -> Result<Self, ImageError> {
        let signature = usize::try_from(size).map_or(chunk::SIGNATURE.len(), |size| size.min(chunk::SIGNATURE.len()));
        if signature == 0 {
            return Err(ImageError::NotPng { found: foreign(&[]).unwrap_or_default() });
        }
        Ok(Self {
            limits,
            size,
            at: 0,
            item: Item::Signature(signature),
            bytes: Vec::new(),
            chunks: 0,
            picture: (0, 0),
            texts: Vec::new(),
            index: None,
        })
    }

    /// The bytes of the file that are needed next, or `None` when the head is complete.
    pub(super) fn plan(&self) -> Option<Range<u64>> {
        let (start, end) = (self.at + self.bytes.len() as u64, self.at + self.item.len() as u64);
        (start < end).then_some(start..end)
    }

    /// Takes bytes of the file from `offset` on. Bytes that are neither planned nor follow from the plan are ignored.
    pub(super) fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        while let Some(wanted) = self.plan() {
            let skip = wanted.start.checked_sub(offset).and_then(|skip| usize::try_from(skip).ok());
            let known = skip.and_then(|skip| bytes.get(skip..)).unwrap_or_default();
            let missing = self.item.len() - self.bytes.len();
            self.bytes.extend_from_slice(&known[..known.len().min(missing)]);
            if known.len() < missing {
                return Ok(());
            }
            let item = take(&mut self.bytes);
            self.next(item)?;
        }
        Ok(())
    }

    /// The head, if it is complete.
    pub(super) fn finish(self) -> Option<Head> {
        let Item::Picture(picture) = self.item else { return None };
        let (width, height) = self.picture;
        Some(Head { width, height, texts: self.texts, index: self.index, picture })
    }

    /// Handles an item that is complete, and decides what comes next.
    fn next(&mut self, bytes: Vec<u8>) -> Result<(), ImageError> {
        match self.item {
            Item::Signature(length) => {
                debug_assert_eq!(bytes.len(), length, "the item has this length");
                if let Some(found) = foreign(&bytes) {
                    return Err(ImageError::NotPng { found });
                }
                self.chunk_at(chunk::SIGNATURE.len() as u64)
            }
            Item::ChunkHead => {
                let head = bytes.try_into().expect("the item has this length");
                self.begin(Chunk::parse(head, self.at, self.size)?)
            }
            Item::Header(chunk) => {
                self.picture = header::sides(&Body::new(chunk, bytes))?;
                self.chunk_at(chunk.end())
            }
            Item::Keyword(chunk) if !text::is_keyword(&bytes) => self.chunk_at(chunk.end()),
            Item::Keyword(chunk) => {
                let taken: usize = self.texts.iter().map(|text| text.data.len()).sum();
                let length = chunk.body_len("the metadata", self.limits.metadata.saturating_sub(taken))?;
                // The text begins with the keyword, which is known already.
                self.bytes = Vec::with_capacity(length);
                self.bytes.extend_from_slice(&bytes);
                self.item = Item::Text(chunk, length);
                Ok(())
            }
            Item::Text(chunk, _) => {
                self.texts.push(Body::new(chunk, bytes));
                self.chunk_at(chunk.end())
            }
            Item::Index(chunk, _) => {
                self.index = Some(Body::new(chunk, bytes));
                self.chunk_at(chunk.end())
            }
            Item::Picture(_) => Ok(()),
        }
    }

    /// Continues with the chunk that begins at `at`.
    fn chunk_at(&mut self, at: u64) -> Result<(), ImageError> {
        Chunk::check_room(at, self.size)?;
        (self.at, self.item) = (at, Item::ChunkHead);
        Ok(())
    }

    /// Decides which part of a chunk is needed.
    fn begin(&mut self, chunk: Chunk) -> Result<(), ImageError> {
        if self.picture == (0, 0) {
            if (&chunk.kind, chunk.length) != (b"IHDR", 13) {
                return Err(ImageError::malformed("the first chunk", "IHDR with 13 bytes", chunk.name()));
            }
            self.take(chunk, Item::Header(chunk));
            return Ok(());
        }
        if self.chunks == self.limits.head_chunks {
            let limit = self.limits.head_chunks as u64;
            return Err(ImageError::Limit { part: "the number of chunks before the picture", limit, found: limit + 1 });
        }
        self.chunks += 1;
        let item = match &chunk.kind {
            b"IDAT" => Item::Picture(chunk),
            b"IEND" => return Err(ImageError::malformed("the PNG file", "picture data", "its end")),
            &index::KIND if self.index.is_some() => {
                return Err(ImageError::malformed(chunk.name(), "one index", "a second one"));
            }
            &index::KIND => Item::Index(chunk, chunk.body_len("the index", self.limits.index)?),
            _ if text::may_hold_metadata(&chunk) => Item::Keyword(chunk),
            _ => return self.chunk_at(chunk.end()),
        };
        self.take(chunk, item);
        Ok(())
    }

    /// Continues with the data of a chunk.
    fn take(&mut self, chunk: Chunk, item: Item) {
        self.bytes.reserve_exact(item.len());
        (self.at, self.item) = (chunk.data_at(), item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::sample_heads;
    use proptest::prelude::*;

    /// Parses a file in pieces that begin where the plan begins and have these lengths.
    fn opened(file: &[u8], mut lengths: impl Iterator<Item = usize>) -> Result<Head, ImageError> {
        let limits = Limits::default();
        let mut parser = HeadParser::new(file.len() as u64, &limits)?;
        while let Some(wanted) = parser.plan() {
            assert!(wanted.start < wanted.end && wanted.end <= file.len() as u64);
            let start = usize::try_from(wanted.start).unwrap();
            let length = lengths.next().unwrap_or(usize::MAX).clamp(1, file.len() - start);
            parser.feed(wanted.start, &file[start..start + length])?;
        }
        Ok(parser.finish().unwrap())
    }

    proptest! {
        #[test]
        fn the_length_of_the_pieces_makes_no_difference(
            which: prop::sample::Index,
            lengths in prop::collection::vec(1_usize..200, 0..60),
            flip in prop::option::of((any::<prop::sample::Index>(), 1_u8..)),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut file = which.get(sample_heads()).clone();
            if let Some((at, bit)) = flip {
                let at = at.index(file.len().min(2000));
                file[at] ^= bit;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()));
            }
            let (whole, pieces) = (opened(&file, std::iter::empty()), opened(&file, lengths.into_iter()));
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
        }
    }

    #[test]
    fn bytes_that_are_not_planned_are_ignored() {
        let (file, limits) = (&sample_heads()[0], Limits::default());
        let mut parser = HeadParser::new(file.len() as u64, &limits).unwrap();
        parser.feed(3, &file[3..]).unwrap();
        assert_eq!(parser.plan(), Some(0..8));
        parser.feed(0, &file[..5]).unwrap();
        assert_eq!(parser.plan(), Some(5..8));
        parser.feed(0, file).unwrap();
        assert!(parser.plan().is_none() && parser.finish().is_some());
    }
}
