//! The answer to every question about entries: which there are, which one a key means, and getting it here.

use pixelrts_shared::catalog::{Catalog, Entry, MergedCatalog, MergedEntry, ServerError};
use pixelrts_shared::download::{Download, NewDownload};
use pixelrts_shared::machine::Machine;
use pixelrts_shared::server::HealthState;
use pixelrts_shared::{Digest, EntryId, Problem, ServerId};
use sha2::Digest as _;
use url::Url;

use super::checked_file::CheckedFile;
use super::error::CatalogError;
use super::image_file::file_here;
use super::merge::{Facts, merge};
use super::scan::Local;
use super::{check_image, read};
use crate::cache::{Promise, Store};
use crate::policy::module::Module;
use crate::remote::{FetchRequest, Mirror, Remote, catalogs::KnownServer, client::Endpoint};

/// A struct of handles; clones share everything.
#[derive(Clone, Debug)]
pub struct Library {
    pub local: Local,
    pub store: Store,
    /// Without it only what is on this computer is known.
    pub remote: Module<Remote>,
}

impl Library {
    /// All entries of this computer and of all enabled servers, or of one of them; at once, from memory.
    pub fn merged(&self, machines: &[Machine], only: Option<&ServerId>) -> Result<MergedCatalog, Problem> {
        let mut known_servers = self.known_servers()?;
        if let Some(only) = only {
            known_servers.retain(|known| known.server.id == *only);
            if known_servers.is_empty() && !only.is_local() {
                known_servers.push(self.remote.get()?.catalogs.known_server(only)?);
            }
        }
        let found = self.local.found();
        let local = found.images.iter().filter(|_| only.is_none_or(ServerId::is_local)).map(|image| &image.entry);
        let downloads = self.remote.get().map(|remote| remote.downloads.list()).unwrap_or_default();
        let facts = Facts::new(self.store.digests(), downloads, machines);
        let checked = known_servers.iter().filter_map(|known| known.health.checked_at.clone());
        Ok(MergedCatalog {
            // Of the newest part, so that the document only changes when something in it does.
            generated_at: checked.fold(found.scanned_at.clone(), Ord::max),
            stale: found.scanned_at.is_empty() || known_servers.iter().any(|known| known.asking),
            entries: merge(local, &known_servers, &facts),
            errors: known_servers
                .iter()
                .filter(|known| known.health.state == HealthState::Down)
                .filter_map(|known| {
                    let problem = known.health.last_error.clone()?;
                    Some(ServerError { server: known.server.id.clone(), problem })
                })
                .collect(),
        })
    }

    /// All enabled servers with what is known of them; none when the module is not there.
    pub fn known_servers(&self) -> Result<Vec<KnownServer>, Problem> {
        self.remote.get().map_or_else(|_| Ok(Vec::new()), |remote| Ok(remote.catalogs.known_servers()?))
    }

    /// One server's catalog as it was last seen.
    pub async fn catalog_of(&self, server: &ServerId) -> Result<Catalog, Problem> {
        if server.is_local() {
            return self.local.catalog().await;
        }
        let known = self.remote.get()?.catalogs.known_server(server)?;
        match (known.catalog, known.health.last_error) {
            (Some(catalog), _) => Ok(catalog.to_catalog()),
            (None, Some(problem)) => Err(problem),
            (None, None) => Err(CatalogError::NotYet { server: known.server.name.into() }.into()),
        }
    }

    /// The entry that a key means: a digest, an id where it is unambiguous, or `id@server`.
    pub fn find(&self, key: &str, machines: &[Machine], server: Option<&ServerId>) -> Result<MergedEntry, Problem> {
        let (id, at) = match key.split_once('@') {
            Some((id, at)) => (id, Some(at.parse::<ServerId>().map_err(|_| not_found(key))?)),
            None => (key, None),
        };
        let server = at.as_ref().or(server);
        let merged = self.merged(machines, None)?;
        let offered = |entry: &MergedEntry| {
            server.is_none_or(|server| entry.sources.iter().any(|source| source.server == *server))
        };
        if let Ok(digest) = id.parse::<Digest>() {
            let found = merged.entries.into_iter().find(|entry| entry.entry.sha256 == digest && offered(entry));
            return found.map_or_else(|| self.only_cached(&digest, server), Ok);
        }
        let id: EntryId = id.parse().map_err(|_| not_found(key))?;
        let named = |entry: &MergedEntry| {
            entry.sources.iter().any(|source| source.id == id && server.is_none_or(|server| source.server == *server))
        };
        let mut candidates = merged.entries.into_iter().filter(named);
        match (candidates.next(), candidates.next()) {
            (Some(entry), None) => Ok(entry),
            (None, _) => Err(not_found(key)),
            (Some(first), Some(second)) => Err(ambiguous(key, [first, second].into_iter().chain(candidates))),
        }
    }

