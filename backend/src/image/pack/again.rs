//! An image that is packed again, into the same profile or the other one.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pixelrts_shared::catalog::Role;

use super::{PackError, Source};
use crate::blob::Blob;
use crate::image::chunk::Body;
use crate::image::metadata::{self, Metadata};
use crate::image::streamable::Streamable;
use crate::image::{Body as Pixels, Depth, Image, Limits, Segment};

/// An image whose segments, description and blueprint go into another one.
#[derive(Clone, Debug)]
pub struct Again {
    image: Arc<Image>,
    /// For what is said about it.
    path: PathBuf,
}

impl Again {
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

    /// Every hash of the image: what is written gets new ones, which must not make wrong bytes look right.
    /// `progress` gets the bytes of the file that are done.
    pub(super) fn check(&self, progress: &mut dyn FnMut(u64)) -> Result<(), PackError> {
        let outcome = self.image.verify(Depth::Deep, progress);
        outcome.map(drop).map_err(|error| PackError::From { path: self.path.clone(), error })
    }

    /// The names that the segments of this role get.
    pub fn names(&self, role: Role) -> impl Iterator<Item = String> {
        self.image.segments().iter().filter(move |old| old.role == role).map(|old| name(&old.name))
    }

    /// The segments that no file takes the place of: a file replaces the segment of its name, and the kernel or the
    /// initrd that is given every one of the image.
    pub(super) fn kept<'a>(&'a self, files: &'a [Source]) -> impl Iterator<Item = &'a Segment> {
        let replaces = |file: &Source, old: &Segment| {
            file.name == name(&old.name) || (file.role == old.role && matches!(old.role, Role::Kernel | Role::Initrd))
        };
        self.image.segments().iter().filter(move |old| !files.iter().any(|file| replaces(file, old)))
    }

    /// Where the segment that gets this name stood among the others: the order of disks is what a guest calls them.
    pub(super) fn place(&self, new: &str) -> Option<usize> {
        self.image.segments().iter().position(|old| name(&old.name) == new)
    }

    pub(super) fn blob(&self, segment: &Segment) -> Box<dyn Blob> {
        Box::new(Part { image: Arc::clone(&self.image), segment: segment.clone() })
    }

    /// Adds what is not said yet. What was read from a kernel does not outlive it.
    pub(super) fn describe(&self, said: &mut Metadata, files: &[Source]) {
        let mut old = self.image.metadata().clone();
        if files.iter().any(|file| file.role == Role::Kernel) {
            (old.kernel_version, old.architecture) = (None, None);
        }
        said.add(old);
    }

    pub(super) fn blueprint(&self) -> Result<Option<Body>, PackError> {
        let (Pixels::Classic { blob, .. } | Pixels::Streamable(Streamable { blob, .. })) = &self.image.body;
        metadata::blueprint(&**blob, &Limits::default())
            .map_err(|error| PackError::From { path: self.path.clone(), error })
    }
}

/// A legal name for a segment of an old image, from the one that it is shown with.
pub(super) fn name(shown: &str) -> String {
    shown.replace('%', "_").chars().take(64).collect()
}

/// A segment of an image as a blob; an [`ImageError`](crate::image::ImageError) is inside of the one that it gives.
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
