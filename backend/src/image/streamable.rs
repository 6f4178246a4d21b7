//! An opened streamable image: its index, its file, and the strips that are decoded already. [`read`](super::read) says
//! how strips are read.

mod cache;

use std::sync::{Arc, Mutex};

use super::head::Head;
use super::index::{self, Index};
use super::limits::Limits;
use super::metadata::{self, Document};
use super::payload::Buffers;
use super::strip::{BYTES, Decoder};
use super::{ImageError, checksum};
use crate::blob::Blob;
pub(super) use cache::StripCache;

#[derive(Debug)]
pub(super) struct Streamable {
    pub(super) blob: Box<dyn Blob>,
    pub(super) index: Index,
    pub(super) cache: StripCache,
    /// Buffers for the strips in the cache.
    pub(super) buffers: Arc<Buffers>,
    /// Decoders that are not in use at the moment, each with a buffer for a strip's chunk.
    pub(super) idle: Mutex<Vec<(Decoder, Vec<u8>)>>,
}

impl Streamable {
    /// Checks the index against the file's head, its own digest and its length.
    pub(super) fn open(blob: &dyn Blob, head: &Head, limits: &Limits) -> Result<Option<(Index, Document)>, ImageError> {
        let Some(body) = &head.index else { return Ok(None) };
        let (before, expected) =
            index::split(&body.data).ok_or_else(|| ImageError::malformed("the index", "a digest", body.data.len()))?;
        // The digest is checked first: it says which text chunk belongs to the index, and damage is reported as such.
        let digest = index::digest(before);
        let Some(text) = head.texts.iter().find(|text| checksum::matches(&expected, &digest(&text.data))) else {
            let first = head.texts.first().ok_or(ImageError::NoMetadata)?;
            return Err(ImageError::IndexMismatch { expected, found: digest(&first.data) });
        };
        text.check_crc()?;
        body.check_crc()?;
        if text.chunk.at > body.chunk.at {
            return Err(ImageError::malformed("the index", "a place behind the metadata", "one before it"));
        }
        let index = Index::parse(&body.data, body.chunk.end(), blob.len())?;
        let picture = (u64::from(head.width), u64::from(head.height));
        if picture != (u64::from(index.geometry.width()), index.height()) {
            let expected = format!("{} x {} pixels", index.geometry.width(), index.height());
            return Err(ImageError::malformed("the picture", expected, format_args!("{} x {}", picture.0, picture.1)));
        }
        let (_, document) =
            metadata::candidates(std::slice::from_ref(text), limits).next().ok_or(ImageError::NoMetadata)?;
        let document = document?;
        if document.data_size != index.data_size {
            return Err(ImageError::malformed("data_size", index.data_size, document.data_size));
        }
        if let Some(segment) = document.segments.iter().find(|segment| segment.offset % BYTES as u64 != 0) {
            let part = format!("segment {}", segment.name);
            return Err(ImageError::malformed(part, "an offset at the border of a strip", segment.offset));
        }
        Ok(Some((index, document)))
    }

    pub(super) fn new(blob: Box<dyn Blob>, index: Index) -> Self {
        Self { blob, index, cache: StripCache::default(), buffers: Arc::default(), idle: Mutex::default() }
    }

    /// Passes the RGBA pixels of the rows `wanted`, which are in ascending order, to `row`.
    pub(super) fn rows(&self, wanted: &[u32], mut row: impl FnMut(&[u8])) -> Result<(), ImageError> {
        let (rows, stride) = (self.index.geometry.rows(), self.index.geometry.stride());
        for same_strip in wanted.chunk_by(|a, b| a / rows == b / rows) {
            let mut each = |raw: &[u8]| {
                for wanted in same_strip {
                    row(&raw[(wanted % rows) as usize * stride..][1..stride]);
                }
            };
            let number = (same_strip[0] / rows) as usize;
            if self.index.strips[number].flags.is_zero() {
                each(&vec![0; self.index.geometry.raw_len()]);
            } else {
                self.with_raw(number, each)?;
            }
        }
        Ok(())
    }
}
