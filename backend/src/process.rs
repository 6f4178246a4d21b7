//! Processes of the operating system: how a child is started safely, and what this process does to itself.
//!
//! Everything that runs between fork and exec, and so needs `unsafe`, is in this module, and nowhere else:
//!
//! - `child`: a child that ends with its parent, and inherits only the descriptors that it is meant to have.
//! - `detached`: a command that returns while a copy of its process goes on with the work.
//! - `namespace`: a mount namespace of this process's own.
//! - `open_files`: how many files this process may have open.
//! - `pidfd`: a handle on a process that is not a child of this one.

mod child;
mod detached;
mod namespace;
mod open_files;
mod pidfd;

pub use child::{end_with_this_thread, inherit_only};
pub use detached::{Detached, Starter, detach};
pub use namespace::{Mounts, enter_mount_namespace};
pub use open_files::allow_open_files;
pub use pidfd::PidFd;
