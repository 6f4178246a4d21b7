//! The wall: which objects hang on it, in which order, and how keys move on it.

pub mod filter;
pub mod grid;

#[cfg(target_arch = "wasm32")]
pub mod store;
#[cfg(target_arch = "wasm32")]
pub mod view;
