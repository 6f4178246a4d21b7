//! From strips to payload, with the image's mapping or another one: what the curve costs.

use crate::blob::Blob;
use crate::image::head::Head;
use crate::image::index::Index;
use crate::image::streamable::Streamable;
use crate::image::strip::{BYTES, Decoder, Geometry};
use crate::image::{ImageError, Limits};

/// Where the pixels of a strip's payload are in its raw bytes.
#[derive(Debug)]
pub struct Mapping(Geometry);

impl Mapping {
    /// Tiles of Hilbert curves, as images have them; `None` for a width that no image has.
    #[must_use]
    pub fn hilbert(width: u32) -> Option<Self> {
        Geometry::new(width).map(Self)
    }

    /// The same tiles row by row.
    #[must_use]
    pub fn linear(width: u32) -> Option<Self> {
        let rows = Geometry::new(width)?.rows();
        Some(Self(Geometry::mapped(width, rows, |rows, pixel| (pixel % rows, pixel / rows))))
    }

    /// Raw bytes of a strip.
    #[must_use]
    pub fn raw_len(&self) -> usize {
        self.0.raw_len()
    }

    /// A strip's payload, of 256 KiB.
    pub fn gather(&self, raw: &[u8], payload: &mut [u8]) {
        self.0.gather(raw, payload);
    }
}

/// All strips of a streamable image, without a cache.
#[derive(Debug)]
pub struct Strips {
    image: Streamable,
    decoder: Decoder,
}

impl Strips {
    /// `None` for a classic image.
    pub fn open(blob: Box<dyn Blob>, limits: &Limits) -> Result<Option<Self>, ImageError> {
        let index: Option<(Index, _)> = Streamable::open(&*blob, &Head::read(&*blob, limits)?, limits)?;
        Ok(index.map(|(index, _)| {
            let decoder = Decoder::new(&index.geometry);
            Self { image: Streamable::new(blob, index), decoder }
        }))
    }

    #[must_use]
    pub fn width(&self) -> u32 {
        self.image.index.geometry.width()
    }

    /// Reads, hashes, inflates and maps every strip once, one after the other. Gives the bytes of payload.
    pub fn touch(&mut self, mapping: &Mapping) -> Result<u64, ImageError> {
        let mut payload = vec![0; BYTES];
        let index = &self.image.index;
        for (number, entry) in index.strips.iter().enumerate() {
            let file = self.image.fetch(number)?;
            let raw = self.decoder.decode(number, entry.at, &file, entry.flags, &index.geometry)?;
            mapping.gather(raw, &mut payload);
        }
        Ok((index.strips.len() * BYTES) as u64)
    }
}
