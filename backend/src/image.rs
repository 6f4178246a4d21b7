//! The `.rts.png` format: opening, reading, checking and packing images.
//!
//! An image is a PNG file whose pixels are bytes. A *streamable* one has an index (`rtSX`) and is read strip by strip,
//! and the hash of each strip is checked before it is inflated. A *classic* one has no index; it is decoded and checked
//! as a whole when it is opened. In both cases readers get verified bytes only. The content of a file decides which of
//! the two it is, never its name.
//!
//! Everything in the file is hostile: sizes are checked against [`Limits`] and against each other before memory is
//! allocated, and every failure is an [`ImageError`] that says what was expected and what was found. This module uses no
//! network and starts no tasks: bytes come from a [`Blob`], and it only names the strips worth decoding ahead.

mod boot_file;
mod checksum;
mod chunk;
mod classic;
mod error;
mod extents;
mod foreign;
mod head;
mod hilbert;
mod idat;
mod index;
#[cfg(feature = "internals")]
pub mod internals;
mod kernel;
mod limits;
mod metadata;
mod pack;
mod parallel_map;
mod payload;
mod read;
mod streamable;
mod strip;
mod thumbnail;
mod unpack;
mod verify;
mod walk;

use std::path::Path;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::Role;
use serde::Serialize;

use crate::blob::{Blob, FileBlob};
pub use error::ImageError;
pub(crate) use error::printable;
pub use extents::Extent;
pub use foreign::{ENOUGH, foreign, is_remade};
use head::Head;
pub use idat::Effort;
use index::Index;
pub use limits::Limits;
use metadata::Document;
pub use metadata::Metadata;
pub use pack::{Layout, Pack, PackError, Packed, Repack, SegmentFile};
pub use parallel_map::Threads;
use streamable::Streamable;
pub use thumbnail::Thumbnail;
pub use unpack::UnpackError;
pub use verify::{Depth, Report};
pub use walk::{ChunkWalk, Found};

/// How the payload lies in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// PixelRTS-2.0: one Hilbert curve over the whole square, without random access.
    Classic,
    /// PixelRTS-2.1: strips and an index of them.
    Streamable,
}

/// A file inside an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// A name that is safe for a file: it is never a path, hidden, or `metadata.json`.
    pub name: String,
    pub role: Role,
    /// Where it begins in the payload, in bytes.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
    pub sha256: Option<Digest>,
}

/// How many strips are stored in which way. A strip of zeros counts as zero only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StripCounts {
    pub total: usize,
    pub zero: usize,
    pub stored: usize,
    pub deflated: usize,
}

impl StripCounts {
    fn of(strips: &[index::IndexEntry]) -> Self {
        let total = strips.len();
        let zero = strips.iter().filter(|strip| strip.flags.is_zero()).count();
        let stored = strips.iter().filter(|strip| strip.flags.is_stored() && !strip.flags.is_zero()).count();
        Self { total, zero, stored, deflated: total - zero - stored }
    }
}

/// How a segment is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    pub strips: StripCounts,
    /// In the file, in bytes.
    pub stored_size: u64,
}

/// What an image says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    pub metadata: Metadata,
    /// Only streamable images have one.
    pub index_digest: Option<Digest>,
}

/// What an image says about itself. Its payload is neither read nor checked, so that this costs little for a classic
/// image, too.
pub fn describe(blob: &dyn Blob) -> Result<Description, ImageError> {
    let limits = Limits::default();
    let head = Head::read(blob, &limits)?;
    let (metadata, index_digest) = match Image::streamable(blob, &head, &limits)? {
        Some((index, document)) => (document.metadata, Some(index.digest)),
        None => (classic::survey(blob, &head, &limits)?.0.metadata, None),
    };
    Ok(Description { metadata, index_digest })
}

/// An opened image, shared between threads.
#[derive(Debug)]
pub struct Image {
    width: u32,
    height: u32,
    document: Document,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Streamable(Streamable),
    /// The verified payload; the blob still gives the picture.
    Classic {
        blob: Box<dyn Blob>,
        payload: classic::Payload,
    },
}

impl Image {
    /// Opens an image. A streamable one costs its head and index only; a classic one is decoded, and all its hashes
    /// are checked.
    pub fn open(blob: Box<dyn Blob>, limits: &Limits) -> Result<Self, ImageError> {
        Self::open_with(blob, limits, &mut |_, _| {})
    }

