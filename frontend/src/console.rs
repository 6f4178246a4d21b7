//! The serial console of a machine.

pub mod chord;
pub mod line;

#[cfg(target_arch = "wasm32")]
pub(crate) mod terminal;
#[cfg(target_arch = "wasm32")]
pub(crate) mod toolbar;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;
