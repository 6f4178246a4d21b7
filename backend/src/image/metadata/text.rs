//! The three text chunks of PNG, with bounded inflate.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::{BLUEPRINT, KEYWORD};
use crate::blob::Blob;
use crate::image::chunk::{Body, Chunk};
use crate::image::{ImageError, Limits};

/// The value of a text chunk with our keyword, `None` for one that breaks the rules of its kind.
pub(super) fn value(body: &Body, limits: &Limits) -> Result<Option<String>, ImageError> {
    let Some(rest) = body.data.strip_prefix(KEYWORD.as_bytes()).and_then(|rest| rest.strip_prefix(&[0])) else {
        return Ok(None);
    };
    let bytes = match (&body.chunk.kind, rest) {
        (b"tEXt", text) => Some(text.to_vec()),
        (b"zTXt", [0, deflated @ ..]) => inflate(deflated, limits)?,
        (b"iTXt", [compressed @ (0 | 1), 0, rest @ ..]) => {
            // The language tag and the translated keyword, both closed by a zero byte.
            match rest.splitn(3, |byte| *byte == 0).nth(2) {
                Some(text) if *compressed == 0 => Some(text.to_vec()),
                Some(deflated) => inflate(deflated, limits)?,
                None => None,
            }
        }
        _ => None,
    };
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

fn inflate(deflated: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, ImageError> {
    let limit = limits.metadata as u64;
    let mut text = Vec::new();
    if ZlibDecoder::new(deflated).take(limit + 1).read_to_end(&mut text).is_err() {
        return Ok(None);
    }
    if text.len() > limits.metadata {
        return Err(ImageError::Limit { part: "the inflated metadata", limit, found: text.len() as u64 });
    }
    Ok(Some(text))
}

/// Every document in the text chunks, in their order, each beside its chunk.
pub(in crate::image) fn candidates<'a>(
    texts: &'a [Body],
    limits: &'a Limits,
) -> impl Iterator<Item = (&'a Body, Result<super::Document, ImageError>)> {
    texts.iter().filter_map(|body| match value(body, limits) {
        Ok(text) => super::Document::parse(&text?).map(|document| (body, document)),
        Err(error) => Some((body, Err(error))),
    })
}

/// The blueprint of an image, wherever it stands. As long as the metadata may be, and not inflated.
pub(in crate::image) fn blueprint(blob: &dyn Blob, limits: &Limits) -> Result<Option<Body>, ImageError> {
    let mut chunk = Chunk::read(blob, 8)?;
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
    blob.read_exact_at(&mut keyword, chunk.at + 8)?;
    Ok(keyword.strip_suffix(&[0]) == Some(BLUEPRINT.as_bytes()))
}
