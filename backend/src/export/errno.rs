//! Every error as the number that a program gets when it reads a mounted or exported image, in one table.

use fuser::Errno;

use super::read_pool::ReadError;
use super::tree::TreeError;
use crate::image::ImageError;

impl From<ImageError> for Errno {
    fn from(error: ImageError) -> Self {
        match error {
            // Bytes that fail their check are never given to anyone.
            ImageError::StripMismatch { .. }
            | ImageError::IndexMismatch { .. }
            | ImageError::SegmentMismatch { .. }
            | ImageError::PayloadMismatch { .. }
            | ImageError::NotPng { .. }
            | ImageError::Remade
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
            // The session continues.
            TreeError::Read(ReadError::Fault) => Self::EIO,
        }
    }
}

/// The mount is read-only and has plain files only. These are the answers to anything that needs more.
pub(super) mod refused {
    use fuser::Errno;

    /// For anything that would change a file or a name.
    pub(in super::super) const CHANGE: Errno = Errno::EROFS;
    /// For extended attributes. After this answer the kernel does not ask again.
    pub(in super::super) const ATTRIBUTES: Errno = Errno::ENOSYS;
    /// For links, because there are none.
    pub(in super::super) const LINK: Errno = Errno::EINVAL;
}

/// The protocol NBD defines a few numbers; they are those of Linux.
pub(super) mod nbd {
    /// EPERM, for anything that would change an export.
    pub(in super::super) const CHANGE: u32 = 1;
    /// EINVAL, for what is outside of the export, too long, or not understood.
    pub(in super::super) const INVALID: u32 = 22;
    /// EIO, when the bytes cannot be read, for whatever reason.
    pub(in super::super) const FAILED: u32 = 5;
}
