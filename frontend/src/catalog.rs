//! The merged catalog: everything that can be booted, from this computer and from all servers.

pub mod follow;
pub mod held;
pub mod kept;

#[cfg(target_arch = "wasm32")]
mod memory;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
