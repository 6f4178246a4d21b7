//! The index of the store: which files were hashed, and how they looked then.
//!
//! Only the files count. The store works without its index, and an error in reading or writing it costs time at most:
//! a file without a row is hashed before its next use.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pixelrts_shared::Digest;
use rusqlite::{OptionalExtension, params};
use rusqlite_migration::M;

use super::Listed;
use crate::clock;
use crate::database::{Database, DatabaseError, Loss, Schema};

pub static SCHEMA: Schema = Schema {
    name: "cache",
    migrations: &[
        M::up(
            "CREATE TABLE cached (                 -- an index: the files are the truth
                sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, source TEXT,
                verified_at TEXT NOT NULL, last_used TEXT NOT NULL
             ) STRICT;",
        ),
        // How the file looked when it was hashed. NULL: written by an earlier version.
        M::up("ALTER TABLE cached ADD COLUMN stamp TEXT"),
        // How servers listed an image when it was fetched.
        M::up(
            "CREATE TABLE listed (
                sha256 TEXT NOT NULL, server TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
                PRIMARY KEY (sha256, server)
             ) STRICT;",
        ),
    ],
    loss: Loss::Index,
};

/// What changes when a file is written to, replaced or given another name: inode, size, and the times of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(String);

impl Stamp {
    pub(super) fn of(file: &Metadata) -> Self {
        let (inode, size) = (file.ino(), file.size());
        let (changed, changed_ns) = (file.mtime(), file.mtime_nsec());
        let (meta, meta_ns) = (file.ctime(), file.ctime_nsec());
        Self(format!("{inode} {size} {changed}.{changed_ns:09} {meta}.{meta_ns:09}"))
    }

    /// Whether it is the same file, whose content somebody may have changed.
    pub(super) fn is_of_inode(&self, inode: u64) -> bool {
        self.0.split(' ').next() == Some(inode.to_string().as_str())
    }
}

/// A file that was hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) stamp: Option<Stamp>,
    /// The server that gave it.
    pub(super) source: Option<String>,
    pub(super) verified_at: String,
}

/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Index {
    database: Database,
    /// An index that cannot be written would otherwise be reported at every use of an image.
    warned: Arc<AtomicBool>,
}

impl Index {
    pub(super) fn new(database: Database) -> Self {
        Self { database, warned: Arc::default() }
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Row> {
        let select = "SELECT stamp, source, verified_at FROM cached WHERE sha256 = ?1";
        self.database
            .with(|sql| sql.query_row(select, [digest.to_string()], |row| read(row, 0)).optional())
            .ok()
            .flatten()
    }

    pub(super) fn all(&self) -> Result<HashMap<Digest, Row>, DatabaseError> {
        let rows = self.database.with(|sql| {
            let mut select = sql.prepare_cached("SELECT sha256, stamp, source, verified_at FROM cached")?;
            let rows = select.query_map((), |row| Ok((row.get::<_, String>(0)?, read(row, 1)?)))?;
            rows.collect::<Result<Vec<_>, _>>()
        })?;
        Ok(rows.into_iter().filter_map(|(digest, row)| Some((digest.parse().ok()?, row))).collect())
    }

    /// Notes that a file was hashed and is right. Without a `source`, the one that is known stays.
    pub(super) fn put(&self, digest: &Digest, file: &Metadata, source: Option<&str>) {
        self.note(
            "INSERT INTO cached (sha256, size, source, verified_at, last_used, stamp) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
             ON CONFLICT (sha256) DO UPDATE SET size = ?2, source = coalesce(?3, source), verified_at = ?4, stamp = ?5",
            params![digest.to_string(), file.size().cast_signed(), source, clock::now(), Stamp::of(file).0],
        );
    }

    pub(super) fn remove(&self, digest: &Digest) {
        self.note("DELETE FROM cached WHERE sha256 = ?1", [digest.to_string()]);
        self.note("DELETE FROM listed WHERE sha256 = ?1", [digest.to_string()]);
    }

    /// Notes how a server lists an image.
    pub(super) fn put_listed(&self, digest: &Digest, Listed { server, id, name }: &Listed) {
        // An id of a server means one image: the newest.
        let others = params![digest.to_string(), server.as_str(), id.as_str()];
        self.note("DELETE FROM listed WHERE sha256 <> ?1 AND server = ?2 AND id = ?3", others);
        self.note(
            "INSERT OR REPLACE INTO listed (sha256, server, id, name) VALUES (?1, ?2, ?3, ?4)",
            params![digest.to_string(), server.as_str(), id.as_str(), name.as_str()],
        );
    }

    /// How servers listed each image.
    pub(super) fn listed(&self) -> HashMap<Digest, Vec<Listed>> {
        let rows = self.database.with(|sql| {
            let mut select = sql.prepare_cached("SELECT sha256, server, id, name FROM listed ORDER BY server")?;
            let text = |row: &rusqlite::Row<'_>, at: usize| row.get::<_, String>(at);
            let rows = select.query_map((), |row| Ok([text(row, 0)?, text(row, 1)?, text(row, 2)?, text(row, 3)?]))?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for [digest, server, id, name] in rows.unwrap_or_default() {
            if let (Ok(digest), Ok(server), Ok(id)) = (digest.parse(), server.parse(), id.parse()) {
                all.entry(digest).or_default().push(Listed { server, id, name: name.into() });
            }
        }
        all
    }

    fn note(&self, statement: &str, values: impl rusqlite::Params) {
        match self.database.with(|sql| sql.execute(statement, values)) {
            Ok(_) => self.warned.store(false, Ordering::Relaxed),
            Err(error) if self.warned.swap(true, Ordering::Relaxed) => {
                tracing::debug!(%error, "the index of the cache")
            }
            Err(error) => tracing::warn!(
                %error,
                "the index of the cache cannot be written; images are hashed again before their next use"
            ),
        }
    }
}

fn read(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<Row> {
    Ok(Row {
        stamp: row.get::<_, Option<String>>(from)?.map(Stamp),
        source: row.get(from + 1)?,
        verified_at: row.get(from + 2)?,
    })
}
