//! An opened image for other programs: as files through FUSE, as block devices through NBD.
//!
//! | file | what |
//! | --- | --- |
//! | `mount` | the life of a mount: made, unmounted by anyone, dropped |
//! | `fuse` | answers the kernel from the tree |
//! | `tree` | the files of an image: names, sizes, bytes; it does not know FUSE |
//! | `disks` | serves segments to QEMU |
//! | `read_pool` | reads the image for both, on a few threads |
//! | `unmount` | which images are mounted, and unmounting one |
//! | `errno` | the only place where errors become numbers |

pub mod disks;
mod errno;
mod fuse;
mod mount;
mod read_pool;
mod tree;
mod unmount;

pub use mount::{Mount, MountError};
pub use unmount::{UnmountError, mounted, place, unmount};
