//! The catalog servers, in the database: those that people add, and those of the configuration.
//!
//! What the configuration says is written over the table at the start and at each reload, so that both kinds are one
//! list. A server of the configuration is changed only there.

use pixelrts_shared::server::{NewServer, ServerChange, shown};
use pixelrts_shared::{Problem, ProblemCode, ServerId};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use rusqlite_migration::M;
use url::Url;

use crate::database::{Database, DatabaseError, Loss, Schema};

/// The servers of the user, each with its last good catalog as it was sent.
pub static SCHEMA: Schema = Schema {
    name: "servers",
    migrations: &[M::up(
        "CREATE TABLE servers (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL UNIQUE, color TEXT,
            priority INTEGER NOT NULL, enabled INTEGER NOT NULL, auth TEXT,
            catalog TEXT,                      -- the last good one, as it was sent
            configured TEXT                    -- where the configuration sets it; NULL: somebody added it
         ) STRICT;",
    )],
    loss: Loss::Precious,
};

/// A server is asked after those with a lower number.
pub const DEFAULT_PRIORITY: u32 = 10;
/// More would make every refresh a flood.
pub const MOST: usize = 100;

/// The table of servers; clones share it.
#[derive(Clone, Debug)]
pub struct Servers(Database);

/// A server with its secret: never leaves the backend.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub id: ServerId,
    pub name: String,
    pub url: Url,
    pub color: Option<String>,
    pub priority: u32,
    pub enabled: bool,
    pub auth: Option<String>,
    /// Where the configuration sets it; absent: somebody added it.
    pub configured: Option<String>,
}

/// A server of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Configured {
    pub server: NewServer,
    pub enabled: bool,
    /// Where it is set, in words.
    pub origin: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    #[error("{0:?} is not known")]
    NotFound(ServerId),
    #[error("{url} is listed already, as {id}")]
    Duplicate { url: Url, id: ServerId },
    #[error("{text:?}: {why}")]
    /// `text` as it may be shown.
    BadUrl { text: String, why: String },
    #[error("{0:?}")]
    BadColor(String),
    #[error("{origin} sets it")]
    Configured { id: ServerId, origin: String },
    #[error("{MOST} servers are listed")]
    TooMany,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for ServersError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Servers {
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }

    /// All servers, first those that are asked first.
    pub fn list(&self) -> Result<Vec<Record>, ServersError> {
        Ok(self.0.with(list)?)
    }

    pub fn get(&self, id: &ServerId) -> Result<Record, ServersError> {
        let found = self.list()?.into_iter().find(|record| record.id == *id);
        found.ok_or_else(|| ServersError::NotFound(id.clone()))
    }

    /// Adds a server.
    pub fn add(&self, new: NewServer) -> Result<Record, ServersError> {
        let url = parse_url(&new.url)?;
        self.at_once(|sql| {
            let others = list(sql)?;
            if others.len() >= MOST {
                return Err(ServersError::TooMany);
            }
            store(sql, record_of(url, new, &others), &others)
        })
    }

    /// Makes the configured servers those of the list, which take precedence over others with the same address.
    pub fn configure(&self, configured: &[Configured]) -> Result<(), ServersError> {
        let urls = configured.iter().map(|one| parse_url(&one.server.url)).collect::<Result<Vec<_>, _>>()?;
        self.at_once(|sql| {
            let (gone, mut all): (Vec<_>, Vec<_>) =
                list(sql)?.into_iter().partition(|record| record.configured.is_some() || urls.contains(&record.url));
            let others = all.len();
            for (Configured { server, enabled, origin }, url) in configured.iter().zip(&urls) {
                let record = record_of(url.clone(), server.clone(), &all);
                all.push(Record { enabled: *enabled, configured: Some(origin.clone()), ..record });
            }
            // What was remembered of a server stays with its id and address.
            let stays = |old: &Record| all[others..].iter().any(|new| new.id == old.id && new.url == old.url);
            for old in gone.iter().filter(|old| !stays(old)) {
                delete(sql, &old.id)?;
            }
            for record in &all[others..] {
                write(sql, record)?;
            }
            Ok(())
        })
    }

    /// Changes what is given; an empty `auth`, `name` or `color` removes it.
    pub fn change(&self, id: &ServerId, change: ServerChange) -> Result<Record, ServersError> {
        self.at_once(|sql| {
            let (mut record, others) = changeable(sql, id)?;
            if let Some(url) = change.url {
                record.url = parse_url(&url)?;
            }
            if let Some(name) = change.name {
                record.name = if name.trim().is_empty() { record.url.authority().to_owned() } else { name };
            }
            if let Some(color) = change.color {
                record.color = Some(color).filter(|color| !color.is_empty());
            }
            if let Some(auth) = change.auth {
                record.auth = Some(auth).filter(|auth| !auth.is_empty());
            }
            record.priority = change.priority.unwrap_or(record.priority);
            record.enabled = change.enabled.unwrap_or(record.enabled);
            store(sql, record, &others)
        })
    }

    pub fn remove(&self, id: &ServerId) -> Result<(), ServersError> {
        self.at_once(|sql| {
            changeable(sql, id)?;
            Ok(delete(sql, id)?)
        })
    }

    /// What reads the list and then writes it: nobody writes in between, and after an error nothing of it is done.
    fn at_once<T>(&self, work: impl FnOnce(&Connection) -> Result<T, ServersError>) -> Result<T, ServersError> {
        self.0.with(|sql| {
            let transaction = Transaction::new_unchecked(sql, TransactionBehavior::Immediate)?;
            let done = work(&transaction);
            if done.is_ok() {
                transaction.commit()?;
            }
            Ok(done)
        })?
    }

    /// The last good catalog of a server as it was sent, for a start without network.
    pub(super) fn remembered(&self, id: &ServerId) -> Option<String> {
        let select = "SELECT catalog FROM servers WHERE id = ?1 AND catalog IS NOT NULL";
        self.0.with(|sql| sql.query_row(select, [id.as_str()], |row| row.get(0)).optional()).ok().flatten()
    }

    pub(super) fn remember(&self, id: &ServerId, document: &str) -> Result<(), ServersError> {
        let update = "UPDATE servers SET catalog = ?2 WHERE id = ?1";
        self.0.with(|sql| sql.execute(update, params![id.as_str(), document]))?;
        Ok(())
    }
}

