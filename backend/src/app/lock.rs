//! Only one backend uses a state directory: a lock in the runtime directory, whose file says which process holds it.
//!
//! The operating system releases the lock when the process ends, also after SIGKILL. The text stays in the file and
//! means nothing then.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pixelrts_shared::{Problem, ProblemCode};
use serde::{Deserialize, Serialize};

use crate::paths::Paths;

/// How long a killed process takes to end on a busy computer.
const DYING: Duration = Duration::from_secs(2);
/// The time from taking the lock to having written who holds it. A process that only looks holds the lock no longer.
const WRITING: Duration = Duration::from_millis(100);

/// The running backend, for commands that request something of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    pub pid: u32,
    /// The address for clients on this computer.
    pub url: String,
    /// Its TLS certificate, as PEM; absent: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The file with the token that it requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<PathBuf>,
}

/// Held as long as the backend runs.
#[derive(Debug)]
pub struct BackendLock {
    _file: File,
}

impl BackendLock {
    /// Takes the lock for this process and writes `backend` into it.
    pub fn take(paths: &Paths, backend: &Backend) -> Result<Self, Problem> {
        Self::hold(&paths.backend_lock(), backend)
    }

    /// Takes the lock of the supervisor, which it also holds while no backend runs.
    pub fn supervise(paths: &Paths, backend: &Backend) -> Result<Self, Problem> {
        Self::hold(&paths.up_lock(), backend)
    }

    fn hold(path: &Path, backend: &Backend) -> Result<Self, Problem> {
        let mut file = open(path).map_err(|error| failed(path, &error))?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if since.elapsed() < WRITING => std::thread::sleep(WRITING / 20),
                Err(TryLockError::WouldBlock) => return Err(running(&read(&mut file))),
                Err(TryLockError::Error(error)) => return Err(failed(path, &error)),
            }
        }
        let text = serde_json::to_vec(backend).expect("a backend is plain data");
        file.set_len(0).and_then(|()| file.write_all(&text)).map_err(|error| failed(path, &error))?;
        Ok(Self { _file: file })
    }
}

impl Backend {
    /// The backend that holds the lock now, if there is one. An error means that there is one which does not say who it
    /// is.
    pub fn running(paths: &Paths) -> Result<Option<Self>, Problem> {
        let Ok(mut file) = File::open(paths.backend_lock()) else { return Ok(None) };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read(&mut file).map(Some).ok_or_else(|| running(&None)),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    /// A second backend must not even prepare what the first one uses.
    pub fn refuse_second(paths: &Paths) -> Result<(), Problem> {
        match Self::running(paths)? {
            None => Ok(()),
            first => Err(running(&first)),
        }
    }

    /// Refuses when a backend runs. One that was just killed gets a moment to end.
    pub async fn none_running(paths: &Paths) -> Result<(), Problem> {
        let since = Instant::now();
        while Self::refuse_second(paths).is_err() && since.elapsed() < DYING {
            tokio::time::sleep(DYING / 40).await;
        }
        Self::refuse_second(paths)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

/// What the holder says of itself. One that took the lock just now is about to say it.
fn read(file: &mut File) -> Option<Backend> {
    let since = Instant::now();
    loop {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
        match serde_json::from_str(&text) {
            Ok(backend) => return Some(backend),
            Err(_) if since.elapsed() < WRITING => std::thread::sleep(WRITING / 20),
            Err(_) => return None,
        }
    }
}

fn running(backend: &Option<Backend>) -> Problem {
    let (who, fix) = match backend {
        // Seen from here that is another process.
        Some(Backend { pid: 1, url, .. }) => {
            ("It is in a container.".to_owned(), format!("Open {url}, or stop the `pixelrts up` that keeps it up."))
        }
        Some(Backend { pid, url, .. }) => {
            (format!("Process {pid} serves it at {url}."), format!("Open {url}, or stop that one first: kill {pid}"))
        }
        None => ("Another process holds the lock.".to_owned(), "Stop the other backend first.".to_owned()),
    };
    Problem::new(ProblemCode::BackendRunning, "A backend is already running.", who, fix)
}

fn failed(path: &Path, error: &io::Error) -> Problem {
    Problem::new(
        ProblemCode::StorageFailed,
        "The backend's lock cannot be taken.",
        format!("{}: {error}.", path.display()),
        "Check the runtime directory and its permissions.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_has_not_said_who_it_is_is_waited_for_and_never_overlooked() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir(&paths.runtime).unwrap();
        let mut holder = open(&paths.backend_lock()).unwrap();
        holder.try_lock().unwrap();
        for half in ["", "{\"pid\": 1"] {
            std::fs::write(paths.backend_lock(), half).unwrap();
            for refused in [Backend::running(&paths).map(drop), Backend::refuse_second(&paths)] {
                let problem = refused.unwrap_err();
                assert_eq!(problem.code, ProblemCode::BackendRunning);
                assert_eq!(problem.why, "Another process holds the lock.");
            }
        }
        let first = Backend { pid: 7, url: "http://127.0.0.1:1".to_owned(), certificate: None, token: None };
        holder.set_len(0).unwrap();
        std::thread::scope(|scope| {
            let found = scope.spawn(|| Backend::running(&paths));
            std::thread::sleep(WRITING / 5);
            holder.write_all(&serde_json::to_vec(&first).unwrap()).unwrap();
            assert_eq!(found.join().unwrap(), Ok(Some(first)));
        });
    }

    #[test]
    fn one_who_only_looks_keeps_no_backend_from_starting() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir(&paths.runtime).unwrap();
        let looking = open(&paths.backend_lock()).unwrap();
        looking.try_lock_shared().unwrap();
        let me = Backend { pid: 7, url: "http://127.0.0.1:1".to_owned(), certificate: None, token: None };
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| BackendLock::take(&paths, &me));
            std::thread::sleep(WRITING / 5);
            drop(looking);
            taken.join().unwrap().unwrap();
        });
    }

    #[test]
    fn the_second_backend_is_told_who_runs() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir(&paths.runtime).unwrap();
        assert_eq!(Backend::running(&paths), Ok(None));
        let at = |url: &str| Backend { pid: std::process::id(), url: url.to_owned(), certificate: None, token: None };
        let lock = BackendLock::take(&paths, &at("http://127.0.0.1:1")).unwrap();
        let problem = BackendLock::take(&paths, &at("http://127.0.0.1:2")).unwrap_err();
        assert_eq!(problem.code, ProblemCode::BackendRunning);
        assert!(problem.why.contains(&std::process::id().to_string()) && problem.why.contains("http://127.0.0.1:1"));
        assert_eq!(Backend::running(&paths), Ok(Some(at("http://127.0.0.1:1"))));
        BackendLock::supervise(&paths, &at("http://127.0.0.1:1")).unwrap();
        drop(lock);
        assert_eq!(Backend::running(&paths), Ok(None));
        BackendLock::take(&paths, &at("http://127.0.0.1:2")).unwrap();
    }
}
