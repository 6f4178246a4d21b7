//! Reading a streamable image strip by strip. The hash of a strip is checked before anything else is done with it.

mod cache;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::head::Head;
use super::index::{self, Index};
use super::limits::Limits;
use super::metadata::{self, Document};
use super::payload::{Buffers, ZEROS};
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
    buffers: Arc<Buffers>,
    /// Decoders that are not in use at the moment, each with a buffer for a strip's chunk.
    idle: Mutex<Vec<(Decoder, Vec<u8>)>>,
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

    /// The bytes of a strip's chunk, checked against their hash. Wrong bytes are read once more where that may help.
    pub(super) fn fetch(&self, number: usize) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        self.fetch_into(number, &mut bytes).map(|()| bytes)
    }

    /// Like [`fetch`](Self::fetch), but into a buffer whose content is replaced.
    pub(super) fn fetch_into(&self, number: usize, bytes: &mut Vec<u8>) -> Result<(), ImageError> {
        let entry = &self.index.strips[number];
        bytes.resize(entry.length as usize, 0);
        let mut again = true;
        loop {
            self.blob.read_exact_at(bytes, entry.at)?;
            let found = Digest::new(Sha256::digest(&*bytes).into());
            if checksum::matches(&entry.sha256, &found) {
                self.blob.verified(bytes, entry.at);
                return Ok(());
            }
            if !(self.blob.invalidated(entry.at..entry.end()) && again) {
                return Err(ImageError::StripMismatch {
                    strip: number,
                    offset: entry.at,
                    expected: entry.sha256,
                    found,
                });
            }
            again = false;
        }
    }

    /// Passes the verified raw bytes of a strip to `use_raw`.
    pub(super) fn with_raw<T>(&self, number: usize, use_raw: impl FnOnce(&[u8]) -> T) -> Result<T, ImageError> {
        let entry = &self.index.strips[number];
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut decoder, mut file) = idle.unwrap_or_else(|| (Decoder::new(&self.index.geometry), Vec::new()));
        let outcome = self
            .fetch_into(number, &mut file)
            .and_then(|()| decoder.decode(number, entry.at, &file, entry.flags, &self.index.geometry).map(use_raw));
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((decoder, file));
        outcome
    }

    /// The verified payload of a strip.
    pub(super) fn payload(&self, number: usize) -> Result<Bytes, ImageError> {
        if self.index.strips[number].flags.is_zero() {
            return Ok(Bytes::from_static(&ZEROS));
        }
        self.cache.get(number, || {
            let mut payload = self.buffers.take_strip();
            self.with_raw(number, |raw| self.index.geometry.gather(raw, &mut payload))?;
            Ok(self.buffers.lend(payload))
        })
    }

    /// The verified bytes of a range of the payload, in the pieces in which the cache holds them. The caller has checked
    /// that the range is inside the payload.
    pub(super) fn read(&self, range: Range<u64>) -> Result<Vec<Bytes>, ImageError> {
        index::pieces(range).map(|(number, within)| Ok(self.payload(number)?.slice(within))).collect()
    }

    /// Like [`read`](Self::read), but only if all of the bytes are decoded already.
    pub(super) fn ready(&self, range: Range<u64>) -> Option<Vec<Bytes>> {
        let payload = |number: usize| {
            if self.index.strips[number].flags.is_zero() {
                Some(Bytes::from_static(&ZEROS))
            } else {
                self.cache.ready(number)
            }
        };
        index::pieces(range).map(|(number, within)| Some(payload(number)?.slice(within))).collect()
    }

    /// The strips that are worth decoding now because somebody reads this range, as numbers for [`Self::payload`]. They
    /// begin before `end`.
    pub(super) fn ahead(&self, range: Range<u64>, end: u64) -> Range<usize> {
        let count = index::pieces(range.clone()).map(|(number, _)| self.cache.touch(number)).max().unwrap_or(0);
        let (first, end) = (index::strip_behind(range.end), index::strip_behind(end));
        first..end.min(first + count)
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