    /// An image whose server was removed is still here.
    fn only_cached(&self, digest: &Digest, server: Option<&ServerId>) -> Result<MergedEntry, Problem> {
        let cached = self.store.find(digest)?.filter(|_| server.is_none());
        let cached = cached.ok_or_else(|| not_found(&digest.to_string()))?;
        let entry = read::entry(&cached.path, *digest, cached.size)?;
        let facts = Facts { cached: [*digest].into(), ..Facts::default() };
        merge([&entry], &[], &facts).pop().ok_or_else(|| not_found(&digest.to_string()))
    }

    /// Asks all servers and looks through the folders; returns at once.
    pub fn refresh(&self) {
        if let Ok(remote) = self.remote.get() {
            remote.catalogs.refresh();
        }
        self.local.ask_for_scan();
    }

    /// Starts a download, or joins the one that is under way.
    pub fn download(&self, new: &NewDownload) -> Result<Download, Problem> {
        let entry = self.find(&new.key, &[], new.server.as_ref())?.entry;
        Ok(self.remote.get()?.downloads.start(self.fetch_request(&entry, new.server.as_ref())?))
    }

    /// What a download needs to know. Local folders are no source: what is there needs none.
    pub fn fetch_request(&self, entry: &Entry, server: Option<&ServerId>) -> Result<FetchRequest, Problem> {
        let mut known_servers = self.known_servers()?;
        known_servers.sort_by_key(|known| known.health.state == HealthState::Down);
        known_servers.retain(|known| server.is_none_or(|server| known.server.id == *server));
        let mirrors =
            known_servers.iter().filter_map(|known| known.server.mirror(known.catalog.as_ref()?.find(&entry.sha256)?));
        Ok(FetchRequest { key: entry.sha256, promise: Promise::Digest(entry.sha256), mirrors: mirrors.collect() })
    }

    /// The image as a verified file: of a local folder, of the cache, or fetched now.
    pub async fn obtain(&self, entry: &Entry, server: Option<&ServerId>) -> Result<CheckedFile, Problem> {
        if let Some(file) = self.here(&entry.sha256).await? {
            return Ok(file);
        }
        CheckedFile::of_cache(self.remote.get()?.downloads.fetch(self.fetch_request(entry, server)?).await?).await
    }

    /// The verified file, when the image is on this computer.
    pub async fn here(&self, digest: &Digest) -> Result<Option<CheckedFile>, Problem> {
        file_here(&self.local, Some(&self.store), digest).await
    }
}

/// An image at an http or https address, without a catalog that promises its digest: what comes must be an image.
/// `None` when the text is no such address.
#[must_use]
pub fn request_for_url(source: &str) -> Option<FetchRequest> {
    let url = Url::parse(source).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let key = Digest::new(sha2::Sha256::digest(url.as_str()).into());
    let (endpoint, url) = Endpoint::of_address(url);
    let server = ServerId::from_name(&endpoint.name);
    let mirrors = vec![Mirror { server, endpoint, url, size: None }];
    Some(FetchRequest { key, promise: Promise::Checked(check_image), mirrors })
}

fn not_found(key: &str) -> Problem {
    CatalogError::NotFound { key: key.to_owned() }.into()
}

fn ambiguous(key: &str, candidates: impl Iterator<Item = MergedEntry>) -> Problem {
    let candidates = candidates
        .map(|entry| {
            let servers: Vec<_> = entry.sources.iter().map(|source| source.server.as_str()).collect();
            format!("{} at {}", entry.entry.sha256, servers.join(", "))
        })
        .collect();
    CatalogError::Ambiguous { key: key.to_owned(), candidates }.into()
}
