//! The head of the file: everything before the picture data.

mod header;
mod parser;
mod text;

use super::ImageError;
use super::foreign::{ENOUGH, foreign};
use super::limits::Limits;
use crate::blob::Blob;
pub(super) use parser::Head;
use parser::HeadParser;
pub(super) use text::collect_text;

/// How many bytes are read at once. The head of a remote image costs one request, unless its index is longer.
const READ: u64 = 256 << 10;
/// No more bytes than this are held besides the parts of the head that are kept.
const MOST_READ: u64 = 1 << 20;

impl Head {
    pub(super) fn read(blob: &dyn Blob, limits: &Limits) -> Result<Self, ImageError> {
        let mut parser = HeadParser::new(blob.len(), limits)?;
        let mut buffer = Vec::new();
        while let Some(wanted) = parser.plan() {
            let count = (wanted.end - wanted.start).clamp(READ, MOST_READ).min(blob.len() - wanted.start);
            buffer.resize(usize::try_from(count).expect("at most 1 MiB"), 0);
            blob.read_exact_at(&mut buffer, wanted.start)?;
            // More than the signature tells what else it is.
            if wanted.start == 0
                && let Some(found) = foreign(&buffer[..buffer.len().min(ENOUGH)])
            {
                return Err(ImageError::NotPng { found });
            }
            parser.feed(wanted.start, &buffer)?;
        }
        Ok(parser.finish().expect("without a plan the head is complete"))
    }
}
