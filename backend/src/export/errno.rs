//! What a program that reads a mounted or exported image is told: every error as a number, in one table.

use fuser::Errno;

use super::reader::ReadError;
use super::tree::TreeError;
use crate::image::ImageError;

impl From<ImageError> for Errno {
    fn from(error: ImageError) -> Self {
        match error {
            // Bytes that are not what was promised are never handed out.
            ImageError::StripMismatch { .. }
            | ImageError::IndexMismatch { .. }
            | ImageError::SegmentMismatch { .. }
            | ImageError::PayloadMismatch { .. }
            | ImageError::NotPng { .. }
            | ImageError::NoMetadata
            | ImageError::Truncated { .. }
            | ImageError::Malformed { .. }
            | ImageError::Unsupported { .. } => Self::EIO,
            ImageError::Limit { .. } => Self::EFBIG,
            ImageError::Io(error) => error.raw_os_error().map_or(Self::EIO, Self::from_i32),
        }
    }
}

impl From<TreeError> for Errno {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::NotFound => Self::ENOENT,
            TreeError::NotAFile => Self::EISDIR,
            TreeError::NotADirectory => Self::ENOTDIR,
            TreeError::Read(ReadError::Image(error)) => error.into(),
            // The session goes on.
            TreeError::Read(ReadError::Fault) => Self::EIO,
        }
    }
}

/// The mount is read-only and has only plain files: what a program gets that wants more.
pub(super) mod refused {
    use fuser::Errno;

    /// Anything that would change a file or a name.
    pub(in super::super) const CHANGE: Errno = Errno::EROFS;
    /// Extended attributes: after this the kernel does not ask again.
    pub(in super::super) const ATTRIBUTES: Errno = Errno::ENOSYS;
    /// There are no links.
    pub(in super::super) const LINK: Errno = Errno::EINVAL;
}

/// The protocol has a few numbers of its own, which are Linux's.
pub(super) mod nbd {
    /// Anything that would change an export: EPERM.
    pub(in super::super) const CHANGE: u32 = 1;
    /// Outside of the export, too long, or not understood: EINVAL.
    pub(in super::super) const INVALID: u32 = 22;
    /// The bytes cannot be had; a client does not tell apart why: EIO.
    pub(in super::super) const FAILED: u32 = 5;
}
