//! The `.rts.png` format: opening, reading, checking and packing images.
//!
//! An image is a PNG file whose pixels are bytes. A *streamable* one has an index (`rtSX`) and is read strip by strip,
//! each proven by its hash before it is inflated; a *classic* one has no index and is decoded and checked as a whole
//! when it is opened. Either way a reader gets verified bytes only. Which of the two a file is, its content decides.
//!
//! Everything in the file is hostile: sizes are checked against [`Limits`] and against each other before memory is
//! allocated, and every failure is an [`ImageError`] that says what was expected and what was found. There is no
//! network and no task here; bytes come from a [`Blob`].

mod atomic;
mod boot_file;
mod chunk;
mod classic;
mod error;
mod head;
mod hilbert;
mod idat;
mod index;
#[cfg(feature = "internals")]
pub mod internals;
mod kernel;
mod limits;
mod metadata;
mod ordered;
mod pack;
mod streamable;
mod strip;
mod thumbnail;
mod verify;

use std::path::Path;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::Role;
use serde::Serialize;

use crate::blob::{Blob, FileBlob};
pub(crate) use atomic::{Existing, PREFIX as UNFINISHED, write as write_atomically};
pub use error::ImageError;
pub(crate) use error::storage;
use head::Head;
pub use idat::Effort;
pub use limits::Limits;
use metadata::Document;
pub use metadata::Metadata;
pub use pack::{Layout, Pack, PackError, Packed, Source};
use streamable::Streamable;
pub use verify::{Depth, Report};

/// How the payload lies in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// PixelRTS-2.0: one curve over the whole square, no random access.
    Classic,
    /// PixelRTS-2.1: strips, with an index.
    Streamable,
}

/// A file inside an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Safe as a file's name: never a path, a hidden file or `metadata.json`.
    pub name: String,
    pub role: Role,
    /// In the payload, in bytes.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
    pub sha256: Option<Digest>,
}

/// The strips of an image by how they are stored; a zero strip counts as zero only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StripCounts {
    pub total: usize,
    pub zero: usize,
    pub stored: usize,
    pub deflated: usize,
}

impl StripCounts {
    fn of(strips: &[index::Entry]) -> Self {
        let total = strips.len();
        let zero = strips.iter().filter(|strip| strip.flags.is_zero()).count();
        let stored = strips.iter().filter(|strip| strip.flags.is_stored() && !strip.flags.is_zero()).count();
        Self { total, zero, stored, deflated: total - zero - stored }
    }
}

/// An opened image, shared between threads.
#[derive(Debug)]
pub struct Image {
    width: u32,
    height: u32,
    document: Document,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Streamable(Streamable),
    /// The verified payload; the blob still gives the picture.
    Classic {
        blob: Box<dyn Blob>,
        payload: Vec<u8>,
    },
}

impl Image {
    /// Opens an image. A streamable one costs its head and index only; a classic one is decoded, and all its hashes
    /// are checked.
    pub fn open(blob: Box<dyn Blob>, limits: &Limits) -> Result<Self, ImageError> {
        let head = Head::read(&*blob, limits)?;
        let (width, height) = (head.width, head.height);
        let (document, body) = match Streamable::open(&*blob, &head, limits) {
            Ok(Some((index, document))) => (document, Body::Streamable(Streamable::new(blob, index))),
            Ok(None) => Self::open_classic(blob, &head, limits)?,
            // Only a valid index makes an image streamable; but a broken one is the reason to give, unless the
            // metadata speaks of a grid, which streamable images do not have.
            Err(error) => {
                let mut documents = metadata::candidates(&head.texts, limits).filter_map(|(_, document)| document.ok());
                if documents.next().is_none_or(|document| document.grid_size.is_none()) {
                    return Err(error);
                }
                Self::open_classic(blob, &head, limits)?
            }
        };
        Ok(Self { width, height, document, body })
    }

    fn open_classic(blob: Box<dyn Blob>, head: &Head, limits: &Limits) -> Result<(Document, Body), ImageError> {
        let (document, payload) = classic::open(&*blob, head, limits)?;
        Ok((document, Body::Classic { blob, payload }))
    }

    pub fn open_file(path: &Path, limits: &Limits) -> Result<Self, ImageError> {
        Self::open(Box::new(FileBlob::open(path)?), limits)
    }

