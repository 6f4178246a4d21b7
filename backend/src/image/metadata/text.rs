//! The three kinds of text chunks in PNG. Inflating them is bounded.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::{BLUEPRINT, KEYWORD};
use crate::blob::Blob;
use crate::image::chunk::{Body, Chunk, SIGNATURE};
use crate::image::{ImageError, Limits};

/// The value of a text chunk with our keyword, or `None` if it breaks the rules of its kind. The number of inflated bytes
/// is added to `inflated`.
fn value(body: &Body, inflated: &mut usize, limit: usize) -> Result<Option<String>, ImageError> {
    let Some(rest) = body.data.strip_prefix(KEYWORD.as_bytes()).and_then(|rest| rest.strip_prefix(&[0])) else {
        return Ok(None);
    };
    let bytes = match (&body.chunk.kind, rest) {
        (b"tEXt", text) => Some(text.to_vec()),
        (b"zTXt", [0, deflated @ ..]) => inflate(deflated, inflated, limit)?,
        (b"iTXt", [compressed @ (0 | 1), 0, rest @ ..]) => {
            // The text follows the language tag and the translated keyword, which both end with a zero byte.
            match rest.splitn(3, |byte| *byte == 0).nth(2) {
                Some(text) if *compressed == 0 => Some(text.to_vec()),
                Some(deflated) => inflate(deflated, inflated, limit)?,
                None => None,
            }
        }
        _ => None,
    };
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

fn inflate(deflated: &[u8], inflated: &mut usize, limit: usize) -> Result<Option<Vec<u8>>, ImageError> {
    let left = limit - *inflated;
    let mut text = Vec::new();
    let outcome = ZlibDecoder::new(deflated).take(left as u64 + 1).read_to_end(&mut text);
    if text.len() > left {
        let found = (*inflated + text.len()) as u64;
        return Err(ImageError::Limit { part: "the inflated metadata", limit: limit as u64, found });
    }
    *inflated += text.len();
    Ok(outcome.ok().map(|_| text))
}

/// Every document in the text chunks, in their order, each with its chunk. The limit counts for all of them together.
pub(in crate::image) fn candidates<'a>(
    texts: &'a [Body],
    limits: &Limits,
) -> impl Iterator<Item = (&'a Body, Result<super::Document, ImageError>)> {
    let (mut inflated, limit) = (0, limits.metadata);
    texts.iter().filter_map(move |body| match value(body, &mut inflated, limit) {
        Ok(text) => super::Document::parse(&text?).map(|document| (body, document)),
        Err(error) => Some((body, Err(error))),
    })
}

/// The blueprint of an image, wherever it is in the file. It is not inflated, and may be as long as the metadata.
pub(in crate::image) fn blueprint(blob: &dyn Blob, limits: &Limits) -> Result<Option<Body>, ImageError> {
    let mut chunk = Chunk::read(blob, SIGNATURE.len() as u64)?;
    while &chunk.kind != b"IEND" {
        if is_blueprint(blob, &chunk)? {
            let body = chunk.body(blob, "the blueprint", limits.metadata)?;
            body.check_crc()?;
            return Ok(Some(body));
        }
        chunk = Chunk::read(blob, chunk.end())?;
    }
    Ok(None)
}

pub(in crate::image) fn is_blueprint(blob: &dyn Blob, chunk: &Chunk) -> Result<bool, ImageError> {
    let mut keyword = [0; BLUEPRINT.len() + 1];
    if !matches!(&chunk.kind, b"tEXt" | b"zTXt" | b"iTXt") || (chunk.length as usize) < keyword.len() {
        return Ok(false);
    }
    blob.read_exact_at(&mut keyword, chunk.data_at())?;
    Ok(keyword.strip_suffix(&[0]) == Some(BLUEPRINT.as_bytes()))
}
