//! What is known of every server: its last good catalog, its health, and when it was asked.
//!
//! All servers are asked at once, each in a task of its own, every minute and on demand; one that failed is asked again
//! sooner. Reading is always from memory, so a dead server delays nobody: its entries stay, from its last good catalog,
//! marked by its health.

mod server_catalog;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pixelrts_shared::backoff::Backoff;
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::server::{Health, HealthState, NewServer, Server, ServerChange, ServerFound};
use pixelrts_shared::{Level, Problem, ServerId};
use tokio::sync::watch;

use super::address::host_of;
use super::client::{Client, Credentials, Endpoint, Fetched, read_catalog};
use super::servers::{Configured, Record, Servers, ServersError, parse_url};
use super::transfer::Mirror;
use crate::task::Scope;
use crate::{clock, random, report};

pub use server_catalog::ServerCatalog;

const REFRESH_EVERY: Duration = Duration::from_secs(60);
/// A server that failed is asked again within this time, then within twice as long, and so on up to `REFRESH_EVERY`.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// When somebody reads catalogs that are older than this, the servers are asked again. A shorter time would let a page
/// that reads on every change keep the servers busy.
const OLD: Duration = Duration::from_secs(10);

/// Clones share what is known.
#[derive(Clone, Debug)]
pub struct Catalogs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Servers,
    client: Client,
    scope: Scope,
    known: Mutex<BTreeMap<ServerId, Known>>,
    asked: Mutex<Option<Instant>>,
    changes: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
struct Known {
    catalog: Option<Arc<ServerCatalog>>,
    health: Health,
    asking: bool,
    /// When it is to be asked again; `None`: it was never asked.
    due: Option<Instant>,
    backoff: Backoff,
}

impl Default for Known {
    fn default() -> Self {
        let backoff = Backoff::exponential(FIRST_RETRY, 2, REFRESH_EVERY);
        Self { catalog: None, health: Health::default(), asking: false, due: None, backoff }
    }
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
        let changes = watch::Sender::new(0);
        let this =
            Self(Arc::new(Inner { servers, client, scope, known: Mutex::default(), asked: Mutex::default(), changes }));
        for server in this.0.servers.list().unwrap_or_default() {
            let document = this.0.servers.remembered(&server.id);
            let catalog = document
                .and_then(|text| read_catalog(&text).ok())
                .map(|(catalog, _)| Arc::new(ServerCatalog::new(catalog)));
            this.set(&server.id, |known| known.catalog = catalog);
        }
        this
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

    /// Starts asking all enabled servers, unless they were asked a moment ago.
    pub fn refresh_old(&self) {
        let recent = self.asked().is_some_and(|asked| asked.elapsed() < OLD);
        if !recent {
            self.refresh();
        }
    }

    fn asked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all enabled servers and waits until each has answered or failed. The client's deadlines limit the wait.
    pub async fn refreshed(&self) {
        self.refresh();
        let mut changes = self.changes();
        // The sender lives as long as `self`.
        let _ = changes.wait_for(|_| self.known().values().all(|known| !known.asking)).await;
    }

    /// Starts asking one server, when it is enabled.
    fn refresh_one(&self, server: Record) {
        let already = self.set(&server.id, |known| {
            known.due = Some(Instant::now() + REFRESH_EVERY);
            std::mem::replace(&mut known.asking, server.enabled)
        });
        if already || !server.enabled {
            return;
        }
        let this = self.clone();
        self.0.scope.spawn(async move {
            let result = this.0.client.catalog(&server.endpoint()).await;
            this.learn(&server, result.map_err(Problem::from));
        });
    }