fn list(sql: &Connection) -> rusqlite::Result<Vec<Record>> {
    sql.prepare_cached("SELECT * FROM servers ORDER BY priority, id")?.query_map((), record)?.collect()
}

/// The server that is to be changed, and the others.
fn changeable(sql: &Connection, id: &ServerId) -> Result<(Record, Vec<Record>), ServersError> {
    let mut others = list(sql)?;
    let at = others.iter().position(|other| other.id == *id).ok_or_else(|| ServersError::NotFound(id.clone()))?;
    let record = others.swap_remove(at);
    match record.configured {
        Some(origin) => Err(ServersError::Configured { id: record.id, origin }),
        None => Ok((record, others)),
    }
}

fn store(sql: &Connection, record: Record, others: &[Record]) -> Result<Record, ServersError> {
    if let Some(color) = record.color.as_ref().filter(|color| !is_color(color)) {
        return Err(ServersError::BadColor(color.clone()));
    }
    if let Some(other) = others.iter().find(|other| other.url == record.url) {
        return Err(ServersError::Duplicate { url: record.url, id: other.id.clone() });
    }
    write(sql, &record)?;
    Ok(record)
}

fn write(sql: &Connection, record: &Record) -> rusqlite::Result<()> {
    let insert = "INSERT INTO servers (id, name, url, color, priority, enabled, auth, configured)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET name = ?2, color = ?4, priority = ?5, enabled = ?6, auth = ?7,
            configured = ?8, catalog = iif(url = ?3, catalog, NULL), url = ?3";
    let Record { id, name, url, color, priority, enabled, auth, configured } = record;
    sql.execute(insert, params![id.as_str(), name, url.as_str(), color, priority, enabled, auth, configured])?;
    Ok(())
}

fn delete(sql: &Connection, id: &ServerId) -> rusqlite::Result<()> {
    sql.execute("DELETE FROM servers WHERE id = ?1", [id.as_str()]).map(drop)
}

/// Its id comes from its name, or from its host; a number is added when one of the others has it.
fn record_of(url: Url, new: NewServer, others: &[Record]) -> Record {
    let host = url.authority().to_owned();
    let name = new.name.filter(|name| !name.trim().is_empty()).unwrap_or(host);
    let stem = ServerId::from_name(&name);
    let id = (1..)
        .map(|n| if n == 1 { stem.clone() } else { ServerId::from_name(&format!("{:.60}-{n}", stem.as_str())) })
        .find(|id| !id.is_local() && others.iter().all(|other| other.id != *id))
        .expect("a free number exists below the limit of servers");
    let priority = new.priority.unwrap_or(DEFAULT_PRIORITY);
    Record { id, name, url, color: new.color, priority, enabled: true, auth: new.auth, configured: None }
}

