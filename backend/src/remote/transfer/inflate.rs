//! The body of an image that a server has compressed although nobody asked for that.
//!
//! Headers say so too often when it is not true, so the first byte decides: an image begins neither as gzip does nor with
//! anything else than the mark of PNG.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

use crate::remote::error::Kind;

const GZIP: u8 = 0x1f;
const PNG: u8 = 0x89;
/// So many bytes are inflated at once. They become 1 MiB at most.
const STEP: usize = 1 << 10;

#[derive(Debug)]
pub(super) struct Inflate {
    way: Way,
    /// What has come and was not taken.
    waiting: Bytes,
}

#[derive(Debug)]
enum Way {
    /// The head says that it is compressed.
    Undecided,
    AsItIs,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Inflate {
    pub(super) fn new(compressed: bool) -> Self {
        let way = if compressed { Way::Undecided } else { Way::AsItIs };
        Self { way, waiting: Bytes::new() }
    }

    /// Takes the next piece of the body. The one before was taken with `next`.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.waiting = piece;
    }

    /// The next bytes of the image, as far as they have come.
    pub(super) fn next(&mut self) -> Option<Result<Bytes, Kind>> {
        let first = *self.waiting.first()?;
        if matches!(self.way, Way::Undecided) {
            self.way = match first {
                GZIP => Way::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
                PNG => Way::AsItIs,
                _ => {
                    let why = "the image is compressed, which was not asked for, and not with gzip";
                    return Some(Err(Kind::BadReply(why.into())));
                }
            };
        }
        let Way::Gzip(decoder) = &mut self.way else { return Some(Ok(std::mem::take(&mut self.waiting))) };
        let step = self.waiting.split_to(self.waiting.len().min(STEP));
        let inflated = decoder.write_all(&step).map(|()| Bytes::from(std::mem::take(decoder.get_mut())));
        Some(inflated.map_err(|error| Kind::Interrupted(format!("its compression is damaged: {error}").into())))
    }

    /// The last bytes of the image, when the body is over.
    pub(super) fn finish(&mut self) -> Result<Bytes, Kind> {
        let Way::Gzip(decoder) = &mut self.way else { return Ok(Bytes::new()) };
        decoder.try_finish().map_err(|_| Kind::Interrupted("the compressed answer ends in the middle".into()))?;
        Ok(Bytes::from(std::mem::take(decoder.get_mut())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    fn in_pieces(body: &[u8], length: usize) -> Result<Vec<u8>, Kind> {
        let (mut inflate, mut image) = (Inflate::new(true), Vec::new());
        for piece in body.chunks(length) {
            inflate.push(Bytes::copy_from_slice(piece));
            while let Some(bytes) = inflate.next() {
                let bytes = bytes?;
                assert!(bytes.len() <= 2 << 20, "{}", bytes.len());
                image.extend_from_slice(&bytes);
            }
        }
        image.extend_from_slice(&inflate.finish()?);
        Ok(image)
    }

    fn gzip(image: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(image).unwrap();
        encoder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn the_image_is_the_same_however_it_was_sent(mut image: Vec<u8>, length in 1..300_usize) {
            image.insert(0, PNG);
            prop_assert_eq!(in_pieces(&image, length).unwrap(), &image[..]);
            prop_assert_eq!(in_pieces(&gzip(&image), length).unwrap(), image);
        }

        #[test]
        fn any_bytes_end(body: Vec<u8>, length in 1..300_usize) {
            let _ = in_pieces(&body, length);
            let _ = in_pieces(&[&[GZIP, 0x8b, 8, 0][..], &body].concat(), length);
        }
    }

    #[test]
    fn what_cannot_be_inflated_is_refused() {
        let zeros = gzip(&vec![0; 8 << 20]);
        assert_eq!(in_pieces(&zeros, 1 << 20).unwrap().len(), 8 << 20);
        assert!(in_pieces(&zeros[..zeros.len() - 9], 100).unwrap_err().to_string().contains("in the middle"));
        assert!(in_pieces(b"brotli", 100).unwrap_err().to_string().contains("not with gzip"));
    }
}
