//! Serial consoles in windows.

pub mod chord;

#[cfg(target_arch = "wasm32")]
pub mod store;
#[cfg(target_arch = "wasm32")]
pub mod terminal;
#[cfg(target_arch = "wasm32")]
pub mod view;
