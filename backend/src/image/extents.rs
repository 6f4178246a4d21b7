//! Which parts of a segment are zero, without reading it.

use std::ops::Range;

use super::{Content, Image, ImageError, Segment, index};

/// A run of bytes of a segment that are either all known to be zero, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// In bytes; not 0.
    pub length: u64,
    /// The index says that all of these bytes are 0.
    pub zero: bool,
}

impl Image {
    /// Divides a range of a segment of this image into extents. Neighbouring extents differ in `zero`.
    pub fn extents(&self, segment: &Segment, range: Range<u64>) -> Result<Vec<Extent>, ImageError> {
        let range = self.locate(segment, range)?;
        let Content::Streamable(image) = &self.content else {
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
