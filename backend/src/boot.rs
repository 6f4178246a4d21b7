//! Booting an image, whoever requests it: the API, or a person at the command line.
//!
//! ```text
//!  POST /boot ──▶ BootService ──▶ Supply ──▶ Fleet       a process per machine, which outlives the backend
//!  pixelrts boot ──────────────▶ Supply ──▶ foreground   the machine belongs to this process and its terminal
//! ```
//! [`Supply`] gives the image of one boot and decides what it is booted with. When the machine finds wrong bytes, the
//! image is requested once more: a damaged file is then removed from the cache and fetched again.

mod foreground;
mod service;
mod supply;

pub use foreground::{Ended, foreground};
pub use service::BootService;
pub use supply::{Supply, check_request};

#[cfg(test)]
mod tests;
