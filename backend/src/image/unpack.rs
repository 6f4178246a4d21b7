//! Writing a segment as a file: strips are read by all cores, and a strip of zeros becomes a hole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use pixelrts_shared::Problem;

use super::payload::Payload;
use super::strip::{self, BYTES};
use super::{Content, Image, ImageError, Segment, verify};
use crate::blob::Blob;
use crate::files::storage_problem;

/// Why a segment cannot be written: because of the image, or because of the file to write.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("the segment cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl From<UnpackError> for Problem {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::Image(error) => error.into(),
            UnpackError::Output(error) => storage_problem(&error, "A segment cannot be written."),
        }
    }
}

impl Image {
    /// Fills an empty file with a segment of this image. `progress` gets the bytes that are done. The file is
    /// complete and right only when this succeeds, because the segment's hash is checked last.
    pub fn unpack(&self, segment: &Segment, file: &File, progress: &mut dyn FnMut(u64)) -> Result<(), UnpackError> {
        let mut range = self.locate(segment, 0..segment.size)?;
        file.set_len(segment.size)?;
        match &self.content {
            Content::Streamable(image) => verify::segment(image, segment, |offset, payload, used| {
                if let Payload::Bytes(bytes) = payload {
                    file.write_all_at(&bytes[..used], offset)?;
                }
                progress(offset + used as u64);
                Ok(())
            }),
            // All hashes were checked when the image was opened, and nobody else can change the bytes since then.
            Content::Classic { payload, .. } => {
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