    /// What a server at this address offers. Nothing is stored.
    pub async fn check(&self, url: &str) -> Result<ServerFound, Problem> {
        let base = parse_url(url)?;
        let found = self.0.client.catalog(&Endpoint::new(host_of(&base), base)).await?;
        Ok(ServerFound {
            name: found.catalog.name,
            entries: found.catalog.entries.len(),
            latency_ms: millis(found.latency),
        })
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

    fn view(&self, server: Record) -> Server {
        let known = self.known().get(&server.id).cloned().unwrap_or_default();
        let wait = known.due.filter(|_| known.health.state == HealthState::Down);
        let next_check_seconds = wait.map(|due| due.saturating_duration_since(Instant::now()).as_secs());
        let health = Health { next_check_seconds, ..known.health };
        Server {
            id: server.id,
            name: server.name,
            url: server.url.as_str().trim_end_matches('/').to_owned(),
            color: server.color,
            priority: server.priority,
            enabled: server.enabled,
            auth: server.auth.is_some(),
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
        let before = self.0.servers.get(id)?;
        let server = self.0.servers.change(id, change)?;
        if before.url != server.url {
            self.forget(id);
        }
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
        let gone = |old: &&Record| !after.iter().any(|new| new.id == old.id && new.url == old.url);
        before.iter().filter(gone).for_each(|old| self.forget(&old.id));
        after.into_iter().filter(|server| !before.contains(server)).for_each(|server| self.refresh_one(server));
        Ok(())
    }

    fn forget(&self, id: &ServerId) {
        self.known().remove(id);
        self.0.changes.send_modify(|n| *n += 1);
    }

    fn known_server_of(&self, server: Record) -> KnownServer {
        let known = self.known().get(&server.id).cloned().unwrap_or_default();
        KnownServer { server, catalog: known.catalog, health: known.health, asking: known.asking }
    }

    fn learn(&self, asked: &Record, result: Result<Fetched, Problem>) {
        // The server was removed, or got another address, while it was asked: the answer is dropped.
        let current = self.0.servers.get(&asked.id).is_ok_and(|now| now.url == asked.url);
        if !current {
            return self.forget(&asked.id);
        }
        let checked_at = Some(clock::now());
        match result {
            Ok(found) => {
                for reason in &found.left_out {
                    tracing::warn!(server = %asked.id, reason, "an entry of a catalog is left out");
                }
                if let Err(error) = self.0.servers.remember(&asked.id, &found.document) {
                    tracing::warn!(%error, "a catalog cannot be remembered for the next start");
                }
                let latency_ms = Some(millis(found.latency));
                let health = Health { state: HealthState::Up, latency_ms, checked_at, ..Health::default() };
                let catalog = Some(Arc::new(ServerCatalog::new(found.catalog)));
                let due = Some(Instant::now() + REFRESH_EVERY);
                self.set(&asked.id, |known| *known = Known { catalog, health, due, ..Known::default() });
            }
            Err(problem) => {
                report::problem(Level::Info, &problem, &format!("the server {} cannot be used", asked.id));
                let health =
                    Health { state: HealthState::Down, checked_at, last_error: Some(problem), ..Health::default() };
                self.set(&asked.id, |known| {
                    known.health = health;
                    known.asking = false;
                    let wait = known.backoff.failed(random::jitter()).unwrap_or(REFRESH_EVERY);
                    known.due = Some(Instant::now() + wait);
                });
            }
        }
    }

    fn set<T>(&self, id: &ServerId, change: impl FnOnce(&mut Known) -> T) -> T {
        let result = change(self.known().entry(id.clone()).or_default());
        self.0.changes.send_modify(|n| *n += 1);
        result
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerId, Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let credentials = self.auth.clone().map(Credentials::Bearer);
        Endpoint { credentials, ..Endpoint::new(self.name.clone(), self.url.clone()) }
    }

    /// Where this server has the bytes of an entry. `None` when the address is neither http nor https.
    #[must_use]
    pub fn mirror(&self, entry: &Entry) -> Option<Mirror> {
        let default = || format!("api/v1/images/{}.rts.png", entry.sha256);
        let url = self.resolve(&entry.url.clone().unwrap_or_else(default))?;
        Some(Mirror { server: self.id.clone(), endpoint: self.endpoint(), url, size: Some(entry.size) })
    }

    /// An address in its catalog, which is relative to the server's base. Only http and https are possible.
    #[must_use]
    pub fn resolve(&self, address: &str) -> Option<url::Url> {
        self.url.join(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::remote::servers::SCHEMA;
    use pixelrts_shared::ProblemCode;
    use pixelrts_shared::catalog::Catalog;
    use pixelrts_shared::text::Text;

    fn catalogs() -> (Catalogs, Record) {
        let servers = Servers::new(Database::in_memory(&SCHEMA).unwrap());
        let server = servers.add(NewServer { url: "http://127.0.0.1:9".to_owned(), ..NewServer::default() }).unwrap();
        (Catalogs::new(servers, Client::default(), Scope::new()), server)
    }

    #[test]
    fn a_server_that_failed_is_asked_again_sooner_than_one_that_works() {
        let (catalogs, server) = catalogs();
        let now = Instant::now();
        assert_eq!(catalogs.due(now).0, std::slice::from_ref(&server), "it was never asked");
        let failed = || Err(Problem::new(ProblemCode::NetworkRefused, "It failed.", "On purpose.", "None."));
        catalogs.learn(&server, failed());
        let (due, next) = catalogs.due(now);
        assert!(due.is_empty() && next <= Instant::now() + FIRST_RETRY, "{:?}", next - now);
        for _ in 0..100 {
            catalogs.learn(&server, failed());
            assert!(catalogs.known()[&server.id].due.unwrap() <= Instant::now() + REFRESH_EVERY);
        }
        let catalog = Catalog { format: 1, name: "x".into(), generated_at: Text::default(), entries: Vec::new() };
        let found = Fetched { catalog, document: String::new(), latency: Duration::ZERO, left_out: Vec::new() };
        catalogs.learn(&server, Ok(found));
        let works = catalogs.known()[&server.id].clone();
        assert!(works.due.unwrap() > Instant::now() + REFRESH_EVERY / 2);
        assert_eq!(works.backoff, Known::default().backoff, "the next failure counts as the first one");
    }
}
