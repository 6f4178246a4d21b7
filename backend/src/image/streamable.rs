//! Reading a streamable image: strip by strip, the hash before everything else.

use std::sync::{Arc, Mutex, PoisonError};

use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::ImageError;
use super::head::Head;
use super::index::{self, Index};
use super::limits::Limits;
use super::metadata::{self, Document};
use super::strip::{self, Decoder};
use crate::blob::Blob;

/// Decoded strips that are kept: 4 MiB, so that small sequential reads decode each strip once.
const KEPT: usize = 16;

/// The payload of a strip; [`strip::BYTES`] long.
type Payload = Arc<Vec<u8>>;

#[derive(Debug)]
pub(super) struct Streamable {
    pub(super) blob: Box<dyn Blob>,
    pub(super) index: Index,
    /// Most recently used last.
    kept: Mutex<Vec<(usize, Payload)>>,
    idle: Mutex<Vec<Decoder>>,
}

impl Streamable {
    /// Checks the index against the file's head, its own digest and its length.
    pub(super) fn open(blob: &dyn Blob, head: &Head, limits: &Limits) -> Result<Option<(Index, Document)>, ImageError> {
        let Some(body) = &head.index else { return Ok(None) };
        let (before, expected) =
            index::split(&body.data).ok_or_else(|| ImageError::malformed("the index", "a digest", body.data.len()))?;
        // The digest first: it tells which text chunk is meant, and damage from disorder.
        let digest = index::digest(before);
        let Some(text) = head.texts.iter().find(|text| digest(&text.data) == expected) else {
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
        if let Some(segment) = document.segments.iter().find(|segment| segment.offset % strip::BYTES as u64 != 0) {
            let part = format!("segment {}", segment.name);
            return Err(ImageError::malformed(part, "an offset at the border of a strip", segment.offset));
        }
        Ok(Some((index, document)))
    }

    pub(super) fn new(blob: Box<dyn Blob>, index: Index) -> Self {
        Self { blob, index, kept: Mutex::default(), idle: Mutex::default() }
    }

    /// The file's bytes of a strip, checked against their hash.
    pub(super) fn fetch(&self, number: usize) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        self.fetch_into(number, &mut bytes).map(|()| bytes)
    }

    /// The same, in place of what the buffer holds.
    pub(super) fn fetch_into(&self, number: usize, bytes: &mut Vec<u8>) -> Result<(), ImageError> {
        let entry = &self.index.strips[number];
        bytes.resize(entry.length as usize, 0);
        self.blob.read_exact_at(bytes, entry.at)?;
        let found = Digest::new(Sha256::digest(&*bytes).into());
        if found == entry.sha256 {
            Ok(())
        } else {
            Err(ImageError::StripMismatch { strip: number, offset: entry.at, expected: entry.sha256, found })
        }
    }

    /// Gives the verified raw bytes of a strip to `use_raw`.
    pub(super) fn with_raw<T>(&self, number: usize, use_raw: impl FnOnce(&[u8]) -> T) -> Result<T, ImageError> {
        let entry = &self.index.strips[number];
        let file = self.fetch(number)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decoder = idle.unwrap_or_else(|| Decoder::new(&self.index.geometry));
        let outcome = decoder.decode(number, entry.at, &file, entry.flags, &self.index.geometry).map(use_raw);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
        outcome
    }

    fn payload(&self, number: usize) -> Result<Payload, ImageError> {
        // A panic elsewhere cannot leave the list half-changed: each change is one call.
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = lock();
            if let Some(place) = kept.iter().position(|(kept, _)| *kept == number) {
                kept[place..].rotate_left(1);
                return Ok(Arc::clone(&kept[kept.len() - 1].1));
            }
        }
        let mut payload = vec![0; strip::BYTES];
        self.with_raw(number, |raw| self.index.geometry.gather(raw, &mut payload))?;
        let payload = Arc::new(payload);
        let mut kept = lock();
        kept.retain(|(kept, _)| *kept != number);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((number, Arc::clone(&payload)));
        Ok(payload)
    }

    /// Fills the buffer from the payload; the caller has checked that it lies inside.
    pub(super) fn read(&self, mut buffer: &mut [u8], mut offset: u64) -> Result<(), ImageError> {
        while !buffer.is_empty() {
            let number = usize::try_from(offset / strip::BYTES as u64).expect("the payload has that many strips");
            let within = usize::try_from(offset % strip::BYTES as u64).expect("less than a strip");
            let (now, later) = buffer.split_at_mut(buffer.len().min(strip::BYTES - within));
            if self.index.strips[number].flags.is_zero() {
                now.fill(0);
            } else {
                now.copy_from_slice(&self.payload(number)?[within..within + now.len()]);
            }
            offset += now.len() as u64;
            buffer = later;
        }
        Ok(())
    }

    /// Gives the RGBA pixels of the rows `wanted`, which ascend, to `row`.
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
