//! Servers, and how the page looks.

pub(crate) mod add;
pub(crate) mod store;
pub(crate) mod view;