/// The secret stays out of logs.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("id", &self.id).field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// A base address: http or https, with a host, always ending in `/`, so that relative addresses are below it.
/// An address without a scheme, as people type it, is http.
pub fn parse_url(text: &str) -> Result<Url, ServersError> {
    let bad = |why: String| ServersError::BadUrl { text: shown(text), why };
    let trimmed = text.trim();
    let full = if trimmed.contains("://") { trimmed.to_owned() } else { format!("http://{trimmed}") };
    let mut url = Url::parse(&full).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("{} is neither http nor https", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("a name or password does not belong into an address; use `auth`".to_owned()));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// `#` and six hex digits.
#[must_use]
pub fn is_color(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let text = |name: &str| row.get::<_, String>(name);
    let broken = |name: &str, error: String| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, format!("{name}: {error}").into())
    };
    Ok(Record {
        id: text("id")?.parse().map_err(|error: pixelrts_shared::id::InvalidId| broken("id", error.to_string()))?,
        name: text("name")?,
        url: Url::parse(&text("url")?).map_err(|error| broken("url", error.to_string()))?,
        color: row.get("color")?,
        priority: row.get("priority")?,
        enabled: row.get("enabled")?,
        auth: row.get("auth")?,
        configured: row.get("configured")?,
    })
}

