//! SQLite files, one for each module that declares one: `state/{name}.sqlite3`.
//!
//! A [`Schema`] is a list of migrations that only grows. The bootstrap phase makes the file and migrates it; modules
//! only open it. There is one connection behind a mutex: statements are short, and SQLite has one writer anyway. WAL and
//! a busy timeout of 5 s let a command read while a backend is running; where the file system cannot have WAL, there is
//! a rollback journal ([`ground`]). The role `catalog`, and commands that run beside
//! a backend, use databases in memory.

mod ground;

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pixelrts_shared::{Problem, ProblemCode};
use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};
use url::Url;

use crate::report::shell_word;
use ground::{Ground, Opened, is_without_shared_memory, version};
pub use ground::{Lack, lack};

/// A statement fails when another process holds the write lock for longer than this.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// So many pages are copied at once, so that a database of a few MiB is copied in one step.
const PAGES: i32 = 1 << 20;
/// Files up to this size are checked completely at every start, which takes about 10 ms for 8 MiB.
const CHECKED: u64 = 8 << 20;

/// The tables of one module.
#[derive(Debug)]
pub struct Schema {
    pub name: &'static str,
    pub migrations: &'static [M<'static>],
    pub loss: Loss,
}

/// What is lost with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The user's configuration, which nothing can restore.
    Precious,
    /// An index of files, which fills again by itself.
    Index,
}

/// The condition in which a start finds a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Condition {
    Current,
    /// The file is missing, or from an older version.
    Behind,
    Damaged(String),
    /// A newer version of the program wrote the file.
    Ahead,
}

