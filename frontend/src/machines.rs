//! Machines: what runs, how far its boot has come, and what this page asked of it.

pub mod boots;
pub mod list;
pub mod stages;
pub mod summary;

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;
