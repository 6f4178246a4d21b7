//! What is known of every server: its last good catalog, its health, and when it was asked.
//!
//! All servers are asked at once, each in a task of its own, every minute and on demand; one that failed is asked again
//! sooner. Reading is always from memory, so a dead server delays nobody: its entries stay, from its last good catalog,
//! marked by its health. A server that says that nothing changed costs nothing, and so does one that sends the same
//! entries again.

mod ask;
mod budget;
mod known;
mod learn;
mod log_budget;
mod pace;
mod packed;
mod read;
mod server_catalog;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pixelrts_shared::catalog::Entry;
use pixelrts_shared::left_out::LeftOut;
use pixelrts_shared::server::{Health, NewServer, Server, ServerChange, ServerFound};
use pixelrts_shared::{Problem, ServerId};
use tokio::sync::{Semaphore, watch};

use super::address::host_of;
use super::client::{Client, Endpoint};
use super::servers::{Configured, Record, Servers, ServersError, parse_url};
use super::transfer::Mirror;
use crate::task::Scope;
use known::{Known, REFRESH_EVERY};
use learn::{catalog_of, too_large};

pub use ask::{Asker, Seen};
pub use server_catalog::ServerCatalog;

/// When somebody reads catalogs that are older than this, the servers are asked again. A shorter time would let a page
/// that reads on every change keep the servers busy.
const OLD: Duration = Duration::from_secs(10);
/// Whoever waits for all servers waits no longer than this, because a slow one may take a minute.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many addresses are looked at at once before they are listed.
const LOOKS_AT_ONCE: usize = 4;

/// Clones share what is known.
#[derive(Clone, Debug)]
pub struct Catalogs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Servers,
    asker: Asker,
    scope: Scope,
    known: Mutex<BTreeMap<ServerId, Known>>,
    asked: Mutex<Option<Instant>>,
    changes: watch::Sender<u64>,
    /// For the catalogs of all servers together, in bytes.
    memory: usize,
    looking: Semaphore,
}

/// An enabled server with what is known of it.
#[derive(Clone, Debug)]
pub struct KnownServer {
    pub server: Record,
    pub catalog: Option<Arc<ServerCatalog>>,
    pub health: Health,
    /// It is being asked now.
    pub asking: bool,
}

impl Catalogs {
    /// `scope` owns the tasks that ask. Starts with the catalogs of the last run.
    #[must_use]
    pub fn new(servers: Servers, client: Client, scope: Scope) -> Self {
        Self::within(budget::MEMORY, servers, client, scope)
    }

    /// The same; the catalogs of all servers together take no more than so many bytes of memory.
    fn within(memory: usize, servers: Servers, client: Client, scope: Scope) -> Self {
        let mut known = BTreeMap::new();
        for server in servers.list().unwrap_or_default() {
            let kept = servers.kept(&server.id).and_then(|kept| catalog_of(kept, &server.id));
            let mut one = Known::new(server.url);
            one.before = servers.kept_health(&server.id);
            one.catalog = kept;
            known.insert(server.id, one);
            while let Some((id, before, each)) = too_large(&known, memory) {
                let cut = before.cut(each);
                known.entry(id).and_modify(|known| known.cut(&before.catalog, cut));
            }
        }
        Self(Arc::new(Inner {
            servers,
            asker: Asker::new(client),
            scope,
            known: Mutex::new(known),
            asked: Mutex::default(),
            changes: watch::Sender::new(0),
            memory,
            looking: Semaphore::new(LOOKS_AT_ONCE),
        }))
    }

    /// A number that grows with every change of any server.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Asks all enabled servers now and every minute, and those that failed sooner, until the scope ends.
    pub async fn keep_fresh(self) {
        self.refresh();
        let mut changes = self.changes();
        loop {
            let now = Instant::now();
            let (due, next) = self.due(now);
            due.into_iter().for_each(|server| self.refresh_one(server));
            // An answer that came meanwhile may have brought a time forward.
            let _ = tokio::time::timeout(next - now, changes.changed()).await;
        }
    }

    /// The servers that are to be asked now, and when to look again.
    fn due(&self, now: Instant) -> (Vec<Record>, Instant) {
        let servers = self.0.servers.list().unwrap_or_default();
        let known = self.known();
        let due = |server: &Record| known.get(&server.id).and_then(|known| known.due).unwrap_or(now);
        let (now_due, later): (Vec<_>, Vec<_>) =
            servers.into_iter().filter(|server| server.enabled).partition(|server| due(server) <= now);
        let next = later.iter().map(due).min().unwrap_or(now + REFRESH_EVERY);
        (now_due, next.min(now + REFRESH_EVERY))
    }

