//! All catalogs as one list: an entry per digest, with everyone who offers it. Pure.
//!
//! The digest is the identity: the same bytes on two servers are one entry with two sources, the same id with other
//! bytes stays two entries. Sources stand in the order in which they are tried: this computer, then servers that
//! answer before those that do not, each by priority. The first source describes the entry.

use std::collections::{HashMap, HashSet};

use pixelrts_shared::catalog::{Entry, MergedEntry, Source, Status};
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::machine::{Machine, MachineState};
use pixelrts_shared::server::{Health, HealthState};
use pixelrts_shared::{Digest, ServerId};

use crate::remote::catalogs::Offer;

/// What is known of images beside the catalogs.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) cached: HashSet<Digest>,
    pub(super) downloads: HashMap<Digest, Download>,
    /// The newest machine of each image.
    pub(super) machines: HashMap<Digest, MachineState>,
}

impl Facts {
    pub(super) fn new(cached: HashSet<Digest>, downloads: Vec<Download>, machines: &[Machine]) -> Self {
        Self {
            cached,
            downloads: downloads.into_iter().map(|download| (download.key, download)).collect(),
            // One that runs counts more than a later one that does not.
            machines: machines.iter().fold(HashMap::new(), |mut states, machine| {
                let state = states.entry(machine.key).or_insert(machine.state);
                if state.is_over() || !machine.state.is_over() {
                    *state = machine.state;
                }
                states
            }),
        }
    }
}

/// `offers` in priority order. The result is sorted by name, then by digest: stable for the reader.
pub(super) fn merge<'a>(
    local: impl IntoIterator<Item = &'a Entry>,
    offers: &[Offer],
    facts: &Facts,
) -> Vec<MergedEntry> {
    let mut merged: HashMap<Digest, MergedEntry> = HashMap::new();
    let mut add = |entry: &Entry, source: Source| {
        merged.entry(entry.sha256).and_modify(|known| known.sources.push(source.clone())).or_insert_with(|| {
            MergedEntry {
                entry: entry.clone(),
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
    let (down, up): (Vec<_>, Vec<_>) = offers.iter().partition(|offer| offer.health.state == HealthState::Down);
    for offer in up.into_iter().chain(down) {
        for entry in offer.catalog.iter().flat_map(|catalog| &catalog.entries) {
            // An entry whose bytes cannot be asked for is none.
            let Some(origin) = offer.server.origin(entry) else { continue };
            let source = Source {
                server: offer.server.id.clone(),
                name: offer.server.name.clone(),
                id: entry.id.clone(),
                url: Some(origin.url.into()),
                health: offer.health.clone(),
            };
            add(entry, source);
        }
    }
    let mut entries: Vec<_> = merged.into_values().collect();
    for entry in &mut entries {
        entry.cached = facts.cached.contains(&entry.entry.sha256);
        entry.status = status(entry, facts);
    }
    entries.sort_by(|a, b| (&a.entry.name, a.entry.sha256).cmp(&(&b.entry.name, b.entry.sha256)));
    entries
}

fn local_source(entry: &Entry) -> Source {
    let server = ServerId::local();
    let health = Health { state: HealthState::Up, ..Health::default() };
    Source { name: "this computer".to_owned(), server, id: entry.id.clone(), url: None, health }
}

/// A machine says more than a download, a download more than the servers.
fn status(entry: &MergedEntry, facts: &Facts) -> Status {
    let machine = facts.machines.get(&entry.entry.sha256);
    let download = facts.downloads.get(&entry.entry.sha256);
    let loading = download.and_then(|download| match download.stage {
        stage if !stage.is_over() && download.attempt > 1 => Some(Status::Retrying),
        stage if !stage.is_over() => Some(Status::Downloading),
        DownloadStage::Failed if !entry.cached => Some(Status::Error),
        _ => None,
    });
    let here = entry.cached || entry.sources.iter().any(|source| source.server.is_local());
    match machine {
        Some(MachineState::Running | MachineState::Paused) => Status::Running,
        Some(MachineState::Fetching) => loading.unwrap_or(Status::Booting),
        Some(MachineState::Starting) => Status::Booting,
        _ if loading.is_some() => loading.unwrap_or_default(),
        Some(MachineState::Crashed | MachineState::Panicked | MachineState::Failed) => Status::Error,
        Some(MachineState::Stopping | MachineState::Stopped) => Status::Stopped,
        None if !here && entry.sources.iter().all(|source| source.health.state == HealthState::Down) => {
            Status::Unavailable
        }
        None => Status::Idle,
    }
}

#[cfg(test)]
mod tests;
