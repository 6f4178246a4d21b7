//! What handlers are given: small structs of handles.

use std::path::PathBuf;
use std::time::Instant;

use axum::extract::FromRef;
use pixelrts_shared::machine::Machine;
use pixelrts_shared::{Digest, Problem, ServerId};
use tokio_util::sync::CancellationToken;

use crate::boot::BootService;
use crate::bootstrap::Outcome;
use crate::cache::Store;
use crate::catalog::{Library, Local, LocalImage, Thumbnails};
use crate::doctor::Subject;
use crate::machine::Fleet;
use crate::policy::module::Module;
use crate::task;

/// For the public routes, in both roles.
#[derive(Clone, Debug)]
pub struct Public {
    pub local: Local,
    /// Cached images are offered too; role `catalog` offers its folders only.
    pub store: Option<Store>,
    pub thumbnails: Thumbnails,
    /// What is wrong with the modules.
    pub bootstrap: Outcome,
    pub started: Instant,
}

/// For all routes of role `shell`.
#[derive(Clone, Debug)]
pub struct Shell {
    pub public: Public,
    pub library: Library,
    pub machines: Module<Fleet>,
    pub boot: BootService,
    /// What the doctor looks at.
    pub subject: Subject,
    /// Ends streams at shutdown, or nothing would.
    pub shutdown: CancellationToken,
}

impl Public {
    /// The verified file of an image that is offered here. Before the first scan nothing is known to be missing.
    pub(super) async fn file(&self, digest: &Digest) -> Result<Option<PathBuf>, Problem> {
        if let Some(path) = self.known_file(digest).await? {
            return Ok(Some(path));
        }
        self.local.scanned().await?;
        self.known_file(digest).await
    }

    async fn known_file(&self, digest: &Digest) -> Result<Option<PathBuf>, Problem> {
        let (local, store, digest) = (self.local.get(digest), self.store.clone(), *digest);
        task::blocking(move || match local.filter(LocalImage::is_unchanged) {
            Some(image) => Ok(Some(image.path)),
            None => Ok(store.map(|store| store.find(&digest)).transpose()?.flatten().map(|cached| cached.path)),
        })
        .await
    }

    pub(super) async fn thumbnail(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        match self.file(digest).await? {
            Some(path) => Ok(Some(self.thumbnails.of_image(digest, path).await?)),
            None => Ok(None),
        }
    }
}

impl Shell {
    /// All machines, for the status of entries.
    pub(super) fn machines(&self) -> Vec<Machine> {
        self.machines.get().map(Fleet::list).unwrap_or_default()
    }

    /// The picture that a server shows for an image.
    pub(super) async fn remote_thumbnail(&self, server: &ServerId, digest: &Digest) -> Result<Vec<u8>, Problem> {
        let remote = self.library.remote.get()?;
        let offer = remote.catalogs.offer_of(server)?;
        let mut entries = offer.catalog.iter().flat_map(|catalog| &catalog.entries);
        let address = entries.find(|entry| entry.sha256 == *digest).and_then(|entry| entry.thumbnail.as_deref());
        self.public.thumbnails.of_server(&remote.client, &offer.server, digest, address).await
    }
}

impl FromRef<Shell> for Public {
    fn from_ref(shell: &Shell) -> Self {
        shell.public.clone()
    }
}
