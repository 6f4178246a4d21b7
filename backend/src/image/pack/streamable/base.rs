//! An older image whose strips are reused where their payload is equal.
//!
//! The bytes of a strip in the file depend on the compressor and its version. If an unchanged strip is reused as it is,
//! it keeps its hash, and somebody who has the old image need not fetch it again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::super::PackError;
use crate::blob::FileBlob;
use crate::image::parallel_map::{Threads, parallel_map};
use crate::image::strip::{BYTES, Decoder, Geometry, ReusedStrip};
use crate::image::{Content, Image, ImageError, Limits};

pub(super) struct Base {
    path: PathBuf,
    image: Image,
    /// The number of each strip, by the SHA-256 of its payload.
    strips: HashMap<Digest, usize>,
}

impl Base {
    /// Reads and checks every strip of the image, because strips are compared by their payload.
    /// `progress` gets the number of payload bytes that are done, and their total.
    pub(super) fn open(path: &Path, threads: Threads, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, PackError> {
        let failed = |error| PackError::Base { path: path.to_owned(), error };
        let blob = FileBlob::open(path).map_err(|error| failed(error.into()))?;
        let image = Image::open(Box::new(blob), &Limits::default()).map_err(failed)?;
        let Content::Streamable(old) = &image.content else {
            return Err(PackError::BaseClassic { path: path.to_owned() });
        };
        let mut strips = HashMap::new();
        let total = old.index.strips.len() as u64;
        parallel_map(
            threads,
            0..old.index.strips.len(),
            || (Decoder::new(&old.index.geometry), vec![0; BYTES], Vec::new()),
            |(decoder, payload, file), number| {
                let entry = &old.index.strips[number];
                old.fetch_into(number, file)?;
                let raw = decoder.decode(number, entry.at, file, entry.flags, &old.index.geometry)?;
                old.index.geometry.gather(raw, payload);
                Ok(key(payload))
            },
            |number, key| {
                strips.entry(key).or_insert(number);
                progress((number as u64 + 1) * BYTES as u64, total * BYTES as u64);
                Ok::<_, ImageError>(())
            },
        )
        .map_err(failed)?;
        Ok(Self { path: path.to_owned(), image, strips })
    }

    /// The geometry of the old image. The new one must have the same, or no strip could be equal.
    pub(super) fn geometry(&self) -> Geometry {
        Geometry::new(self.image.width).expect("it was opened with this width")
    }

    /// The strip with this payload, as it is stored in the old file.
    pub(super) fn equal(&self, payload: &[u8]) -> Result<Option<ReusedStrip>, PackError> {
        let (Some(number), Content::Streamable(old)) = (self.strips.get(&key(payload)), &self.image.content) else {
            return Ok(None);
        };
        let entry = &old.index.strips[*number];
        let chunk = old.fetch(*number).map_err(|error| PackError::Base { path: self.path.clone(), error })?;
        Ok(Some(ReusedStrip { chunk, stored: entry.flags.is_stored(), sha256: entry.sha256 }))
    }
}

fn key(payload: &[u8]) -> Digest {
    Digest::new(Sha256::digest(payload).into())
}
