//! Text chunks that may hold the metadata.

use crate::blob::Blob;
use crate::image::chunk::{Body, Chunk};
use crate::image::limits::Limits;
use crate::image::{ImageError, metadata};

/// Adds the chunk to `texts` if it is a text chunk with our keyword. The limit counts for all texts together.
pub(in crate::image) fn collect_text(
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

/// Whether the chunk is a text chunk that is long enough for the keyword.
pub(super) fn may_hold_metadata(chunk: &Chunk) -> bool {
    matches!(&chunk.kind, b"tEXt" | b"zTXt" | b"iTXt") && chunk.length as usize >= KEYWORD_LEN
}

pub(super) fn is_keyword(first: &[u8]) -> bool {
    first.strip_suffix(&[0]) == Some(metadata::KEYWORD.as_bytes())
}
