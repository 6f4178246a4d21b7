//! An opened image for others: as files through FUSE, as block devices through NBD.
//!
//! `reader` answers reads of both from a few threads; `tree` knows names, sizes and bytes and nothing of FUSE; `fuse` answers
//! the kernel from it; `nbd` serves segments to QEMU; `errno` is the only place where errors become numbers.

mod errno;
mod fuse;
pub mod nbd;
mod reader;
mod tree;
mod unmount;

pub use fuse::{Mount, MountError};
pub use unmount::{UnmountError, mounted, place, unmount};
