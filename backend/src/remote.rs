//! Catalog servers: the list of them, their catalogs, their health, and downloads from them.
//!
//! Nothing that a server sends is trusted: the size of its catalog is limited and its entries are checked, and its
//! bytes enter the cache only under the digest that was computed from them. One server never delays or hides another.

mod address;
pub mod catalogs;
pub mod client;
pub mod downloads;
pub mod egress;
mod error;
#[cfg(test)]
pub(crate) mod faulty_server;
pub mod servers;
mod transfer;
mod web_page;

pub use address::{host_of, shown, without_secrets};
pub use catalogs::Catalogs;
pub use client::{Client, Proxies};
pub use downloads::{Downloads, FetchRequest, Interest};
pub use error::RemoteError;
pub use servers::Servers;
pub use transfer::{Mirror, Timing};

use crate::policy::manifest::{NeededBy, manifest};
use servers::SCHEMA;

manifest! {
    module: "servers",
    needed_by: NeededBy::Shell,
    database: Some(&SCHEMA)
}

/// Everything that needs a network. Clones share it.
#[derive(Clone, Debug)]
pub struct Remote {
    pub client: Client,
    pub catalogs: Catalogs,
    pub downloads: Downloads,
}
