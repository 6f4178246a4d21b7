//! The browser shell of PixelRTS: a wall of pictures, one for each image, that can be booted with a click.
//!
//! What is decided (what an object shows, when to repaint, where a line ends) is plain Rust, compiled and tested on the
//! host. What touches the browser is compiled for wasm32 alone. Within a feature: `store` holds state and verbs, effects
//! name the browser's interfaces, `view` reads and dispatches.

#![cfg_attr(
    target_arch = "wasm32",
    expect(unreachable_pub, reason = "the properties that `#[component]` writes are pub")
)]

pub mod catalog;
pub mod console;
pub mod desktop;
pub mod downloads;
pub mod link;
pub mod swr;
pub mod words;

#[cfg(target_arch = "wasm32")]
pub mod app;
#[cfg(target_arch = "wasm32")]
mod client;
#[cfg(target_arch = "wasm32")]
mod json;
#[cfg(target_arch = "wasm32")]
mod machines;
#[cfg(target_arch = "wasm32")]
mod settings;
#[cfg(target_arch = "wasm32")]
mod storage;
#[cfg(target_arch = "wasm32")]
mod ui;
