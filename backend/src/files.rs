//! Files on disk: writing them completely or not at all, locking them, and explaining why the system refuses one.
//! What a file is, as far as the system tells without reading it, decides whether it is read again.

mod atomic;
mod identity;
mod lock;
mod problem;
mod temporary;

pub(crate) use atomic::{Existing, UNFINISHED, unfinished, write_atomically};
#[cfg(test)]
pub(crate) use identity::Time;
pub(crate) use identity::{FileIdentity, open_regular};
pub(crate) use lock::{Lock, is_without_locks, stand_ins};
pub(crate) use problem::storage_problem;
pub(crate) use temporary::temporary_folders;
