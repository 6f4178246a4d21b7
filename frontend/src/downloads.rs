//! Downloads, followed in one streamed reply.

pub mod lines;
pub mod list;

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod stream;