/// A handle; clones share the connection.
#[derive(Clone, Debug)]
pub struct Database(Arc<Mutex<Opened>>);

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{0}")]
    Statement(#[from] rusqlite::Error),
    #[error("{0}")]
    Migration(#[from] rusqlite_migration::Error),
    #[error("{} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("{} was written by a newer version of PixelRTS", path.display())]
    Ahead { path: PathBuf },
}

impl Schema {
    /// Examines the file without changing it.
    pub fn condition(&self, path: &Path) -> Result<Condition, DatabaseError> {
        let Ok(found) = fs::metadata(path) else { return Ok(Condition::Behind) };
        let look = || {
            let (version, fault) = ground::open(path, false)?.alone(|connection| {
                let check = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
                let fault = match found.len() <= CHECKED {
                    true => connection.query_row("PRAGMA quick_check(1)", (), check)?,
                    false => "ok".to_owned(),
                };
                Ok((version(connection)?, fault))
            })?;
            Ok(match usize::try_from(version).map(|version| version.cmp(&self.migrations.len())) {
                _ if fault != "ok" => Condition::Damaged(fault),
                Err(_) => Condition::Damaged(format!("its version is {version}")),
                Ok(Ordering::Less) => Condition::Behind,
                Ok(Ordering::Equal) => Condition::Current,
                Ok(Ordering::Greater) => Condition::Ahead,
            })
        };
        match look() {
            Err(error) if is_damage(&error) => Ok(Condition::Damaged(error.to_string())),
            other => Ok(other?),
        }
    }

    /// Makes the file and its tables, or migrates them. If this is interrupted, the next call continues.
    pub fn make(&self, path: &Path) -> Result<(), DatabaseError> {
        let mut opened = ground::open(path, true)?;
        if opened.ground == Ground::Everything {
            let connection = &opened.connection;
            match connection.pragma_update(None, "journal_mode", "WAL").and_then(|()| version(connection)) {
                Err(error) if is_without_shared_memory(&error) => {
                    drop(opened);
                    opened = ground::open(path, true)?;
                }
                other => drop(other?),
            }
        }
        let _lock = opened.lock.as_deref().map(ground::locked).transpose()?;
        Ok(Migrations::from_slice(self.migrations).to_latest(&mut opened.connection)?)
    }
}

impl Database {
    /// Opens a file that the bootstrap phase has made.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self(Arc::new(Mutex::new(ground::open(path, false)?))))
    }

    /// Copies the content of the file into a database in memory. The file is never made, migrated or changed.
    pub fn copy(schema: &Schema, path: &Path) -> Result<Self, DatabaseError> {
        let mut connection = Connection::open_in_memory()?;
        if path.exists() {
            let _lock = (!ground::has_locks(path)).then(|| ground::locked(path)).transpose()?;
            Backup::new(&peek(path)?, &mut connection)?.run_to_completion(PAGES, Duration::ZERO, None)?;
        }
        Migrations::from_slice(schema.migrations).to_latest(&mut connection)?;
        Ok(Self::of_memory(connection))
    }

    /// An empty database that lives in memory, as long as the process.
    pub fn in_memory(schema: &Schema) -> Result<Self, DatabaseError> {
        let mut connection = Connection::open_in_memory()?;
        Migrations::from_slice(schema.migrations).to_latest(&mut connection)?;
        Ok(Self::of_memory(connection))
    }

    fn of_memory(connection: Connection) -> Self {
        Self(Arc::new(Mutex::new(Opened { connection, ground: Ground::Everything, lock: None })))
    }

    /// Runs statements, which must be short, because other threads wait for the connection meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DatabaseError> {
        // A panic cannot leave half a statement behind: SQLite rolls it back.
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).alone(work)?)
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Opens the file for reading only, without making any file beside it.
fn peek(path: &Path) -> Result<Connection, rusqlite::Error> {
    // Without its shared-memory file nobody has a database in WAL mode open. Reading it normally would make that file.
    let alone = is_in_wal_mode(path) && !path.with_extension("sqlite3-shm").exists();
    let mut address = Url::from_file_path(path).map_err(|()| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let without_locks = if ground::has_locks(path) { "" } else { "&vfs=unix-none" };
    address.set_query(Some(&format!("{}{without_locks}", if alone { "immutable=1" } else { "mode=ro" })));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address.as_str(), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The head of the file says it, in byte 18. <https://www.sqlite.org/fileformat2.html>
fn is_in_wal_mode(path: &Path) -> bool {
    let mut head = [0; 19];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head[18] == 2
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        let why = error.to_string();
        let cause = match &error {
            DatabaseError::Statement(cause)
            | DatabaseError::Migration(rusqlite_migration::Error::RusqliteError { err: cause, .. }) => {
                cause.sqlite_error_code()
            }
            DatabaseError::Migration(_) => None,
            DatabaseError::Damaged { path, .. } => {
                let aside = path.with_extension("sqlite3.damaged");
                return Self::new(
                    ProblemCode::StorageFailed,
                    "The database with your settings is damaged.",
                    why,
                    format!(
                        "Restore it from a backup, or start without it: mv {} {}",
                        shell_word(path),
                        shell_word(aside)
                    ),
                );
            }
            DatabaseError::Ahead { path } => {
                return Self::new(
                    ProblemCode::StorageFailed,
                    "A newer version of PixelRTS wrote the database.",
                    why,
                    format!(
                        "Use that version again, or start with an empty database: mv {0} {0}.newer",
                        path.display()
                    ),
                );
            }
        };
        if cause == Some(ErrorCode::DiskFull) {
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
            why,
            "Check the permissions and the free space of the state directory.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FIRST: Schema = Schema { name: "a", migrations: &[M::up("CREATE TABLE a (x)")], loss: Loss::Index };
    static SECOND: Schema = Schema {
        name: "a",
        migrations: &[M::up("CREATE TABLE a (x)"), M::up("ALTER TABLE a ADD COLUMN y")],
        loss: Loss::Index,
    };

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite3");
        (folder, path)
    }

    #[test]
    fn every_declared_schema_is_valid() {
        for schema in crate::policy::manifest::MANIFESTS.iter().filter_map(|manifest| manifest.database) {
            assert_eq!(Migrations::from_slice(schema.migrations).validate(), Ok(()), "{}", schema.name);
        }
    }

    #[test]
    fn rows_survive_a_reopening_and_a_migration() {
        let (_folder, path) = place();
        assert!(Database::open(&path).is_err(), "opening makes nothing");
        assert_eq!(FIRST.condition(&path).unwrap(), Condition::Behind);
        FIRST.make(&path).unwrap();
        assert_eq!(FIRST.condition(&path).unwrap(), Condition::Current);
        Database::open(&path).unwrap().with(|sql| sql.execute("INSERT INTO a VALUES (7)", ())).unwrap();
        assert_eq!(SECOND.condition(&path).unwrap(), Condition::Behind);
        SECOND.make(&path).unwrap();
        let kept = Database::open(&path)
            .unwrap()
            .with(|sql| sql.query_row("SELECT x, y FROM a", (), |row| row.get::<_, u32>(0)));
        assert_eq!(kept.unwrap(), 7);
        assert_eq!(FIRST.condition(&path).unwrap(), Condition::Ahead);
    }

    #[test]
    fn an_unfinished_file_and_a_damaged_one_are_distinguished() {
        let (_folder, path) = place();
        fs::write(&path, "").unwrap();
        assert_eq!(
            FIRST.condition(&path).unwrap(),
            Condition::Behind,
            "a start was ended right after it made the file"
        );
        fs::write(&path, "this is a text file").unwrap();
        assert!(matches!(FIRST.condition(&path).unwrap(), Condition::Damaged(_)));
        fs::remove_file(&path).unwrap();
        FIRST.make(&path).unwrap();
        let fill =
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000) INSERT INTO a SELECT x FROM n";
        Database::open(&path).unwrap().with(|sql| sql.execute(fill, ())).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xa5);
        fs::write(&path, bytes).unwrap();
        assert!(matches!(FIRST.condition(&path).unwrap(), Condition::Damaged(_)));
    }

    #[test]
    fn a_copy_in_memory_changes_neither_the_file_nor_its_folder() {
        let (folder, path) = place();
        let files = || fs::read_dir(folder.path()).unwrap().count();
        let count = |database: &Database| {
            database.with(|sql| sql.query_row("SELECT count(*) FROM a", (), |row| row.get::<_, u32>(0))).unwrap()
        };
        assert_eq!(count(&Database::copy(&FIRST, &path).unwrap()), 0);
        assert_eq!(files(), 0);
        FIRST.make(&path).unwrap();
        let open = Database::open(&path).unwrap();
        let insert = "INSERT INTO a (x) VALUES (7)";
        open.with(|sql| sql.execute(insert, ())).unwrap();
        assert_eq!(count(&Database::copy(&FIRST, &path).unwrap()), 1, "while another connection is open");
        drop(open);
        let before = files();
        let copy = Database::copy(&SECOND, &path).unwrap();
        copy.with(|sql| sql.execute(insert, ())).unwrap();
        assert_eq!((count(&copy), count(&Database::copy(&FIRST, &path).unwrap())), (2, 1));
        assert_eq!(files(), before);
    }
}
