//! One of those whose images are in the view: this computer, or a server.

use std::sync::Arc;

use pixelrts_shared::catalog::{CatalogServer, Entry};
use pixelrts_shared::server::{Health, HealthState};
use pixelrts_shared::text::Text;
use pixelrts_shared::{Digest, EntryId, ServerId};

use crate::catalog::scan::Found;
use crate::remote::catalogs::{KnownServer, ServerCatalog};
use crate::remote::servers::Record;
use crate::remote::shown;

#[derive(Debug)]
pub(super) struct Member {
    who: Who,
    health: Health,
    /// Members with a lower number are tried first.
    pub(super) rank: usize,
    pub(super) entries: Entries,
}

#[derive(Clone, Debug)]
enum Who {
    ThisComputer,
    Server(Box<Record>),
}

impl Member {
    pub(super) fn this_computer() -> Self {
        let health = Health { state: HealthState::Up, ..Health::default() };
        Self { who: Who::ThisComputer, rank: 0, health, entries: Entries::None }
    }

    pub(super) fn server(known: &KnownServer) -> Self {
        let who = Who::Server(Box::new(known.server.clone()));
        Self { who, rank: 0, health: known.health.clone(), entries: Entries::None }
    }

    /// Takes over everything but the entries. True when that changes what is said of each of them.
    pub(super) fn renew(&mut self, known: &KnownServer) -> bool {
        let new = Self::server(known);
        let differs = self.is_down() != new.is_down() || self.base() != new.base();
        (self.who, self.health) = (new.who, new.health);
        differs
    }

    pub(super) fn id(&self) -> ServerId {
        match &self.who {
            Who::ThisComputer => ServerId::local(),
            Who::Server(record) => record.id.clone(),
        }
    }

    pub(super) fn is(&self, id: &ServerId) -> bool {
        match &self.who {
            Who::ThisComputer => id.is_local(),
            Who::Server(record) => record.id == *id,
        }
    }

    pub(super) fn name(&self) -> Text {
        match &self.who {
            Who::ThisComputer => "this computer".into(),
            Who::Server(record) => record.name.clone(),
        }
    }

    /// Ends in `/`.
    pub(super) fn base(&self) -> Option<&str> {
        match &self.who {
            Who::ThisComputer => None,
            Who::Server(record) => Some(record.url.as_str()),
        }
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn is_down(&self) -> bool {
        self.health.state == HealthState::Down
    }

    /// Its place in the order in which sources are tried.
    pub(super) fn turn(&self) -> (bool, usize) {
        (self.is_down(), self.rank)
    }

    /// An entry whose bytes cannot be requested is left out.
    pub(super) fn can_give(&self, entry: &Entry) -> bool {
        match (&self.who, &entry.url) {
            (Who::ThisComputer, _) | (_, None) => true,
            (Who::Server(record), Some(url)) => record.resolve(url).is_some(),
        }
    }

    /// The address of the bytes as it may be shown; `None` for this computer.
    pub(super) fn url(&self, entry: &Entry) -> Option<String> {
        match &self.who {
            Who::ThisComputer => None,
            Who::Server(record) => record.image_url(entry).map(|url| shown(&url).to_string()),
        }
    }

    /// The address as it may be shown in front of the digest, of images whose entry names no address.
    pub(super) fn images(&self) -> Option<String> {
        // What is shown of a long one is cut.
        const LONGEST: usize = 200;
        match &self.who {
            Who::ThisComputer => None,
            Who::Server(record) => {
                let images = shown(&record.resolve("api/v1/images/")?).to_string();
                Some(images).filter(|images| images.len() <= LONGEST)
            }
        }
    }

    pub(super) fn without_entries(&self) -> Self {
        let Self { who, health, rank, entries: _ } = self;
        Self { who: who.clone(), health: health.clone(), rank: *rank, entries: Entries::None }
    }

    pub(super) fn listed(&self) -> CatalogServer {
        CatalogServer {
            id: self.id(),
            name: self.name(),
            url: self.base().map(str::to_owned),
            health: self.health.clone(),
        }
    }
}

/// What a member offers.
#[derive(Clone, Debug)]
pub(super) enum Entries {
    None,
    Folders(Arc<Found>, Arc<[Arc<Entry>]>),
    Catalog(Arc<ServerCatalog>),
}

impl Entries {
    pub(super) fn of_server(known: &KnownServer) -> Self {
        known.catalog.clone().map_or(Self::None, Self::Catalog)
    }

    pub(super) fn of_folders(found: Arc<Found>) -> Self {
        let entries = found.images.iter().map(|image| Arc::clone(&image.entry)).collect();
        Self::Folders(found, entries)
    }

    /// Whether it is what these folders have.
    pub(super) fn is_of(&self, found: &Arc<Found>) -> bool {
        matches!(self, Self::Folders(known, _) if Arc::ptr_eq(known, found))
    }

    /// Whether it is the same object, so that nothing can differ.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Folders(a, _), Self::Folders(b, _)) => Arc::ptr_eq(a, b),
            (Self::Catalog(a), Self::Catalog(b)) => Arc::ptr_eq(a, b),
            (Self::None | Self::Folders(..) | Self::Catalog(_), _) => false,
        }
    }

    /// The images with an id.
    pub(super) fn with_id(&self, id: &EntryId) -> Vec<Digest> {
        match self {
            Self::None => Vec::new(),
            Self::Folders(_, entries) => {
                entries.iter().filter(|entry| entry.id == *id).map(|entry| entry.sha256).collect()
            }
            Self::Catalog(catalog) => catalog.with_id(id).map(|entry| entry.sha256).collect(),
        }
    }

    /// No digest is in it twice.
    pub(super) fn all(&self) -> &[Arc<Entry>] {
        match self {
            Self::None => &[],
            Self::Folders(_, entries) => entries,
            Self::Catalog(catalog) => catalog.entries(),
        }
    }
}
