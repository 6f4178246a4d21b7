//! Catalog servers: the list of them, their health, and the form that adds one.

pub mod draft;
pub mod health;

#[cfg(target_arch = "wasm32")]
pub(crate) mod add;
#[cfg(target_arch = "wasm32")]
pub(crate) mod mark;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod table;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;
