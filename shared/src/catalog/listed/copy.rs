//! A copy of the merged view that follows the backend's.

use std::collections::HashMap;
use std::fmt;

use super::{CatalogDelta, CatalogPage, CatalogServer, ListedEntry, ListedSource};
use crate::catalog::{MergedCatalog, MergedEntry, ServerError, Source};
use crate::server::HealthState;
use crate::{Digest, ServerId, paths};

/// What a client has of the merged view.
#[derive(Clone, Debug, Default)]
pub struct CatalogCopy {
    revision: String,
    generated_at: String,
    stale: bool,
    servers: Vec<CatalogServer>,
    entries: HashMap<Digest, ListedEntry>,
}

/// The changes cannot be taken over: begin with an empty copy and the first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the changes since then cannot be told")
    }
}

impl std::error::Error for Broken {}

impl CatalogCopy {
    /// What `since` is to be. Empty before the first page.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes over a page. The first one must come first; the others may come in any order, and twice.
    pub fn add(&mut self, page: CatalogPage) {
        if !page.servers.is_empty() {
            self.servers = page.servers;
        }
        (self.revision, self.generated_at, self.stale) = (page.revision, page.generated_at, page.stale);
        self.entries.extend(page.entries.into_iter().map(|entry| (entry.entry.sha256, entry)));
    }

    /// Takes over what has changed since [`revision`](Self::revision).
    pub fn apply(&mut self, delta: CatalogDelta) -> Result<(), Broken> {
        if delta.full {
            return Err(Broken);
        }
        (self.revision, self.generated_at, self.stale) = (delta.revision, delta.generated_at, delta.stale);
        self.servers = delta.servers;
        for digest in &delta.removed {
            self.entries.remove(digest);
        }
        self.entries.extend(delta.changed.into_iter().map(|entry| (entry.entry.sha256, entry)));
        Ok(())
    }

    /// The whole view, as `GET /api/v1/catalog/remote` without parameters gives it.
    #[must_use]
    pub fn whole(&self) -> MergedCatalog {
        let servers: HashMap<_, _> = self.servers.iter().map(|server| (&server.id, server)).collect();
        let mut entries: Vec<_> =
            self.entries.values().map(|entry| entry.merged(|id| servers.get(id).copied())).collect();
        entries.sort_by(|a, b| (&a.entry.name, a.entry.sha256).cmp(&(&b.entry.name, b.entry.sha256)));
        MergedCatalog {
            revision: self.revision.clone(),
            generated_at: self.generated_at.clone(),
            stale: self.stale,
            entries,
            errors: errors(&self.servers),
        }
    }
}

/// What is wrong with which server.
#[must_use]
pub fn errors(servers: &[CatalogServer]) -> Vec<ServerError> {
    let down = servers.iter().filter(|server| server.health.state == HealthState::Down);
    let error = |server: &CatalogServer| {
        let problem = server.health.last_error.clone()?;
        Some(ServerError { server: server.id.clone(), problem })
    };
    down.filter_map(error).collect()
}

impl ListedEntry {
    /// The entry with what is said of its servers.
    pub fn merged<'a>(&self, server: impl Fn(&ServerId) -> Option<&'a CatalogServer>) -> MergedEntry {
        let Self { entry, described_by, sources, cached, position, favorite, added, last_used, status } = self;
        let source = |source: &ListedSource| {
            // A page may name a server that the next delta brings.
            let server = server(&source.server);
            Source {
                server: source.server.clone(),
                name: server.map_or_else(|| source.server.as_str().into(), |server| server.name.clone()),
                id: source.id.as_ref().unwrap_or(&entry.id).clone(),
                size: source.size.unwrap_or(entry.size),
                url: source.url.clone().or_else(|| {
                    let base = server.and_then(|server| server.url.as_deref())?;
                    Some(default_url(base, &entry.sha256))
                }),
                health: server.map(|server| server.health.clone()).unwrap_or_default(),
            }
        };
        MergedEntry {
            entry: entry.clone(),
            described_by: described_by.clone(),
            sources: sources.iter().map(source).collect(),
            cached: *cached,
            position: *position,
            favorite: *favorite,
            added: added.clone(),
            last_used: last_used.clone(),
            status: *status,
        }
    }
}

/// Where a server has an image when its catalog does not say it. `base` ends in `/`.
#[must_use]
pub fn default_url(base: &str, sha256: &Digest) -> String {
    format!("{base}{}", paths::image(sha256).trim_start_matches('/'))
}
