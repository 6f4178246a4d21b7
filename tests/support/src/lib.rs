//! What the tests of all crates share. It depends on nothing, and only tests (and `cargo xtask`) depend on it.

mod old_image;
mod skip;

pub use old_image::old_image;
pub use skip::{Skip, skip};
