//! Packing an existing image again, into the same profile or the other one.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pixelrts_shared::catalog::Role;

use super::{PackError, SegmentFile};
use crate::blob::Blob;
use crate::image::chunk::Body;
use crate::image::metadata::{self, Metadata};
use crate::image::streamable::Streamable;
use crate::image::{Content, Depth, Image, Limits, Segment};

/// An image whose segments, metadata and blueprint go into a new one.
#[derive(Clone, Debug)]
pub struct Repack {
    image: Arc<Image>,
    /// For messages.
    path: PathBuf,
}

impl Repack {
    #[must_use]
    pub fn new(image: Image, path: PathBuf) -> Self {
        Self { image: Arc::new(image), path }
    }

    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks every hash of the image. The new image gets new hashes, which must not make wrong bytes look right.
    /// `progress` gets the number of bytes of the file that have been checked.
    pub(super) fn check(&self, progress: &mut dyn FnMut(u64)) -> Result<(), PackError> {
        let outcome = self.image.verify(Depth::Deep, progress);
        outcome.map(drop).map_err(|error| PackError::From { path: self.path.clone(), error })
    }

    /// The names that the segments of this role get in the new image.
    pub fn names(&self, role: Role) -> impl Iterator<Item = String> {
        self.image.segments().iter().filter(move |old| old.role == role).map(|old| name(&old.name))
    }

    /// The segments that no file replaces. A file replaces the segment with its name, and a given kernel or initrd
    /// replaces every segment of that role.
    pub(super) fn kept<'a>(&'a self, files: &'a [SegmentFile]) -> impl Iterator<Item = &'a Segment> {
        let replaces = |file: &SegmentFile, old: &Segment| {
            file.name == name(&old.name) || (file.role == old.role && matches!(old.role, Role::Kernel | Role::Initrd))
        };
        self.image.segments().iter().filter(move |old| !files.iter().any(|file| replaces(file, old)))
    }

    /// The old position of the segment that gets this name. The order must stay, because it decides the names of disks in
    /// the guest.
    pub(super) fn place(&self, new: &str) -> Option<usize> {
        self.image.segments().iter().position(|old| name(&old.name) == new)
    }

    pub(super) fn blob(&self, segment: &Segment) -> Box<dyn Blob> {
        Box::new(Part { image: Arc::clone(&self.image), segment: segment.clone() })
    }

    /// Adds the old metadata where `said` has none. What was read from a kernel is dropped when the kernel is replaced.
    pub(super) fn describe(&self, said: &mut Metadata, files: &[SegmentFile]) {
        let mut old = self.image.metadata().clone();
        if files.iter().any(|file| file.role == Role::Kernel) {
            (old.kernel_version, old.architecture) = (None, None);
        }
        said.add(old);
    }

    pub(super) fn blueprint(&self) -> Result<Option<Body>, PackError> {
        let (Content::Classic { blob, .. } | Content::Streamable(Streamable { blob, .. })) = &self.image.content;
        metadata::blueprint(&**blob, &Limits::default())
            .map_err(|error| PackError::From { path: self.path.clone(), error })
    }
}

/// A valid segment name, made from the name that a segment of an old image is shown with.
pub(super) fn name(shown: &str) -> String {
    shown.replace('%', "_").chars().take(64).collect()
}

/// A segment of an image as a blob. Its errors contain the [`ImageError`](crate::image::ImageError).
#[derive(Debug)]
struct Part {
    image: Arc<Image>,
    segment: Segment,
}

impl Blob for Part {
    fn len(&self) -> u64 {
        self.segment.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.image.read_at(&self.segment, buffer, offset).map_err(io::Error::other)
    }

    fn is_hole(&self, range: Range<u64>) -> bool {
        self.image.extents(&self.segment, range).is_ok_and(|extents| extents.iter().all(|extent| extent.zero))
    }
}
