//! The list of catalog servers: those that people add, and those of the configuration.
//!
//! At the start and at each reload the servers of the configuration are written into the same table as the others, so
//! that there is one list. A server of the configuration can be changed only there.

mod access;
mod error;
mod input;
mod kept;
mod table;

use std::sync::{Arc, Mutex, PoisonError};

use pixelrts_shared::ServerId;
use pixelrts_shared::server::{Health, NewServer, ServerChange};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use url::Url;

pub(crate) use access::AccessChange;
pub use access::{Access, BadAccess};
pub use error::ServersError;
pub use input::{is_color, parse_url};
pub use kept::{Kept, KeptHead, Version};
pub use table::{Record, SCHEMA};
use table::{delete, list, write};

use super::address::host_of;
use crate::database::Database;

/// Servers with a lower number are tried first.
pub const DEFAULT_PRIORITY: u32 = 10;
/// With more servers, every refresh would send too many requests at once.
pub const MOST: usize = 100;

/// The table of servers; clones share it.
#[derive(Clone, Debug)]
pub struct Servers {
    database: Database,
    /// The file of which `database` is a copy, for a command that changes no list: what servers answer is kept there.
    file: Option<Database>,
    /// The list as it was last read. It is asked for all the time, and must not wait while a catalog is written.
    list: Arc<Mutex<Option<Vec<Record>>>>,
}

/// A server of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Configured {
    pub server: NewServer,
    pub enabled: bool,
    /// The place in the configuration that sets it, for people.
    pub origin: String,
}

impl Servers {
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, file: None, list: Arc::default() }
    }

    /// The servers for a command that follows a configuration of its own: the list is a copy, which may change without
    /// changing that of the backend. The catalogs of servers are kept in the file.
    #[must_use]
    pub fn borrowed(copy: Database, file: Database) -> Self {
        Self { file: Some(file), ..Self::new(copy) }
    }

    /// All servers, in the order in which they are tried.
    pub fn list(&self) -> Result<Vec<Record>, ServersError> {
        let mut known = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        Ok(known.insert(self.database.with(list)?).clone())
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
            store(sql, record_of(url, new, &others)?, &others)
        })
    }

    /// Puts the servers of the configuration into the list. They replace others with the same address.
    pub fn configure(&self, configured: &[Configured]) -> Result<(), ServersError> {
        let urls = configured.iter().map(|one| parse_url(&one.server.url)).collect::<Result<Vec<_>, _>>()?;
        self.at_once(|sql| {
            let (gone, mut all): (Vec<_>, Vec<_>) =
                list(sql)?.into_iter().partition(|record| record.configured.is_some() || urls.contains(&record.url));
            let others = all.len();
            for (Configured { server, enabled, origin }, url) in configured.iter().zip(&urls) {
                let record = record_of(url.clone(), server.clone(), &all)?;
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

    /// Changes what is given. An empty text removes the old value. What was told for one address ends with it.
    pub fn change(&self, id: &ServerId, change: ServerChange) -> Result<Record, ServersError> {
        self.at_once(|sql| {
            let (mut record, others) = changeable(sql, id)?;
            if let Some(url) = change.url {
                let url = parse_url(&url)?;
                record.access = record.access.at(&record.url, &url);
                record.url = url;
            }
            if let Some(name) = change.name {
                record.name = if name.is_empty() { host_of(&record.url) } else { name };
            }
            if let Some(color) = change.color {
                record.color = Some(color).filter(|color| !color.is_empty());
            }
            let ServerChange { auth, user, password, allow, ca_file, pin, .. } = change;
            record.access = record.access.changed(AccessChange { auth, user, password, allow, ca_file, pin })?;
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

    /// Runs what reads the list and then writes it as one transaction: nobody else writes in between, and an error
    /// undoes everything.
    fn at_once<T>(&self, work: impl FnOnce(&Connection) -> Result<T, ServersError>) -> Result<T, ServersError> {
        let done = at_once(&self.database, work);
        *self.list.lock().unwrap_or_else(PoisonError::into_inner) = None;
        done
    }

    /// The last good catalog of a server.
    pub(super) fn kept(&self, id: &ServerId) -> Option<Kept> {
        self.database.with(|sql| kept::read(sql, id)).ok().flatten()
    }

    /// Keeps a catalog. Without entries, those that are kept stay.
    pub(super) fn keep(&self, server: &Record, head: &KeptHead, entries: Option<&[u8]>) -> Result<(), ServersError> {
        self.in_file(server, |sql| kept::write(sql, &server.id, &server.url, head, entries))
    }

    /// How a server was when it was asked the last time.
    pub(super) fn kept_health(&self, id: &ServerId) -> Option<Health> {
        self.database.with(|sql| kept::read_health(sql, id)).ok().flatten()
    }

    pub(super) fn keep_health(&self, server: &Record, health: &Health) -> Result<(), ServersError> {
        self.in_file(server, |sql| kept::write_health(sql, &server.id, &server.url, health))
    }

    /// Writes what is known of a server where the next process finds it.
    fn in_file(
        &self,
        server: &Record,
        write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), ServersError> {
        at_once(self.file.as_ref().unwrap_or(&self.database), |sql| {
            if self.file.is_some()
                && server.configured.is_some()
                && list(sql)?.iter().all(|other| !collide(other, server))
            {
                // The configuration sets it, and no backend has written it down yet.
                table::write(sql, server)?;
            }
            Ok(write(sql)?)
        })
    }
}

/// Runs everything as one transaction.
fn at_once<T>(
    database: &Database,
    work: impl FnOnce(&Connection) -> Result<T, ServersError>,
) -> Result<T, ServersError> {
    database.with(|sql| {
        let transaction = Transaction::new_unchecked(sql, TransactionBehavior::Immediate)?;
        let done = work(&transaction);
        if done.is_ok() {
            transaction.commit()?;
        }
        Ok(done)
    })?
}

/// The list cannot have both.
fn collide(one: &Record, other: &Record) -> bool {
    one.id == other.id || one.url == other.url
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

/// Its id comes from its name, or from its host; a number is added when one of the others has it.
fn record_of(url: Url, new: NewServer, others: &[Record]) -> Result<Record, BadAccess> {
    let name = new.name.filter(|name| !name.is_empty()).unwrap_or_else(|| host_of(&url));
    let stem = ServerId::from_name(&name);
    let id = (1..)
        .map(|n| if n == 1 { stem.clone() } else { ServerId::from_name(&format!("{:.60}-{n}", stem.as_str())) })
        .find(|id| !id.is_local() && others.iter().all(|other| other.id != *id))
        .expect("a free number exists below the limit of servers");
    let priority = new.priority.unwrap_or(DEFAULT_PRIORITY);
    let NewServer { color, auth, user, password, allow, ca_file, pin, .. } = new;
    let access = Access::default().changed(AccessChange { auth, user, password, allow, ca_file, pin })?;
    Ok(Record { id, name, url, color, priority, enabled: true, access, configured: None })
}

#[cfg(test)]
mod tests;
