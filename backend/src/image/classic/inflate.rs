//! Payloads that were compressed before they became pixels, as some of the older tools did.

use std::io::{BufReader, Read};

use super::payload::Payload;
use super::sha256;
use crate::blob::{self, Blob};
use crate::image::ImageError;
use crate::image::metadata::Document;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window in bytes, which is held in memory. RFC 8878 (3.1.1.1.2) recommends it as the minimum that every
/// decoder supports, and usual levels need no more.
const ZSTD_WINDOW: u64 = 8 << 20;
/// How many bytes are copied at once.
const PIECE: usize = 256 << 10;

/// Inflates a compressed payload. Its first bytes decide how, because the `type` in the metadata is unreliable.
pub(super) fn inflate(stored: Payload, document: &Document) -> Result<Payload, ImageError> {
    let size = document.data_size;
    let same_size = stored.len() == size;
    // The payload may be a compressed file itself that is stored without further compression.
    if same_size && document.data_hash.is_some() && document.data_hash == Some(sha256(&stored, 0..size)?) {
        return Ok(stored);
    }
    let mut head = [0; 4];
    let got = stored.read_at(&mut head, 0)?;
    let head = &head[..got];
    let stream = BufReader::with_capacity(PIECE, blob::Reader::new(&stored));
    if head.starts_with(&ZSTD_MAGIC) {
        let stream = ruzstd::decoding::StreamingDecoder::new_with_max_window_size(stream, ZSTD_WINDOW)
            .map_err(|error| broken("zstd", &error))?;
        copy(stream, size, "zstd")
    } else if is_zlib(head) {
        copy(flate2::bufread::ZlibDecoder::new(stream), size, "zlib")
    } else if same_size {
        Ok(stored)
    } else {
        Err(ImageError::malformed("the compressed payload", "a zlib or zstd stream", "other bytes"))
    }
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [cmf, flags, ..] if cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([*cmf, *flags]) % 31 == 0)
}

/// Reads a stream that must have exactly `size` bytes. At most one byte more than that is inflated.
fn copy(stream: impl Read, size: u64, kind: &'static str) -> Result<Payload, ImageError> {
    let mut payload = Payload::new(size)?;
    let (mut stream, mut buffer, mut done) = (stream.take(size.saturating_add(1)), vec![0; PIECE], 0);
    loop {
        match stream.read(&mut buffer).map_err(|error| broken(kind, &error))? {
            0 if done == size => return Ok(payload),
            0 => return Err(super::wrong_size(size, done)),
            count => {
                payload.write_at(&buffer[..count], done)?;
                done += count as u64;
            }
        }
    }
}

fn broken(kind: &str, error: &dyn std::fmt::Display) -> ImageError {
    ImageError::malformed("the compressed payload", format_args!("a whole {kind} stream"), error)
}
