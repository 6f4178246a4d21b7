//! The head of the file: everything before the picture data.

use super::chunk::{self, Body, Chunk};
use super::limits::Limits;
use super::{ImageError, index, metadata};
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

impl Head {
    pub(super) fn read(blob: &dyn Blob, limits: &Limits) -> Result<Self, ImageError> {
        let mut signature = [0; 8];
        let got = usize::try_from(blob.len()).map_or(8, |len| len.min(8));
        blob.read_exact_at(&mut signature[..got], 0)?;
        if signature[..got] != chunk::SIGNATURE[..got] || got == 0 {
            return Err(ImageError::NotPng { found: signature[..got].to_vec() });
        }
        let header = Chunk::read(blob, 8)?;
        let (width, height) = picture(blob, &header)?;
        let (mut texts, mut index, mut at) = (Vec::new(), None, header.end());
        for _ in 0..limits.head_chunks {
            let chunk = Chunk::read(blob, at)?;
            at = chunk.end();
            match &chunk.kind {
                b"IDAT" => return Ok(Self { width, height, texts, index, picture: chunk }),
                b"IEND" => return Err(ImageError::malformed("the PNG file", "picture data", "its end")),
                &index::KIND if index.is_some() => {
                    return Err(ImageError::malformed(chunk.name(), "one index", "a second one"));
                }
                &index::KIND => index = Some(chunk.body(blob, "the index", limits.index)?),
                _ => collect_text(blob, &chunk, limits, &mut texts)?,
            }
        }
        let limit = limits.head_chunks as u64;
        Err(ImageError::Limit { part: "the number of chunks before the picture", limit, found: limit + 1 })
    }
}

/// Adds the chunk to `texts`, if it is a text chunk with our keyword. The limit is for all of them together.
pub(super) fn collect_text(
    blob: &dyn Blob,
    chunk: &Chunk,
    limits: &Limits,
    texts: &mut Vec<Body>,
) -> Result<(), ImageError> {
    let mut keyword = [0; metadata::KEYWORD.len() + 1];
    if !matches!(&chunk.kind, b"tEXt" | b"zTXt" | b"iTXt") || (chunk.length as usize) < keyword.len() {
        return Ok(());
    }
    blob.read_exact_at(&mut keyword, chunk.at + 8)?;
    if keyword.strip_suffix(&[0]) == Some(metadata::KEYWORD.as_bytes()) {
        let taken: usize = texts.iter().map(|text| text.data.len()).sum();
        texts.push(chunk.body(blob, "the metadata", limits.metadata.saturating_sub(taken))?);
    }
    Ok(())
}

/// Width and height, from a header that says 8-bit RGBA without interlace.
fn picture(blob: &dyn Blob, header: &Chunk) -> Result<(u32, u32), ImageError> {
    if (&header.kind, header.length) != (b"IHDR", 13) {
        return Err(ImageError::malformed("the first chunk", "IHDR with 13 bytes", header.name()));
    }
    let body = header.body(blob, "the header", 13)?;
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