    /// Starts asking all enabled servers that are not being asked already; returns at once.
    pub fn refresh(&self) {
        *self.asked() = Some(Instant::now());
        for server in self.0.servers.list().unwrap_or_default() {
            self.refresh_one(server);
        }
    }

    /// Starts asking the enabled servers, unless they were asked a moment ago. One that failed is left alone until its
    /// time has come.
    pub fn refresh_old(&self) {
        let now = Instant::now();
        if self.asked().is_some_and(|asked| now.saturating_duration_since(asked) < OLD) {
            return;
        }
        *self.asked() = Some(now);
        for server in self.0.servers.list().unwrap_or_default() {
            if !self.known().get(&server.id).is_some_and(|known| known.rests(now)) {
                self.refresh_one(server);
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all enabled servers and waits until each has answered or failed, but not for one that is very slow.
    pub async fn refreshed(&self) {
        self.refresh();
        let mut changes = self.changes();
        // The sender lives as long as `self`.
        let all = changes.wait_for(|_| self.known().values().all(|known| !known.asking));
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }

    /// Starts asking one server, when it is enabled.
    fn refresh_one(&self, server: Record) {
        let already = self.set(&server, |known| {
            known.due = Some(Instant::now() + REFRESH_EVERY);
            std::mem::replace(&mut known.asking, server.enabled)
        });
        if already || !server.enabled {
            return;
        }
        let this = self.clone();
        self.0.scope.spawn(async move {
            let in_use = this.in_use(&server);
            let version = in_use.as_ref().and_then(|in_use| in_use.head.version.as_ref());
            let answer = this.0.asker.ask(&server.endpoint(), version).await;
            this.learn(&server, in_use, answer).await;
        });
    }

    /// What a server at this address offers. Nothing is stored.
    pub async fn check(&self, url: &str) -> Result<ServerFound, Problem> {
        let base = parse_url(url)?;
        self.look(&Endpoint::new(host_of(&base), base)).await
    }

    /// Asks a server of the list now, with its token. What an enabled one answers is taken over.
    pub async fn check_listed(&self, id: &ServerId) -> Result<ServerFound, Problem> {
        let server = self.0.servers.get(id)?;
        if !server.enabled {
            return self.look(&server.endpoint()).await;
        }
        self.refresh_one(server.clone());
        let mut changes = self.changes();
        let answered = changes.wait_for(|_| self.known().get(id).is_none_or(|known| !known.asking));
        // The client's deadlines limit this wait, and the sender lives as long as `self`.
        let _ = answered.await;
        let known = self.known_server(id)?;
        match (known.health.last_error, known.catalog) {
            (None, Some(catalog)) => Ok(ServerFound {
                name: catalog.name().into(),
                entries: catalog.entries().len(),
                latency_ms: known.health.latency_ms.unwrap_or_default(),
                left_out: self.view(known.server).health.left_out,
            }),
            (Some(problem), _) => Err(problem),
            // It was changed meanwhile.
            (None, None) => self.look(&server.endpoint()).await,
        }
    }

    async fn look(&self, server: &Endpoint) -> Result<ServerFound, Problem> {
        // It is never closed.
        let _turn = self.0.looking.acquire().await;
        let Seen { name, entries, left_out, latency } = self.0.asker.look(server).await?;
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        Ok(ServerFound { name, entries, latency_ms, left_out })
    }

    /// All enabled servers, in the order in which they are tried.
    pub fn known_servers(&self) -> Result<Vec<KnownServer>, ServersError> {
        let servers = self.0.servers.list()?;
        Ok(servers.into_iter().filter(|server| server.enabled).map(|server| self.known_server_of(server)).collect())
    }

    /// One server, enabled or not.
    pub fn known_server(&self, id: &ServerId) -> Result<KnownServer, ServersError> {
        Ok(self.known_server_of(self.0.servers.get(id)?))
    }

    /// All servers as the user sees them.
    pub fn list(&self) -> Result<Vec<Server>, ServersError> {
        Ok(self.0.servers.list()?.into_iter().map(|server| self.view(server)).collect())
    }

    /// The addresses of all servers, enabled or not.
    pub fn addresses(&self) -> Result<Vec<url::Url>, ServersError> {
        Ok(self.0.servers.list()?.into_iter().map(|server| server.url).collect())
    }

    fn view(&self, server: Record) -> Server {
        let health = self.known().get(&server.id).map(|known| known.health(Instant::now())).unwrap_or_default();
        let (ca_file, pin) = server.access.trust.parts();
        Server {
            id: server.id,
            name: server.name,
            url: server.url.as_str().trim_end_matches('/').to_owned(),
            color: server.color,
            priority: server.priority,
            enabled: server.enabled,
            auth: server.access.credentials.is_some(),
            allow: server.access.allow.iter().map(ToString::to_string).collect(),
            ca_file,
            pin,
            configured: server.configured.is_some(),
            health,
        }
    }

    /// Adds a server and asks it at once.
    pub fn add(&self, new: NewServer) -> Result<Server, ServersError> {
        let server = self.0.servers.add(new)?;
        self.refresh_one(server.clone());
        Ok(self.view(server))
    }

    /// Changes a server. When its address changes, what is known of the old one is forgotten.
    pub fn change(&self, id: &ServerId, change: ServerChange) -> Result<Server, ServersError> {
        let server = self.0.servers.change(id, change)?;
        self.refresh_one(server.clone());
        Ok(self.view(server))
    }

    pub fn remove(&self, id: &ServerId) -> Result<(), ServersError> {
        self.0.servers.remove(id)?;
        self.forget(id);
        Ok(())
    }

    /// Takes over the servers of the configuration; those that are new or changed are asked at once.
    pub fn configure(&self, configured: &[Configured]) -> Result<(), ServersError> {
        let before = self.0.servers.list()?;
        self.0.servers.configure(configured)?;
        let after = self.0.servers.list()?;
        let gone = |old: &&Record| !after.iter().any(|new| new.id == old.id);
        before.iter().filter(gone).for_each(|old| self.forget(&old.id));
        after.into_iter().filter(|server| !before.contains(server)).for_each(|server| self.refresh_one(server));
        Ok(())
    }

    fn forget(&self, id: &ServerId) {
        self.known().remove(id);
        self.0.changes.send_modify(|n| *n += 1);
    }

    fn known_server_of(&self, server: Record) -> KnownServer {
        let known = self.known();
        let Some(known) = known.get(&server.id).filter(|known| known.url == server.url) else {
            return KnownServer { server, catalog: None, health: Health::default(), asking: false };
        };
        let catalog = known.catalog.as_ref().map(|in_use| in_use.catalog.clone());
        // What concerns the server as a whole is with the servers.
        let health = Health { left_out: LeftOut::default(), ..known.health.clone() };
        KnownServer { server, catalog, health, asking: known.asking }
    }

    /// Changes what is known of a server that is listed. What is known of another address of it is forgotten.
    fn set<T>(&self, server: &Record, change: impl FnOnce(&mut Known) -> T) -> T {
        let result = {
            let mut known = self.known();
            let known = known.entry(server.id.clone()).or_insert_with(|| Known::new(server.url.clone()));
            if known.url != server.url {
                *known = Known::new(server.url.clone());
            }
            change(known)
        };
        self.0.changes.send_modify(|n| *n += 1);
        result
    }

    /// Changes what is known of a server, unless it was removed, or got another address, since it was asked.
    fn of_current<T>(&self, asked: &Record, change: impl FnOnce(&mut Known) -> T) -> Option<T> {
        let result = self.known().get_mut(&asked.id).filter(|known| known.url == asked.url).map(change);
        self.0.changes.send_modify(|n| *n += 1);
        result
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<ServerId, Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.access.on(Endpoint::new(self.name.clone(), self.url.clone()))
    }

    /// Where this server has the bytes of an entry. `None` when the address is neither http nor https.
    #[must_use]
    pub fn image_url(&self, entry: &Entry) -> Option<url::Url> {
        match &entry.url {
            Some(url) => self.resolve(url),
            None => self.resolve(&format!("api/v1/images/{}.rts.png", entry.sha256)),
        }
    }

    /// The same, with what this server says of the image and how it is asked.
    #[must_use]
    pub fn mirror(&self, entry: &Entry) -> Option<Mirror> {
        let url = self.image_url(entry)?;
        Some(Mirror { server: self.id.clone(), endpoint: self.endpoint(), url, size: Some(entry.size) })
    }

    /// An address in its catalog, which is relative to the server's base. Only http and https are possible.
    #[must_use]
    pub fn resolve(&self, address: &str) -> Option<url::Url> {
        self.url.join(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    }
}

#[cfg(test)]
mod tests;
