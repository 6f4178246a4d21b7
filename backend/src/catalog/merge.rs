//! All catalogs as one list: an entry per digest, with every server that offers it. This is pure.
//!
//! The digest is the identity: the same bytes on two servers are one entry with two sources, the same id with other
//! bytes stays two entries. Sources stand in the order in which they are tried: this computer, then servers that
//! answer before those that do not, each by priority. The first source describes the entry.

use std::collections::{HashMap, HashSet};

use pixelrts_shared::catalog::{Entry, MergedEntry, Source};
use pixelrts_shared::download::Download;
use pixelrts_shared::image_status::{self, Status, machine_that_counts};
use pixelrts_shared::machine::Machine;
use pixelrts_shared::server::{Health, HealthState};
use pixelrts_shared::{Digest, ServerId};

use crate::remote::catalogs::KnownServer;

/// What is known about images apart from the catalogs.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    /// Whole images in the download cache.
    pub(super) cached: HashSet<Digest>,
    pub(super) downloads: HashMap<Digest, Download>,
    /// In the order in which they were started.
    pub(super) machines: &'a [Machine],
}

impl<'a> Facts<'a> {
    pub(super) fn new(cached: HashSet<Digest>, downloads: Vec<Download>, machines: &'a [Machine]) -> Self {
        Self { cached, downloads: downloads.into_iter().map(|download| (download.key, download)).collect(), machines }
    }
}

/// `known_servers` in priority order. The result is sorted by name, then by digest: stable for the reader.
pub(super) fn merge<'a>(
    local: impl IntoIterator<Item = &'a Entry>,
    known_servers: &[KnownServer],
    facts: &Facts<'_>,
) -> Vec<MergedEntry> {
    let mut merged: HashMap<Digest, MergedEntry> = HashMap::new();
    let mut add = |entry: &Entry, source: Source| {
        merged.entry(entry.sha256).and_modify(|known| known.sources.push(source.clone())).or_insert_with(|| {
            MergedEntry {
                entry: entry.clone(),
                described_by: Some(source.server.clone()).filter(|server| !server.is_local()),
                sources: vec![source],
                cached: false,
                position: None,
                status: Status::Idle,
            }
        });
    };
    for entry in local {
        add(entry, local_source(entry));
    }
    let (down, up): (Vec<_>, Vec<_>) = known_servers.iter().partition(|known| known.health.state == HealthState::Down);
    for known in up.into_iter().chain(down) {
        for entry in known.catalog.iter().flat_map(|catalog| catalog.entries()) {
            // An entry whose bytes cannot be requested is left out.
            let Some(mirror) = known.server.mirror(entry) else { continue };
            let source = Source {
                server: known.server.id.clone(),
                name: known.server.name.clone(),
                id: entry.id.clone(),
                size: entry.size,
                url: Some(mirror.url.into()),
                health: known.health.clone(),
            };
            add(entry, source);
        }
    }
    let mut entries: Vec<_> = merged.into_values().collect();
    for entry in &mut entries {
        entry.cached = is_here(entry, facts);
        entry.status = status(entry, facts);
    }
    entries.sort_by(|a, b| (&a.entry.name, a.entry.sha256).cmp(&(&b.entry.name, b.entry.sha256)));
    entries
}

fn local_source(entry: &Entry) -> Source {
    let server = ServerId::local();
    let health = Health { state: HealthState::Up, ..Health::default() };
    Source { name: "this computer".into(), server, id: entry.id.clone(), size: entry.size, url: None, health }
}

/// The whole image is on this computer: in a local folder, or in the download cache. What is here needs no network.
fn is_here(entry: &MergedEntry, facts: &Facts<'_>) -> bool {
    facts.cached.contains(&entry.entry.sha256) || entry.sources.iter().any(|source| source.server.is_local())
}

fn status(entry: &MergedEntry, facts: &Facts<'_>) -> Status {
    let key = &entry.entry.sha256;
    let known = image_status::Facts {
        machine: machine_that_counts(facts.machines.iter().filter(|machine| machine.key == *key)),
        download: facts.downloads.get(key),
        asked: false,
        refused: None,
        here: entry.cached,
        sources: &entry.sources,
        reachable: true,
    };
    image_status::decide(&known).status()
}

#[cfg(test)]
mod tests;
