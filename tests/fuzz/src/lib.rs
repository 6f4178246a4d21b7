//! Hostile images: what a fuzzer gives to the reader, and what must hold then.
//!
//! `image`, `blob` and `files` are the backend's own files, so that a build with coverage compiles them and no web server. In
//! such a build (`cargo xtask fuzz`) every checksum passes, because a fuzzer cannot guess one. In `cargo test` every file
//! of the corpus runs through its target with all checksums checked.
//!
//! `cargo run -p pixelrts-fuzz --example seeds` writes the corpus in `corpus/TARGET` from images of our own packer and
//! parts of them. An input that found something is added under a name that says what it found.

#[allow(dead_code, unused_imports, unreachable_pub, reason = "it belongs to the backend, and only a part is used here")]
pub mod blob;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it belongs to the backend, and only a part is used here")]
pub mod files;
#[allow(dead_code, unused_imports, unreachable_pub, reason = "it belongs to the backend, and only a part is used here")]
pub mod image;
mod png;
mod targets;
/// What the reader uses of the backend's module, which has an async runtime that is not needed here.
mod task {
    pub(crate) use std::thread::scope;
}

pub use png::{Deflated, png};

/// A target takes any bytes. A panic is a finding.
pub type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: [(&str, Target); 6] = [
    ("chunks", targets::chunks),
    ("metadata", targets::metadata),
    ("index", targets::index),
    ("strip", targets::strip),
    ("classic", targets::classic),
    ("open", targets::open),
];

#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
