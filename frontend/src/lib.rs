//! The browser shell of PixelRTS: a wall of pictures, one for each image, that can be booted with a click.
//!
//! State, decisions and formatting are plain Rust, compiled and tested on the host: what an image is doing, which command
//! a key gives, when to repaint, where a line ends. Only views and calls of the browser are compiled for wasm32 alone,
//! and their tests run in a browser.
//!
//! Within a feature, plain structs hold state and its verbs; `store` wraps them in signals and calls the backend; views
//! read a store and dispatch to it. `shell` makes all stores, once; a view asks for the ones it needs. Features use each
//! other without circles, which `cargo xtask check` proves.

#![cfg_attr(
    target_arch = "wasm32",
    expect(unreachable_pub, reason = "the properties that `#[component]` writes are pub")
)]

pub mod address;
pub mod appearance;
pub mod boot;
pub mod cache;
pub mod catalog;
pub mod console;
pub mod downloads;
pub mod failures;
pub mod image;
pub mod json;
pub mod keyboard;
pub mod layout;
pub mod link;
pub mod machines;
pub mod offline;
pub mod resource;
pub mod servers;
pub mod tray;
pub mod wall;
pub mod windows;
pub mod words;

#[cfg(target_arch = "wasm32")]
pub mod app;
#[cfg(target_arch = "wasm32")]
mod client;
#[cfg(target_arch = "wasm32")]
mod clock;
#[cfg(target_arch = "wasm32")]
mod details;
#[cfg(target_arch = "wasm32")]
mod events;
#[cfg(target_arch = "wasm32")]
mod frame;
#[cfg(target_arch = "wasm32")]
mod rest;
#[cfg(target_arch = "wasm32")]
mod settings;
#[cfg(target_arch = "wasm32")]
mod shell;
#[cfg(target_arch = "wasm32")]
mod storage;
#[cfg(target_arch = "wasm32")]
mod ui;

#[cfg(all(test, target_arch = "wasm32"))]
mod testing;
#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
