//! What is known of a segment without reading it.

use std::ops::Range;

use super::{Body, Image, ImageError, Segment, index};

/// Bytes of a segment that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// In bytes; not 0.
    pub length: u64,
    /// All of them are 0, says the index.
    pub zero: bool,
}

impl Image {
    /// Divides a range of a segment of this image into extents; neighbours differ.
    pub fn extents(&self, segment: &Segment, range: Range<u64>) -> Result<Vec<Extent>, ImageError> {
        let range = self.place(segment, range)?;
        let Body::Streamable(image) = &self.body else {
            let length = range.end - range.start;
            return Ok(Vec::from_iter((length > 0).then_some(Extent { length, zero: false })));
        };
        let mut extents = Vec::<Extent>::new();
        for (number, within) in index::pieces(range) {
            let (length, zero) = (within.len() as u64, image.index.strips[number].flags.is_zero());
            match extents.last_mut() {
                Some(last) if last.zero == zero => last.length += length,
                _ => extents.push(Extent { length, zero }),
            }
        }
        Ok(extents)
    }
}
