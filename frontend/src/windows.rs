//! The windows over the page: each holds the console of a machine, and can be moved, minimised, and closed while the
//! machine keeps running.

pub mod position;
pub mod stack;

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;
