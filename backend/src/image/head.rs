//! The head of the file: everything before the picture data.

use super::chunk::{Body, Chunk};
use super::limits::Limits;
use super::opening::Opening;
use super::{ImageError, metadata};
use crate::blob::Blob;

#[derive(Debug)]
pub(super) struct Head {
    /// In pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// Text chunks with our keyword.
    pub(super) texts: Vec<Body>,
    pub(super) index: Option<Body>,
    /// The first IDAT chunk.
    pub(super) picture: Chunk,
}

/// What the driver reads at once: the head of a remote image costs one request, unless its index is longer.
const READ: u64 = 256 << 10;
/// More is not held beside what is kept of the head.
const MOST_READ: u64 = 1 << 20;

impl Head {
    pub(super) fn read(blob: &dyn Blob, limits: &Limits) -> Result<Self, ImageError> {
        let mut opening = Opening::new(blob.len(), limits)?;
        let mut buffer = Vec::new();
        while let Some(wanted) = opening.plan() {
            let count = (wanted.end - wanted.start).clamp(READ, MOST_READ).min(blob.len() - wanted.start);
            buffer.resize(usize::try_from(count).expect("at most 1 MiB"), 0);
            blob.read_exact_at(&mut buffer, wanted.start)?;
            opening.assemble(wanted.start, &buffer)?;
        }
        Ok(opening.finish().expect("without a plan the head is complete"))
    }
}

/// Adds the chunk to `texts`, if it is a text chunk with our keyword. The limit is for all of them together.
pub(super) fn collect_text(
    blob: &dyn Blob,
    chunk: &Chunk,
    limits: &Limits,
    texts: &mut Vec<Body>,
) -> Result<(), ImageError> {
    if !may_hold_metadata(chunk) {
        return Ok(());
    }
    let mut keyword = [0; KEYWORD_LEN];
    blob.read_exact_at(&mut keyword, chunk.data_at())?;
    if is_keyword(&keyword) {
        let taken: usize = texts.iter().map(|text| text.data.len()).sum();
        texts.push(chunk.body(blob, "the metadata", limits.metadata.saturating_sub(taken))?);
    }
    Ok(())
}

/// The keyword and the zero byte behind it.
pub(super) const KEYWORD_LEN: usize = metadata::KEYWORD.len() + 1;

/// It is a text chunk, long enough for the keyword.
pub(super) fn may_hold_metadata(chunk: &Chunk) -> bool {
    matches!(&chunk.kind, b"tEXt" | b"zTXt" | b"iTXt") && chunk.length as usize >= KEYWORD_LEN
}

pub(super) fn is_keyword(first: &[u8]) -> bool {
    first.strip_suffix(&[0]) == Some(metadata::KEYWORD.as_bytes())
}

/// Width and height, from a header that says 8-bit RGBA without interlace.
pub(super) fn picture(body: &Body) -> Result<(u32, u32), ImageError> {
    body.check_crc()?;
    let side = |at: usize| u32::from_be_bytes(body.data[at..at + 4].try_into().expect("IHDR has 13 bytes"));
    let (width, height) = (side(0), side(4));
    if [width, height].iter().any(|side| *side == 0 || *side > i32::MAX.unsigned_abs()) {
        let found = format!("{width} x {height}");
        return Err(ImageError::malformed("the picture", "sides of 1 to 2147483647 pixels", found));
    }
    match body.data[8..] {
        [8, 6, 0, 0, 0] => Ok((width, height)),
        [depth, colour, _, _, interlace] => Err(ImageError::Unsupported {
            part: "the picture",
            expected: "8-bit RGBA without interlace",
            found: format!("of bit depth {depth}, colour type {colour}, interlace {interlace}"),
        }),
        _ => unreachable!("IHDR has 13 bytes"),
    }
}