    /// Like [`open`](Self::open). `progress` gets the number of bytes of the picture that are decoded, and their total. A
    /// streamable image has none to decode.
    pub fn open_with(
        blob: Box<dyn Blob>,
        limits: &Limits,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, ImageError> {
        let head = Head::read(&*blob, limits)?;
        let (width, height) = (head.width, head.height);
        let (document, content) = match Self::streamable(&*blob, &head, limits)? {
            Some((index, document)) => (document, Content::Streamable(Streamable::new(blob, index))),
            None => Self::open_classic(blob, &head, limits, progress)?,
        };
        Ok(Self { width, height, document, content })
    }

    /// The index and the metadata of a streamable image; `None` for a classic one.
    fn streamable(blob: &dyn Blob, head: &Head, limits: &Limits) -> Result<Option<(Index, Document)>, ImageError> {
        Streamable::open(blob, head, limits).or_else(|error| {
            // Only a valid index makes an image streamable. A broken one is reported, unless the metadata has a grid
            // size, which streamable images never have: then the file is a classic image.
            let mut documents = metadata::candidates(&head.texts, limits).filter_map(|(_, document)| document.ok());
            match documents.next() {
                Some(Document { grid_size: Some(_), .. }) => Ok(None),
                _ => Err(error),
            }
        })
    }

    fn open_classic(
        blob: Box<dyn Blob>,
        head: &Head,
        limits: &Limits,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Document, Content), ImageError> {
        let (document, payload) = classic::open(&*blob, head, limits, progress)?;
        Ok((document, Content::Classic { blob, payload }))
    }

    pub fn open_file(path: &Path, limits: &Limits) -> Result<Self, ImageError> {
        Self::open(Box::new(FileBlob::open(path)?), limits)
    }

    #[must_use]
    pub fn profile(&self) -> Profile {
        match self.content {
            Content::Streamable(_) => Profile::Streamable,
            Content::Classic { .. } => Profile::Classic,
        }
    }

    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.document.metadata
    }

    /// The metadata as it is stored.
    #[must_use]
    pub fn metadata_json(&self) -> &str {
        &self.document.json
    }

    /// The width of the picture in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The height of the picture in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The size of the file in bytes.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        match &self.content {
            Content::Streamable(image) => image.blob.len(),
            Content::Classic { blob, .. } => blob.len(),
        }
    }

    /// The size of the payload in bytes.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.document.data_size
    }

    /// All segments, sorted by offset. There is at least one: an image without a table has the segment `payload`.
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

    /// The segments whose bytes no hash in the image covers. Only old classic images have such segments.
    pub fn unverified(&self) -> impl Iterator<Item = &Segment> {
        let covered = self.profile() == Profile::Streamable || self.document.data_hash.is_some();
        self.segments().iter().filter(move |segment| !covered && segment.sha256.is_none() && segment.size > 0)
    }

    /// Only streamable images have one.
    #[must_use]
    pub fn index_digest(&self) -> Option<Digest> {
        match &self.content {
            Content::Streamable(image) => Some(image.index.digest),
            Content::Classic { .. } => None,
        }
    }

    /// Only streamable images have strips.
    #[must_use]
    pub fn strips(&self) -> Option<StripCounts> {
        match &self.content {
            Content::Streamable(image) => Some(StripCounts::of(&image.index.strips)),
            Content::Classic { .. } => None,
        }
    }

    /// Only streamable images have strips; each belongs to one segment at most.
    #[must_use]
    pub fn stored(&self, segment: &Segment) -> Option<Stored> {
        let Content::Streamable(image) = &self.content else { return None };
        let strips = image.index.of(self.locate(segment, 0..segment.size).ok()?);
        let stored_size = strips.iter().map(|strip| u64::from(strip.length)).sum();
        Some(Stored { strips: StripCounts::of(strips), stored_size })
    }

    /// Checks everything that reading this segment touches, and the segment's hash.
    pub fn verify_segment(&self, segment: &Segment) -> Result<(), ImageError> {
        self.locate(segment, 0..segment.size)?;
        match &self.content {
            Content::Streamable(image) => verify::segment(image, segment, |_, _, _| Ok(())),
            // All hashes were checked when the image was opened, and nobody else can change the bytes since then.
            Content::Classic { .. } => Ok(()),
        }
    }

    /// Checks the whole file. `progress` gets the number of bytes of the file that have been checked.
    pub fn verify(&self, depth: Depth, progress: &mut dyn FnMut(u64)) -> Result<Report, ImageError> {
        match &self.content {
            Content::Streamable(image) => {
                verify::image(image, self.segments(), self.document.data_hash, depth, progress)
            }
            Content::Classic { blob, .. } => {
                progress(blob.len());
                let segments = self.segments().iter().filter(|segment| segment.sha256.is_some()).count();
                Ok(Report { bytes: blob.len(), strips: None, segments })
            }
        }
    }

    /// A small opaque picture of the image, no side longer than `max_side` pixels.
    pub fn thumbnail(&self, max_side: u32) -> Result<Thumbnail, ImageError> {
        Thumbnail::make(self.width, self.height, max_side, |wanted, row| match &self.content {
            Content::Streamable(image) => image.rows(wanted, row),
            Content::Classic { blob, .. } => classic::rows(&**blob, self.width, wanted, row),
        })
    }
}

#[cfg(test)]
mod tests;
