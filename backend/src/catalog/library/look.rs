//! Looking at the merged view, which brings it up to date.

use std::sync::Arc;

use pixelrts_shared::catalog::{CatalogDelta, CatalogPage, MergedCatalog};
use pixelrts_shared::download::Download;
use pixelrts_shared::machine::Machine;
use pixelrts_shared::{Problem, ServerId};
use tokio::sync::watch;

use super::Library;
use crate::catalog::merge::{Cursor, Inputs, Merged, Whole};
use crate::catalog::personal::Moment;
use crate::catalog::scan::Found;

impl Library {
    /// Machines have a part in the status of their images. `list` gives all of them, in the order in which they were
    /// started; only the first call counts.
    pub fn watch_machines(&self, list: impl Fn() -> Vec<Machine> + Send + Sync + 'static) {
        self.view.watch_machines(Box::new(list));
    }

    /// Looks at the view as it is now.
    pub(in crate::catalog) fn look<T>(&self, at: impl FnOnce(&Merged) -> T) -> Result<T, Problem> {
        // It is held while the parts are gathered, so that no older ones follow newer ones.
        let mut merged = self.view.merged();
        let personal = self.view.personal();
        merged.update(Inputs {
            local: self.local.found(),
            servers: self.known_servers()?,
            cached: self.view.cached(self.store.digests()),
            downloads: self.downloads(),
            machines: self.view.machines(),
            personal: personal.clone(),
            changed: personal.take_changed(),
            now: Moment::now(),
        });
        let seen = at(&merged);
        drop(merged);
        personal.save();
        Ok(seen)
    }

    /// All entries of this computer and of all enabled servers; from memory.
    pub fn merged(&self) -> Result<MergedCatalog, Problem> {
        self.look(Merged::whole)
    }

    /// All that the whole view depends on, in a few words: when it is the same, the view is.
    pub fn view_says(&self) -> Result<String, Problem> {
        self.look(Merged::says)
    }

    /// The whole view as a document that is still to be written.
    pub fn written(&self) -> Result<Whole, Problem> {
        self.look(Merged::written)
    }

    /// The entries of one server, enabled or not, or of this computer.
    pub fn merged_of(&self, only: &ServerId) -> Result<MergedCatalog, Problem> {
        Ok(self.view_of(only)?.whole())
    }

    /// The same as a document that is still to be written.
    pub fn written_of(&self, only: &ServerId) -> Result<Whole, Problem> {
        Ok(self.view_of(only)?.written())
    }

    fn view_of(&self, only: &ServerId) -> Result<Merged, Problem> {
        let local = if only.is_local() { self.local.found() } else { Arc::new(Found::default()) };
        let servers = if only.is_local() { Vec::new() } else { vec![self.remote.get()?.catalogs.known_server(only)?] };
        let mut merged = Merged::new(String::new());
        merged.update(Inputs {
            local,
            servers,
            cached: self.view.cached(self.store.digests()),
            downloads: self.downloads(),
            machines: self.view.machines(),
            personal: self.view.personal().clone(),
            ..Inputs::default()
        });
        Ok(merged)
    }

    /// At most `limit` entries behind a place, or the first ones.
    pub fn page(&self, limit: usize, after: Option<Cursor>) -> Result<CatalogPage, Problem> {
        self.look(|view| view.page(limit, after))
    }

    /// What has changed since a revision.
    pub fn since(&self, revision: &str) -> Result<CatalogDelta, Problem> {
        self.look(|view| view.since(revision))
    }

    /// A number that grows when the view has changed for a reason that no other part reports.
    #[must_use]
    pub fn view_changes(&self) -> watch::Receiver<u64> {
        self.view.changes()
    }

    pub(super) fn downloads(&self) -> Vec<Download> {
        self.remote.get().map(|remote| remote.downloads.list()).unwrap_or_default()
    }

    /// Reads what the images of the cache say of themselves, whenever there are new ones, until it is dropped.
    pub async fn keep_told(self) {
        self.view.keep_told(&self.store).await;
    }
}

/// Tells when something has changed of which entries are made.
pub(super) struct Changes {
    local: watch::Receiver<Arc<Found>>,
    servers: Option<watch::Receiver<u64>>,
}

impl Library {
    pub(super) fn changes(&self) -> Changes {
        let servers = self.remote.get().ok().map(|remote| remote.catalogs.changes());
        Changes { local: self.local.changes(), servers }
    }
}

impl Changes {
    /// What has happened so far counts as seen.
    pub(super) fn mark_unchanged(&mut self) {
        self.local.mark_unchanged();
        self.servers.iter_mut().for_each(watch::Receiver::mark_unchanged);
    }

    pub(super) async fn changed(&mut self) {
        let servers = async {
            match &mut self.servers {
                Some(servers) => drop(servers.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.local.changed() => {}
            () = servers => {}
        }
    }
}
