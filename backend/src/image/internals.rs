//! Parts of the reader by themselves, for fuzzers and benchmarks. Only with the feature `internals`.

mod decoded;
mod mapping;

use std::ops::Range;

use super::chunk::Chunk;
use super::head;
use super::index::Index;
use super::metadata::{self, Document};
use super::strip::{Decoder, Flags, Geometry};
use super::{ImageError, Limits, Metadata, Segment, classic, hilbert};
use crate::blob::Blob;
pub use decoded::decoded;
pub use mapping::{Mapping, Strips};

/// Where the head's chunks are, as ranges of the file.
#[derive(Debug)]
pub struct Head {
    /// In pixels.
    pub width: u32,
    pub height: u32,
    pub texts: Vec<Range<u64>>,
    pub index: Option<Range<u64>>,
    /// The first IDAT chunk.
    pub picture: Range<u64>,
}

pub fn head(blob: &dyn Blob, limits: &Limits) -> Result<Head, ImageError> {
    let place = |chunk: &Chunk| chunk.at..chunk.end();
    let head::Head { width, height, texts, index, picture } = head::Head::read(blob, limits)?;
    let texts = texts.iter().map(|text| place(&text.chunk)).collect();
    Ok(Head { width, height, texts, index: index.map(|index| place(&index.chunk)), picture: place(&picture) })
}

/// Walks all chunks of a classic image. Gives the bytes of deflated picture data.
pub fn survey(blob: &dyn Blob, limits: &Limits) -> Result<u64, ImageError> {
    classic::survey(blob, &head::Head::read(blob, limits)?, limits).map(|(_, deflated)| deflated)
}

/// What the metadata says of the payload.
#[derive(Debug)]
pub struct Table {
    /// In bytes.
    pub data_size: u64,
    pub segments: Vec<Segment>,
    pub metadata: Metadata,
}

impl From<Document> for Table {
    fn from(Document { data_size, segments, metadata, .. }: Document) -> Self {
        Self { data_size, segments, metadata }
    }
}

/// Every document in the text chunks of the head.
pub fn tables(blob: &dyn Blob, limits: &Limits) -> Result<Vec<Result<Table, ImageError>>, ImageError> {
    let head = head::Head::read(blob, limits)?;
    Ok(metadata::candidates(&head.texts, limits).map(|(_, document)| document.map(Table::from)).collect())
}

/// A strip as the index places it.
#[derive(Debug)]
pub struct Strip {
    /// The chunk in the file.
    pub place: Range<u64>,
    pub flags: u32,
}

/// Width and rows of the strips in pixels, bytes of payload, and the strips.
pub fn index(data: &[u8], first: u64, size: u64) -> Result<(u32, u32, u64, Vec<Strip>), ImageError> {
    let Index { geometry, data_size, strips, .. } = Index::parse(data, first, size)?;
    let strips = strips.iter().map(|strip| Strip { place: strip.at..strip.end(), flags: strip.flags.bits() });
    Ok((geometry.width(), geometry.rows(), data_size, strips.collect()))
}

/// Decodes strips of one shape, which may be smaller than those of images.
#[derive(Debug)]
pub struct StripDecoder {
    geometry: Geometry,
    decoder: Decoder,
}

impl StripDecoder {
    /// In pixels; `rows` is a power of two that divides `width`.
    #[must_use]
    pub fn new(width: u32, rows: u32) -> Self {
        let geometry = Geometry::mapped(width, rows, hilbert::position);
        Self { decoder: Decoder::new(&geometry), geometry }
    }

    /// Raw bytes and payload of a strip; `flags` are 0 to 3.
    pub fn decode(&mut self, chunk: &[u8], flags: u32) -> Result<(Vec<u8>, Vec<u8>), ImageError> {
        let flags = Flags::new(flags).ok_or_else(|| ImageError::malformed("flags", "0 to 3", flags))?;
        let raw = self.decoder.decode(0, 0, chunk, flags, &self.geometry)?;
        let mut payload = vec![0; 4 * (self.geometry.width() * self.geometry.rows()) as usize];
        self.geometry.gather(raw, &mut payload);
        Ok((raw.to_vec(), payload))
    }
}
