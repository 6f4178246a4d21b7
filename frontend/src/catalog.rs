//! What can be booted, as the wall shows it.

pub mod anatomy;
pub mod condition;
pub mod have;

#[cfg(target_arch = "wasm32")]
pub mod details;
#[cfg(target_arch = "wasm32")]
pub mod object;
#[cfg(target_arch = "wasm32")]
pub mod picture;
#[cfg(target_arch = "wasm32")]
pub mod store;