    #[must_use]
    pub fn profile(&self) -> Profile {
        match self.body {
            Body::Streamable(_) => Profile::Streamable,
            Body::Classic { .. } => Profile::Classic,
        }
    }

    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.document.metadata
    }

    /// As stored.
    #[must_use]
    pub fn metadata_json(&self) -> &str {
        &self.document.json
    }

    /// Of the picture, in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Of the file, in bytes.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        match &self.body {
            Body::Streamable(image) => image.blob.len(),
            Body::Classic { blob, .. } => blob.len(),
        }
    }

    /// Of the payload, in bytes.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.document.data_size
    }

    /// By offset. At least one: an image without a table has one segment, `payload`.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.document.segments
    }

    #[must_use]
    pub fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments().iter().find(|segment| segment.name == name)
    }

    /// The first segment of this role.
    #[must_use]
    pub fn first(&self, role: Role) -> Option<&Segment> {
        self.segments().iter().find(|segment| segment.role == role)
    }

    /// Only streamable images have one.
    #[must_use]
    pub fn index_digest(&self) -> Option<Digest> {
        match &self.body {
            Body::Streamable(image) => Some(image.index.digest),
            Body::Classic { .. } => None,
        }
    }

    /// Only streamable images have strips.
    #[must_use]
    pub fn strips(&self) -> Option<StripCounts> {
        match &self.body {
            Body::Streamable(image) => Some(StripCounts::of(&image.index.strips)),
            Body::Classic { .. } => None,
        }
    }

    /// Fills the buffer with verified bytes of a segment of this image, from `offset` in it. Gives how many there
    /// are: fewer than asked for at the segment's end, 0 behind it.
    pub fn read_at(&self, segment: &Segment, buffer: &mut [u8], offset: u64) -> Result<usize, ImageError> {
        let left = segment.size.saturating_sub(offset);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if count == 0 {
            return Ok(0);
        }
        let start = self.place(segment, offset, count as u64)?;
        let buffer = &mut buffer[..count];
        match &self.body {
            Body::Streamable(image) => image.read(buffer, start)?,
            Body::Classic { payload, .. } => {
                let start = usize::try_from(start).expect("the payload is in memory");
                buffer.copy_from_slice(&payload[start..start + count]);
            }
        }
        Ok(count)
    }

    /// Where `count` bytes at `offset` of a segment are in the payload; a segment of another image may not be there.
    fn place(&self, segment: &Segment, offset: u64, count: u64) -> Result<u64, ImageError> {
        let start = segment.offset.checked_add(offset);
        let end = start.and_then(|start| start.checked_add(count));
        start.zip(end).filter(|(_, end)| *end <= self.document.data_size).map(|(start, _)| start).ok_or_else(|| {
            let expected = format!("an end within {} bytes of payload", self.document.data_size);
            ImageError::malformed(format!("segment {}", segment.name), expected, segment.offset)
        })
    }

    /// Checks every strip of a segment of this image, and the segment's hash.
    pub fn verify_segment(&self, segment: &Segment) -> Result<(), ImageError> {
        self.place(segment, 0, segment.size)?;
        match &self.body {
            Body::Streamable(image) => verify::segment(image, segment),
            // All hashes were checked when it was opened, and the bytes have been in memory since.
            Body::Classic { .. } => Ok(()),
        }
    }

    /// Checks the whole file. `progress` gets the bytes of the file that are done.
    pub fn verify(&self, depth: Depth, progress: &mut dyn FnMut(u64)) -> Result<Report, ImageError> {
        match &self.body {
            Body::Streamable(image) => verify::image(image, self.segments(), self.document.data_hash, depth, progress),
            Body::Classic { blob, .. } => {
                progress(blob.len());
                let segments = self.segments().iter().filter(|segment| segment.sha256.is_some()).count();
                Ok(Report { bytes: blob.len(), strips: None, segments })
            }
        }
    }

    /// An opaque PNG file of the picture, no side longer than `max_side` pixels.
    pub fn thumbnail(&self, max_side: u32) -> Result<Vec<u8>, ImageError> {
        thumbnail::make(self.width, self.height, max_side, |wanted, row| match &self.body {
            Body::Streamable(image) => image.rows(wanted, row),
            Body::Classic { blob, .. } => classic::rows(&**blob, self.width, wanted, row),
        })
    }
}

#[cfg(test)]
mod tests;