impl From<ServersError> for Problem {
    fn from(error: ServersError) -> Self {
        let why = error.to_string();
        match error {
            ServersError::NotFound(id) => Self::new(
                ProblemCode::ServerNotFound,
                format!("There is no server {id}."),
                why,
                "Choose a listed server.",
            ),
            ServersError::Duplicate { url, id } => Self::new(
                ProblemCode::Busy,
                format!("{url} is listed already."),
                format!("The server {id} has this address."),
                format!("Change the server {id} instead."),
            ),
            ServersError::BadUrl { text, .. } => Self::new(
                ProblemCode::Usage,
                format!("{text} is no address of a server."),
                why,
                "Give an address like http://images.example.org:8080.",
            ),
            ServersError::BadColor(color) => Self::new(
                ProblemCode::Usage,
                format!("{color} is no color."),
                "A color is # and six hex digits.",
                "Give a color like #00aaff.",
            ),
            ServersError::Configured { id, origin } => Self::new(
                ProblemCode::Configured,
                format!("The server {id} is set in the configuration."),
                why,
                format!("Change it there ({origin}); a running backend reads its file again on SIGHUP."),
            ),
            ServersError::TooMany => Self::new(
                ProblemCode::Usage,
                "No more servers can be added.",
                why,
                "Remove a server that is not needed any more.",
            ),
            ServersError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        Servers::new(Database::in_memory(&SCHEMA).unwrap())
    }

    fn new(url: &str) -> NewServer {
        NewServer { url: url.to_owned(), ..NewServer::default() }
    }

    #[test]
    fn ids_come_from_name_or_host_and_are_unique() {
        let servers = servers();
        let add = |url: &str, name: Option<&str>| {
            servers.add(NewServer { name: name.map(str::to_owned), ..new(url) }).unwrap().id.to_string()
        };
        assert_eq!(add("http://a:1", Some("The Office")), "the-office");
        assert_eq!(add("http://a:2", Some("the office")), "the-office-2");
        assert_eq!(add("127.0.0.1:8090", None), "127.0.0.1-8090");
        assert_eq!(add("http://a:3", Some("local")), "local-2", "this name is the backend's own");
    }

    #[test]
    fn one_address_is_one_server() {
        let servers = servers();
        servers.add(new("http://a/images")).unwrap();
        assert!(matches!(servers.add(new("http://A:80/images/")), Err(ServersError::Duplicate { .. })));
        let b = servers.add(new("http://b")).unwrap();
        let change = ServerChange { url: Some("http://a/images".to_owned()), ..ServerChange::default() };
        assert!(matches!(servers.change(&b.id, change), Err(ServersError::Duplicate { .. })));
    }

    #[test]
    fn addresses_other_than_http_are_refused() {
        for text in ["", "ftp://a", "file:///etc", "http://", "http://user:secret@a", "javascript://a"] {
            let error = parse_url(text).unwrap_err();
            assert!(matches!(error, ServersError::BadUrl { .. }), "{text}");
            let said = format!("{error:?} {error}");
            let said = format!("{said} {}", Problem::from(error));
            assert!(!said.contains("secret"), "{said}");
        }
        assert_eq!(parse_url("a:8090/x?y#z").unwrap().as_str(), "http://a:8090/x/");
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let servers = servers();
        let auth = Some("secret".to_owned());
        let id = servers.add(NewServer { auth, color: Some("#00aaff".to_owned()), ..new("http://a") }).unwrap().id;
        let change = ServerChange { enabled: Some(false), priority: Some(1), ..ServerChange::default() };
        servers.change(&id, change).unwrap();
        let found = servers.get(&id).unwrap();
        assert_eq!((found.enabled, found.priority, found.auth.as_deref()), (false, 1, Some("secret")));
        assert!(!format!("{found:?}").contains("secret"));
        let red = ServerChange { color: Some("red".to_owned()), ..ServerChange::default() };
        assert!(matches!(servers.change(&id, red), Err(ServersError::BadColor(_))));
        servers.remove(&id).unwrap();
        assert!(matches!(servers.remove(&id), Err(ServersError::NotFound(_))));
    }

    #[test]
    fn the_remembered_catalog_goes_with_the_address() {
        let servers = servers();
        let id = servers.add(new("http://a")).unwrap().id;
        servers.remember(&id, "{}").unwrap();
        servers.change(&id, ServerChange { priority: Some(3), ..ServerChange::default() }).unwrap();
        assert!(servers.remembered(&id).is_some());
        servers.change(&id, ServerChange { url: Some("http://b".to_owned()), ..ServerChange::default() }).unwrap();
        assert!(servers.remembered(&id).is_none());
    }

    fn configured(url: &str, name: Option<&str>) -> Configured {
        let server = NewServer { name: name.map(str::to_owned), ..new(url) };
        Configured { server, enabled: true, origin: "a.yaml, line 3".to_owned() }
    }

    #[test]
    fn the_configuration_is_one_list_with_what_people_add_and_is_changed_only_there() {
        let servers = servers();
        let mine = servers.add(NewServer { name: Some("office".to_owned()), ..new("http://mine") }).unwrap().id;
        servers.configure(&[configured("http://b", Some("Office")), configured("http://c", None)]).unwrap();
        let ids = || servers.list().unwrap().into_iter().map(|server| server.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(), ["c", "office", "office-2"]);
        assert!(matches!(servers.add(new("http://c")), Err(ServersError::Duplicate { .. })));

        let id: ServerId = "office-2".parse().unwrap();
        for refused in [servers.remove(&id), servers.change(&id, ServerChange::default()).map(drop)] {
            let problem = Problem::from(refused.unwrap_err());
            assert_eq!(problem.code, ProblemCode::Configured);
            assert!(problem.fix.contains("a.yaml, line 3"), "{problem}");
        }
        servers.remove(&mine).unwrap();
        servers.configure(&[configured("http://c", None)]).unwrap();
        assert_eq!(ids(), ["c"], "what the configuration does not say any more is gone");
    }

    #[test]
    fn a_configuration_that_cannot_be_written_changes_nothing() {
        let servers = servers();
        servers.configure(&[configured("http://b", None)]).unwrap();
        let before = servers.list().unwrap();
        let twice = [configured("http://c", None), configured("http://c", Some("again"))];
        assert!(matches!(servers.configure(&twice), Err(ServersError::Database(_))));
        assert_eq!(servers.list().unwrap(), before);
        servers.add(new("http://d")).expect("the transaction has ended");
    }

    #[test]
    fn a_configured_server_keeps_its_catalog_and_takes_over_its_address() {
        let servers = servers();
        servers.add(NewServer { name: Some("mine".to_owned()), ..new("http://a") }).unwrap();
        let all = [configured("http://a", None), configured("http://b", None)];
        servers.configure(&all).unwrap();
        let id: ServerId = "b".parse().unwrap();
        servers.remember(&id, "{}").unwrap();
        servers.configure(&all).unwrap();
        assert!(servers.remembered(&id).is_some());
        let found = servers.list().unwrap();
        assert_eq!(found.len(), 2, "one address is one server: {found:?}");
        assert!(found.iter().all(|server| server.configured.is_some()));
    }
}
