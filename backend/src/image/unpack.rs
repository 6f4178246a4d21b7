//! Writing a segment as a file: strips are read by all cores, and a strip of zeros becomes a hole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::payload::Payload;
use super::strip::{self, BYTES};
use super::{Body, Image, ImageError, Segment, verify};
use crate::blob::Blob;

/// Who is to blame when a segment cannot be written: the image, or the place for it.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("the segment cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Image {
    /// Fills an empty file with a segment of this image. `progress` gets the bytes that are done. The file is what it
    /// should be only when this ends well: the segment's hash is the last that is checked.
    pub fn unpack(&self, segment: &Segment, file: &File, progress: &mut dyn FnMut(u64)) -> Result<(), UnpackError> {
        let mut range = self.place(segment, 0..segment.size)?;
        file.set_len(segment.size)?;
        match &self.body {
            Body::Streamable(image) => verify::segment(image, segment, |offset, payload, used| {
                if let Payload::Bytes(bytes) = payload {
                    file.write_all_at(&bytes[..used], offset)?;
                }
                progress(offset + used as u64);
                Ok(())
            }),
            // All hashes were checked when it was opened, and nobody else can reach the bytes since.
            Body::Classic { payload, .. } => {
                let mut buffer = vec![0; BYTES];
                while !range.is_empty() {
                    let count = usize::try_from(range.end - range.start).map_or(BYTES, |left| left.min(BYTES));
                    let piece = &mut buffer[..count];
                    payload.read_exact_at(piece, range.start).map_err(ImageError::Io)?;
                    if !strip::is_zero(piece) {
                        file.write_all_at(piece, range.start - segment.offset)?;
                    }
                    range.start += count as u64;
                    progress(range.start - segment.offset);
                }
                Ok(())
            }
        }
    }
}
