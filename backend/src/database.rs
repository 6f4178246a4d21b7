//! The one SQLite database of a backend: what the user configured, and indexes that may be lost.
//!
//! One connection behind a mutex: statements are short, and SQLite has one writer anyway. WAL and a busy timeout of
//! 5 s let a command read beside a running backend. Every table is on this screen, as a list of migrations that only
//! grows. Role `catalog` works on a database in memory, so that it needs no state directory.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use pixelrts_shared::{Problem, ProblemCode};
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

/// Another process may hold the write lock this long before a statement fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(
            "CREATE TABLE servers (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL UNIQUE, color TEXT,
            priority INTEGER NOT NULL, enabled INTEGER NOT NULL, auth TEXT,
            catalog TEXT                       -- the last good one, as it was sent
         ) STRICT;
         CREATE TABLE cached (                 -- an index: the files are the truth
            sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, source TEXT,
            verified_at TEXT NOT NULL, last_used TEXT NOT NULL
         ) STRICT;
         CREATE TABLE scanned (                -- what an image file was when it was last read
            path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified TEXT NOT NULL, reader TEXT NOT NULL,
            entry TEXT NOT NULL
         ) STRICT;",
        ),
        // Where the configuration sets it, in words; NULL: somebody added it.
        M::up("ALTER TABLE servers ADD COLUMN configured TEXT;"),
    ])
});

/// A handle; clones share the connection.
#[derive(Clone, Debug)]
pub struct Database(Arc<Mutex<Connection>>);

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{0}")]
    Statement(#[from] rusqlite::Error),
    #[error("{0}")]
    Migration(#[from] rusqlite_migration::Error),
}

impl Database {
    /// Opens or makes the file and brings its tables up to date.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        Self::prepare(connection)
    }

    /// Lives as long as the process.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Self, DatabaseError> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        MIGRATIONS.to_latest(&mut connection)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs statements. Short: other threads wait meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DatabaseError> {
        // A panic in between cannot leave half a statement behind: SQLite rolls it back.
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&connection)?)
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        let cause = match &error {
            DatabaseError::Statement(cause)
            | DatabaseError::Migration(rusqlite_migration::Error::RusqliteError { err: cause, .. }) => Some(cause),
            DatabaseError::Migration(_) => None,
        };
        if cause.and_then(rusqlite::Error::sqlite_error_code) == Some(rusqlite::ErrorCode::DiskFull) {
            return Self::new(
                ProblemCode::StorageFull,
                "The database cannot grow.",
                "No space is left on the disk that holds it.",
                "Free some space there, then try again.",
            );
        }
        Self::new(
            ProblemCode::StorageFailed,
            "The database cannot be used.",
            error.to_string(),
            "Check the permissions and the free space of the state directory; \
             if the file is damaged, move pixelrts.sqlite3 away: it is made again.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_valid() {
        assert!(MIGRATIONS.validate().is_ok());
    }

    #[test]
    fn what_is_written_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite3");
        let insert = "INSERT INTO servers (id, name, url, priority, enabled) VALUES ('a', 'A', 'http://a', 1, 1)";
        Database::open(&path).unwrap().with(|sql| sql.execute(insert, ())).unwrap();
        let count = Database::open(&path)
            .unwrap()
            .with(|sql| sql.query_row("SELECT count(*) FROM servers", (), |row| row.get::<_, u32>(0)));
        assert_eq!(count.unwrap(), 1);
    }
}
