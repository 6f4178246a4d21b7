//! Reading a streamable image strip by strip. The hash of a strip is checked before anything else is done with it.

use std::ops::Range;
use std::sync::PoisonError;

use bytes::Bytes;
use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::super::payload::ZEROS;
use super::super::streamable::Streamable;
use super::super::strip::Decoder;
use super::super::{ImageError, checksum, index};

impl Streamable {
    /// The bytes of a strip's chunk, checked against their hash. Wrong bytes are read once more where that may help.
    pub(in crate::image) fn fetch(&self, number: usize) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        self.fetch_into(number, &mut bytes).map(|()| bytes)
    }

    /// Like [`fetch`](Self::fetch), but into a buffer whose content is replaced.
    pub(in crate::image) fn fetch_into(&self, number: usize, bytes: &mut Vec<u8>) -> Result<(), ImageError> {
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
    pub(in crate::image) fn with_raw<T>(
        &self,
        number: usize,
        use_raw: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ImageError> {
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
    pub(in crate::image) fn payload(&self, number: usize) -> Result<Bytes, ImageError> {
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
    pub(in crate::image) fn read(&self, range: Range<u64>) -> Result<Vec<Bytes>, ImageError> {
        index::pieces(range).map(|(number, within)| Ok(self.payload(number)?.slice(within))).collect()
    }

    /// Like [`read`](Self::read), but only if all of the bytes are decoded already.
    pub(in crate::image) fn ready(&self, range: Range<u64>) -> Option<Vec<Bytes>> {
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
    pub(in crate::image) fn ahead(&self, range: Range<u64>, end: u64) -> Range<usize> {
        let count = index::pieces(range.clone()).map(|(number, _)| self.cache.touch(number)).max().unwrap_or(0);
        let (first, end) = (index::strip_behind(range.end), index::strip_behind(end));
        first..end.min(first + count)
    }
}
