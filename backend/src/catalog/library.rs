//! The answer to every question about entries: which there are, which one a key means, and getting it here.

mod arrange;
mod look;

use std::fmt;
use std::time::Duration;

use pixelrts_shared::catalog::{Catalog, Entry, MergedEntry};
use pixelrts_shared::download::{Download, NewDownload};
use pixelrts_shared::left_out::LeftOutEntry;
use pixelrts_shared::server::HealthState;
use pixelrts_shared::{Digest, Problem, ProblemCode, ServerId};

use super::checked_file::CheckedFile;
use super::error::CatalogError;
use super::image_file::file_here;
use super::merge::{Merged, nearest, only_here};
use super::personal::Personal;
use super::read;
use super::scan::Local;
use super::view::View;
use crate::cache::{Listed, Promise, Store};
use crate::policy::module::Module;
use crate::remote::{FetchRequest, Interest, Remote, catalogs::KnownServer};
use crate::task::blocking;
use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::text::Text;

/// So long somebody waits for what is not known yet.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// No name is longer, with its server, in bytes.
const LONGEST_KEY: usize = 2000;

/// A struct of handles; clones share everything.
#[derive(Clone, Debug)]
pub struct Library {
    pub local: Local,
    pub store: Store,
    /// Without it only what is on this computer is known.
    pub remote: Module<Remote>,
    view: View,
}

impl Library {
    #[must_use]
    pub fn new(local: Local, store: Store, remote: Module<Remote>, personal: Personal) -> Self {
        Self { local, store, remote, view: View::new(personal) }
    }

