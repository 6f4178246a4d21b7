//! Machines: what runs, how far its boot is.

pub(crate) mod events;
pub(crate) mod store;
pub(crate) mod view;
