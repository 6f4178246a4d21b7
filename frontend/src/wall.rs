//! The wall: which images it shows, in which order, which of their cards are made, and how keys move on it.

pub mod facet;
pub mod filter;
pub mod grid;
pub mod index;
pub mod order;
pub mod search;
pub mod shown;
pub mod sort;
pub mod window;

#[cfg(target_arch = "wasm32")]
pub(crate) mod card;
#[cfg(target_arch = "wasm32")]
mod cards;
#[cfg(target_arch = "wasm32")]
mod empty;
#[cfg(target_arch = "wasm32")]
mod filter_bar;
#[cfg(target_arch = "wasm32")]
pub(crate) mod focus;
#[cfg(target_arch = "wasm32")]
mod measure;
#[cfg(target_arch = "wasm32")]
mod narrow;
#[cfg(target_arch = "wasm32")]
mod row;
#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;
