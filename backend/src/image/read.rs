//! Reading an opened image at an offset, for a guest or for another reader of a file: where the bytes are in the payload,
//! and then its strips, or the payload of a classic image. What is returned is verified.

mod verified_strips;

use std::ops::Range;

use bytes::Bytes;

use super::{Content, Image, ImageError, Segment};
use crate::blob::Blob;

impl Image {
    /// The verified bytes in a range of a segment of this image, in pieces that other readers may share. At the segment's
    /// end there are fewer bytes than requested, and behind it there are none.
    pub fn read(&self, segment: &Segment, range: Range<u64>) -> Result<Vec<Bytes>, ImageError> {
        let range = self.locate(segment, range)?;
        match &self.content {
            Content::Streamable(image) => image.read(range),
            Content::Classic { payload, .. } => {
                let count = usize::try_from(range.end - range.start)
                    .map_err(|_| std::io::Error::from(std::io::ErrorKind::OutOfMemory))?;
                let mut bytes = vec![0; count];
                payload.read_exact_at(&mut bytes, range.start)?;
                Ok(vec![bytes.into()])
            }
        }
    }

    /// Like [`read`](Self::read), but only if nothing has to be read and decoded for it.
    #[must_use]
    pub fn ready(&self, segment: &Segment, range: Range<u64>) -> Option<Vec<Bytes>> {
        let range = self.locate(segment, range).ok()?;
        match &self.content {
            Content::Streamable(image) => image.ready(range),
            Content::Classic { .. } => None,
        }
    }

    /// The strips that are worth [preparing](Self::prepare) when somebody reads this range. There are none for a reader
    /// that does not read in order.
    #[must_use]
    pub fn ahead(&self, segment: &Segment, range: Range<u64>) -> Range<usize> {
        match (&self.content, self.locate(segment, range)) {
            (Content::Streamable(image), Ok(range)) => image.ahead(range, segment.offset.saturating_add(segment.size)),
            _ => 0..0,
        }
    }

    /// Decodes a strip, so that it is ready for a reader that is about to reach it. A failure is ignored here: that
    /// reader meets it again and reports it.
    pub fn prepare(&self, strip: usize) {
        if let Content::Streamable(image) = &self.content {
            let _ = image.payload(strip);
        }
    }

    /// The ranges of the file that [`read`](Self::read) needs. A classic image needs none, because it was read when it
    /// was opened.
    pub fn plan(&self, segment: &Segment, range: Range<u64>) -> Result<Vec<Range<u64>>, ImageError> {
        let range = self.locate(segment, range)?;
        match &self.content {
            Content::Streamable(image) => Ok(image.index.plan(range)),
            Content::Classic { .. } => Ok(Vec::new()),
        }
    }

    /// Fills the buffer with what [`read`](Self::read) gives from `offset` of a segment on, and returns how many bytes.
    pub fn read_at(&self, segment: &Segment, buffer: &mut [u8], offset: u64) -> Result<usize, ImageError> {
        let mut filled = 0;
        for piece in self.read(segment, offset..offset.saturating_add(buffer.len() as u64))? {
            buffer[filled..filled + piece.len()].copy_from_slice(&piece);
            filled += piece.len();
        }
        Ok(filled)
    }

    /// Where a range of a segment is in the payload, cut off at the segment's end. It fails for a segment of another image
    /// that does not fit into this payload.
    pub(super) fn locate(&self, segment: &Segment, range: Range<u64>) -> Result<Range<u64>, ImageError> {
        let within = |offset: u64| segment.offset.checked_add(offset.min(segment.size));
        let placed = within(range.start).zip(within(range.end.max(range.start)));
        placed.filter(|(_, end)| *end <= self.document.data_size).map(|(start, end)| start..end).ok_or_else(|| {
            let expected = format!("an end within {} bytes of payload", self.document.data_size);
            ImageError::malformed(format!("segment {}", segment.name), expected, segment.offset)
        })
    }
}
