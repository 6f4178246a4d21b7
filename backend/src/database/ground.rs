//! What the file system below a database can do, and how SQLite is opened on it.
//!
//! SQLite's best mode (WAL) needs locks on records and memory that processes share through a file. Some network file
//! systems lack one of them or both. Then the database has a rollback journal, which is slower; and without locks each
//! use of it is enclosed in a lock of ours ([`files::Lock`](crate::files::Lock)), which has a stand-in on this computer.

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rusqlite::{Connection, OpenFlags, ffi};

use super::BUSY_TIMEOUT;
use crate::files::{Lock, is_without_locks};

/// SQLite's access to files without locks of its own.
const WITHOUT_LOCKS: &CStr = c"unix-none";

/// What the file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    Everything,
    NoSharedMemory,
    NoLocks,
}

/// What a file system lacks, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    Locks,
    SharedMemory,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Locks => "locks",
            Self::SharedMemory => "shared memory",
        })
    }
}

/// What the file system of a folder lacks, tried with a database of its own that is removed again. Where nothing can be
/// written, nothing is known.
pub fn lack(folder: &Path) -> Option<Lack> {
    let trial = tempfile::Builder::new().prefix(crate::files::UNFINISHED).tempdir_in(folder).ok()?;
    let path = trial.path().join("trial.sqlite3");
    if !has_locks(&path) {
        return Some(Lack::Locks);
    }
    let connection = Connection::open(&path).ok()?;
    let tried = connection.pragma_update(None, "journal_mode", "WAL").and_then(|()| version(&connection));
    tried.err().filter(is_without_shared_memory).map(|_| Lack::SharedMemory)
}

/// An open database, and the file to lock around each use of it when SQLite cannot lock.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) ground: Ground,
    pub(super) lock: Option<PathBuf>,
}

/// Opens a file. `create` is for the one who makes it.
pub(super) fn open(path: &Path, create: bool) -> rusqlite::Result<Opened> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let locks = has_locks(path);
    if locks {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Reading the head of a file in WAL mode maps the shared memory.
        match version(&connection) {
            Err(error) if is_without_shared_memory(&error) => {}
            Err(error) => return Err(error),
            Ok(_) => return Ok(Opened { connection, ground: Ground::Everything, lock: None }),
        }
    }
    let (ground, lock) = if locks { (Ground::NoSharedMemory, None) } else { (Ground::NoLocks, Some(path.to_owned())) };
    warn_once(path, ground);
    let connection = match ground {
        Ground::NoLocks => Connection::open_with_flags_and_vfs(path, flags, WITHOUT_LOCKS)?,
        Ground::Everything | Ground::NoSharedMemory => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let opened = Opened { connection, ground, lock };
    opened.alone(without_wal)?;
    Ok(opened)
}

impl Opened {
    /// Runs statements while no other process uses the file, where SQLite itself cannot see to that.
    pub(super) fn alone<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let _lock = self.lock.as_deref().map(locked).transpose()?;
        work(&self.connection)
    }
}

/// Locks the file within the time after which SQLite gives up, too.
pub(super) fn locked(path: &Path) -> rusqlite::Result<Lock> {
    let began = Instant::now();
    let refused = |code, why: String| rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(why));
    loop {
        let tried = File::open(path).and_then(Lock::try_exclusive);
        match tried.map_err(|error| refused(ffi::SQLITE_IOERR_LOCK, format!("{}: {error}", path.display())))? {
            Some(lock) => return Ok(lock),
            None if began.elapsed() > BUSY_TIMEOUT => {
                return Err(refused(ffi::SQLITE_BUSY, format!("{} is in use", path.display())));
            }
            None => sleep(Duration::from_millis(5)),
        }
    }
}

/// Gives the database a rollback journal. Only a connection that has the file for itself can read one in WAL mode
/// without shared memory.
fn without_wal(connection: &Connection) -> rusqlite::Result<()> {
    let word = |pragma: &str| connection.query_row(pragma, (), |row| row.get::<_, String>(0));
    word("PRAGMA locking_mode = EXCLUSIVE")?;
    word("PRAGMA journal_mode = TRUNCATE")?;
    word("PRAGMA locking_mode = NORMAL")?;
    // The mode takes effect with the next use.
    version(connection).map(drop)
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", (), |row| row.get(0))
}

/// Whether SQLite fails because the memory of a file cannot be shared.
pub(super) fn is_without_shared_memory(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else { return false };
    const SHARED_MEMORY: [i32; 4] =
        [ffi::SQLITE_IOERR_SHMOPEN, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_IOERR_SHMLOCK, ffi::SQLITE_IOERR_SHMMAP];
    SHARED_MEMORY.contains(&failure.extended_code)
}

/// Tries the kind of lock that SQLite uses. SQLite itself would take a refusal for a lock of somebody else, and wait.
pub(super) fn has_locks(database: &Path) -> bool {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where no file can be made, nothing will be written either.
    let Ok(file) = tempfile::Builder::new().prefix(crate::files::UNFINISHED).tempfile_in(folder) else { return true };
    #[expect(clippy::cast_possible_truncation, reason = "the constants are small")]
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    let tried = fcntl(file.as_file(), FcntlArg::F_SETLK(&whole));
    !tried.is_err_and(|errno| is_without_locks(&io::Error::from(errno)))
}

fn warn_once(path: &Path, ground: Ground) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            path = %path.display(),
            lacks = if ground == Ground::NoLocks { "locks" } else { "shared memory" },
            "the file system of the databases lacks something that makes them fast; everything works, but more slowly"
        );
    }
}
