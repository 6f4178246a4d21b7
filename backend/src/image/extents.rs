//! What is known of a segment without reading it.

use std::ops::Range;

use super::strip::BYTES;
use super::{Body, Image, ImageError, Segment};

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
        let length = range.end.saturating_sub(range.start);
        let mut at = self.place(segment, range.start, length)?;
        let Body::Streamable(image) = &self.body else {
            return Ok(Vec::from_iter((length > 0).then_some(Extent { length, zero: false })));
        };
        let (end, mut extents) = (at + length, Vec::<Extent>::new());
        while at < end {
            let number = usize::try_from(at / BYTES as u64).expect("the payload has that many strips");
            let next = end.min((number as u64 + 1) * BYTES as u64);
            let (length, zero) = (next - at, image.index.strips[number].flags.is_zero());
            match extents.last_mut() {
                Some(last) if last.zero == zero => last.length += length,
                _ => extents.push(Extent { length, zero }),
            }
            at = next;
        }
        Ok(extents)
    }
}
