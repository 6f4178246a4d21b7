//! An opened image as files: every segment under its name, and `metadata.json`.
//!
//! [`Tree`] knows names, sizes and bytes and nothing of FUSE; `fuse` answers the kernel from it; `errno` is the only
//! place where errors become numbers.

mod errno;
mod fuse;
mod tree;

pub use fuse::{Mount, MountError};
pub use tree::file_name;