    /// What is known of images that no catalog says.
    #[must_use]
    pub fn personal(&self) -> Personal {
        self.view.personal().clone()
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
            (Some(catalog), _) => Ok(blocking(move || catalog.to_catalog()).await),
            (None, Some(problem)) => Err(problem),
            (None, None) => Err(CatalogError::NotYet { server: known.server.name.into() }.into()),
        }
    }

    /// The entry that a key means: a digest, an id where it is unambiguous, or `id@server`. Soon after a start, this waits
    /// until it is known what there is: see [`Library::unsettled`].
    pub async fn find(&self, key: &str, server: Option<&ServerId>) -> Result<MergedEntry, Problem> {
        self.find_within(SETTLES_WITHIN, key, server).await
    }

    /// The entry that a key means, by what is known now.
    pub async fn find_now(&self, key: &str, server: Option<&ServerId>) -> Result<MergedEntry, Problem> {
        let key = Key::parse(key, server)?;
        self.or_cached(self.find_aside(&key).await, &key).await
    }

    async fn find_within(
        &self,
        within: Duration,
        key: &str,
        server: Option<&ServerId>,
    ) -> Result<MergedEntry, Problem> {
        let key = Key::parse(key, server)?;
        let mut changes = self.changes();
        let settled = async {
            loop {
                changes.mark_unchanged();
                let found = self.find_aside(&key).await;
                let certain = found.is_ok() && (key.is_digest() || self.local.is_scanned());
                if certain || self.unsettled(key.server.as_ref()).is_none() {
                    return found;
                }
                changes.changed().await;
            }
        };
        match tokio::time::timeout(within, settled).await {
            Ok(found) => self.or_cached(found, &key).await,
            Err(_) => {
                let found = self.or_cached(self.find_aside(&key).await, &key).await;
                found.map_err(|problem| match self.unsettled(key.server.as_ref()) {
                    Some(error) if problem.code == ProblemCode::EntryNotFound => error.into(),
                    _ => problem,
                })
            }
        }
    }

    /// What no catalog lists may still be in the cache, under the words by which it was listed once, or by its own name.
    async fn or_cached(&self, found: Result<MergedEntry, Problem>, key: &Key) -> Result<MergedEntry, Problem> {
        match found {
            Err(problem) if problem.code == ProblemCode::EntryNotFound => {
                let (this, key) = (self.clone(), key.clone());
                blocking(move || this.only_cached(&key).map_err(|problem| this.explained(problem, &key))).await
            }
            other => other,
        }
    }

    /// A look at the view may have much to bring up to date, so it happens away from the async threads.
    async fn find_aside(&self, key: &Key) -> Result<MergedEntry, Problem> {
        let (this, key) = (self.clone(), key.clone());
        blocking(move || this.find_key(&key)).await
    }

    fn find_key(&self, key: &Key) -> Result<MergedEntry, Problem> {
        let Key { said, what, server } = key;
        let found = self.look(|view| match what {
            What::Digest(digest) => {
                let offered = server.as_ref().is_none_or(|server| view.offers(server, digest));
                Ok(view.entry(digest, server.as_ref()).filter(|_| offered))
            }
            What::Word(word) => match view.called(word, server.as_ref()).as_slice() {
                [] => Err(not_found(said)),
                [digest] => Ok(view.entry(digest, server.as_ref())),
                several => {
                    let all = several.iter().filter_map(|digest| view.entry(digest, None));
                    Err(ambiguous(said, all))
                }
            },
        })??;
        found.ok_or_else(|| not_found(said))
    }

    /// Why a key may mean nothing although a server has the image: its catalog cannot be read, or this entry of it.
    fn missing(&self, Key { said, what, server }: &Key) -> Option<Problem> {
        let mut servers = self.remote.get().ok()?.catalogs.list().ok()?;
        servers.retain(|one| one.enabled && server.as_ref().is_none_or(|server| one.id == *server));
        let is_meant = |entry: &LeftOutEntry| entry.id.as_str() == what.to_string();
        for server in &servers {
            if let Some(entry) = server.health.left_out.first.iter().find(|entry| is_meant(entry)) {
                let (server, reason) = (server.name.to_string(), entry.reason.to_string());
                return Some(CatalogError::LeftOut { key: shown_key(said), server, reason }.into());
            }
        }
        let failed = || servers.iter().filter_map(|server| Some((server, server.health.last_error.as_ref()?)));
        let silent: Vec<_> = failed().map(|(server, error)| said_of(&server.name, error)).collect();
        let fix = match failed().collect::<Vec<_>>().as_slice() {
            [] => return None,
            [(_, error)] => error.fix.clone(),
            _ => "Look at the servers with: pixelrts servers ls".to_owned(),
        };
        Some(CatalogError::MayBeElsewhere { key: shown_key(said), silent, fix }.into())
    }

    /// What is not known yet, so that a key may mean something that is not listed: folders that were never scanned, and
    /// servers that have never answered nor failed, and of which nothing is stored.
    fn unsettled(&self, server: Option<&ServerId>) -> Option<CatalogError> {
        if server.is_none_or(ServerId::is_local) && !self.local.is_scanned() {
            return Some(CatalogError::Scanning { within: SETTLES_WITHIN });
        }
        let known = self.known_servers().ok()?.into_iter();
        let mut known = known.filter(|known| server.is_none_or(|server| known.server.id == *server));
        let never = known.find(|known| known.catalog.is_none() && known.health.state == HealthState::Unknown)?;
        Some(CatalogError::NotYet { server: never.server.name.to_string() })
    }

    /// Says what was probably meant: a server that is not listed, or an id that differs little.
    fn explained(&self, problem: Problem, key: &Key) -> Problem {
        if problem.code != ProblemCode::EntryNotFound {
            return problem;
        }
        let remote = self.remote.get().ok();
        if let (Some(server), Some(remote)) = (key.server.as_ref().filter(|server| !server.is_local()), remote)
            && let Err(error) = remote.catalogs.known_server(server)
        {
            return error.into();
        }
        let word = key.what.to_string();
        // No id is longer, and the search would take too much time.
        let offered = Some(&word).filter(|word| word.len() <= 64).and_then(|_| self.look(Merged::offered).ok());
        let meant = nearest(&offered.unwrap_or_default(), &word);
        let missing = self.missing(key).unwrap_or(problem);
        match meant {
            Some(id) => Problem { fix: format!("Did you mean {id}? All images: pixelrts catalog ls"), ..missing },
            _ => missing,
        }
    }

    /// An image that no server offers any more is still here.
    fn only_cached(&self, Key { said, what, server }: &Key) -> Result<MergedEntry, Problem> {
        let nothing = || not_found(said);
        let (digest, id) = match (self.store.listed_as(&what.to_string(), server.as_ref()).as_slice(), what) {
            ([(digest, listed)], _) => (*digest, Some(listed.id.clone())),
            ([], What::Digest(digest)) if server.is_none() => (*digest, None),
            ([], What::Word(name)) if server.is_none() => (self.cached_with_name(name)?.ok_or_else(nothing)?, None),
            ([], _) => return Err(nothing()),
            (several, _) => {
                let candidates = several.iter().map(|(digest, listed)| format!("{digest} at {}", listed.server));
                return Err(CatalogError::Ambiguous { key: said.clone(), candidates: candidates.collect() }.into());
            }
        };
        let cached = self.store.find(&digest)?.ok_or_else(nothing)?;
        let mut entry = read::entry(&CheckedFile::open_cached(&cached)?)?;
        entry.id = id.unwrap_or(entry.id);
        let notes = self.view.personal().known().get(&digest);
        Ok(only_here(entry, notes, &self.downloads(), &self.view.machines()))
    }

    /// Asks all servers and looks through the folders; returns at once.
    pub fn refresh(&self) {
        if let Ok(remote) = self.remote.get() {
            remote.catalogs.refresh();
        }
        self.local.ask_for_scan();
    }

    /// Starts a download, or joins the one that is under way.
    pub async fn download(&self, new: &NewDownload) -> Result<Download, Problem> {
        let entry = self.find(&new.key, new.server.as_ref()).await?.entry;
        Ok(self.remote.get()?.downloads.start(self.fetch_request(&entry, new.server.as_ref())?))
    }

    /// The same for somebody who follows it: the download ends with the interest, unless somebody else wants it.
    pub async fn join_download(&self, new: &NewDownload) -> Result<Interest, Problem> {
        let entry = self.find(&new.key, new.server.as_ref()).await?.entry;
        Ok(self.remote.get()?.downloads.join(self.fetch_request(&entry, new.server.as_ref())?))
    }

    /// What a download needs to know. Local folders are no source: what is there needs none.
    pub fn fetch_request(&self, entry: &Entry, server: Option<&ServerId>) -> Result<FetchRequest, Problem> {
        let mut known_servers = self.known_servers()?;
        known_servers.sort_by_key(|known| known.health.state == HealthState::Down);
        known_servers.retain(|known| server.is_none_or(|server| known.server.id == *server));
        let offers =
            known_servers.iter().filter_map(|known| Some((known, known.catalog.as_ref()?.find(&entry.sha256)?)));
        let listed = offers.clone().map(|(known, entry)| Listed {
            server: known.server.id.clone(),
            id: entry.id.clone(),
            name: entry.name.clone(),
        });
        Ok(FetchRequest {
            key: entry.sha256,
            promise: Promise::Digest(entry.sha256),
            listed: listed.collect(),
            mirrors: offers.filter_map(|(known, entry)| known.server.mirror(entry)).collect(),
        })
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

/// What a person means by a key.
#[derive(Clone, Debug)]
struct Key {
    said: String,
    what: What,
    server: Option<ServerId>,
}

#[derive(Clone, Debug)]
enum What {
    Digest(Digest),
    /// An id, or a name.
    Word(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl Key {
    /// The server in the key counts more than the other one.
    fn parse(said: &str, server: Option<&ServerId>) -> Result<Self, Problem> {
        if said.is_empty() || said.len() > LONGEST_KEY {
            return Err(not_found(said));
        }
        let (what, at) = match said.rsplit_once('@').map(|(what, at)| (what, at.parse::<ServerId>())) {
            Some((what, Ok(at))) => (what, Some(at)),
            Some((_, Err(_))) | None => (said, None),
        };
        let what = what.parse().map_or_else(|_| What::Word(what.to_owned()), What::Digest);
        Ok(Self { said: said.to_owned(), what, server: at.or_else(|| server.cloned()) })
    }

    fn is_digest(&self) -> bool {
        matches!(self.what, What::Digest(_))
    }
}

fn not_found(key: &str) -> Problem {
    CatalogError::NotFound { key: shown_key(key) }.into()
}

fn shown_key(key: &str) -> String {
    // An address that cannot be understood may hold a password.
    if key.contains("://") { ShownAddress::new(key).to_string() } else { Text::<200>::new(key).into() }
}

/// A problem of a server within a sentence about it.
fn said_of(server: &str, problem: &Problem) -> String {
    let what = problem.what.trim_end_matches('.');
    let named = if what.contains(server) { what.to_owned() } else { format!("{server}: {what}") };
    format!("{named} ({})", problem.why.trim_end_matches('.'))
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

#[cfg(test)]
mod tests;
