//! What the tests of all crates share. It depends on hardly anything, and only tests (and `cargo xtask`) depend on it.

pub mod fault_server;
pub mod limited_fs;
pub mod nginx;
mod old_image;
mod skip;

pub use old_image::old_image;
pub use skip::{Skip, skip};
