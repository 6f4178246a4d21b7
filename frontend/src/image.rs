//! One image as the page shows it: what it is doing, what can be done with it, its picture and how much of it is here.

pub mod action;
pub mod anatomy;
pub mod bands;
pub mod condition;
pub mod progress;
pub mod state;
pub mod text;

#[cfg(target_arch = "wasm32")]
pub(crate) mod button;
#[cfg(target_arch = "wasm32")]
pub(crate) mod picture;
#[cfg(target_arch = "wasm32")]
pub(crate) mod state_line;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
