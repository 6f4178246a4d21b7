//! One backend per state: a lock in the runtime directory that says who holds it.
//!
//! The operating system drops the lock with its process, also after SIGKILL; the text stays and means nothing then.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pixelrts_shared::{Problem, ProblemCode};
use serde::{Deserialize, Serialize};

use crate::paths::Paths;

/// From a kill to its end, on a computer that is busy.
const DYING: Duration = Duration::from_secs(2);

/// The backend that runs, for commands that ask it to do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    pub pid: u32,
    /// As it is reached from this computer.
    pub url: String,
    /// Its TLS certificate, as PEM; absent: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The file of the token it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<PathBuf>,
}

/// Held as long as the backend runs.
#[derive(Debug)]
pub struct BackendLock {
    _file: File,
}

impl BackendLock {
    /// Takes the lock for this process, which says of itself what `backend` says.
    pub fn take(paths: &Paths, backend: &Backend) -> Result<Self, Problem> {
        Self::hold(&paths.backend_lock(), backend)
    }

    /// The same for who keeps the backend up, between its ends too.
    pub fn supervise(paths: &Paths, backend: &Backend) -> Result<Self, Problem> {
        Self::hold(&paths.up_lock(), backend)
    }

    fn hold(path: &Path, backend: &Backend) -> Result<Self, Problem> {
        let mut file = open(path).map_err(|error| failed(path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(running(&read(&mut file))),
            Err(TryLockError::Error(error)) => return Err(failed(path, &error)),
        }
        let text = serde_json::to_vec(backend).expect("a backend is plain data");
        file.set_len(0).and_then(|()| file.write_all(&text)).map_err(|error| failed(path, &error))?;
        Ok(Self { _file: file })
    }
}

impl Backend {
    /// The backend that holds the lock now, if one does.
    #[must_use]
    pub fn running(paths: &Paths) -> Option<Self> {
        let mut file = File::open(paths.backend_lock()).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read(&mut file),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// A second backend must not even prepare what the first one uses.
    pub fn refuse_second(paths: &Paths) -> Result<(), Problem> {
        Self::running(paths).map_or(Ok(()), |first| Err(running(&Some(first))))
    }

    /// For one who wants its place. One that was killed just now is given a moment to be gone.
    pub async fn none_running(paths: &Paths) -> Result<(), Problem> {
        let since = Instant::now();
        while Self::running(paths).is_some() && since.elapsed() < DYING {
            tokio::time::sleep(DYING / 40).await;
        }
        Self::refuse_second(paths)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

fn read(file: &mut File) -> Option<Backend> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
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
    Problem::new(ProblemCode::BackendRunning, "A backend runs already on this state.", who, fix)
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
    fn the_second_backend_is_told_who_runs() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir(&paths.runtime).unwrap();
        assert_eq!(Backend::running(&paths), None);
        let at = |url: &str| Backend { pid: std::process::id(), url: url.to_owned(), certificate: None, token: None };
        let lock = BackendLock::take(&paths, &at("http://127.0.0.1:1")).unwrap();
        let problem = BackendLock::take(&paths, &at("http://127.0.0.1:2")).unwrap_err();
        assert_eq!(problem.code, ProblemCode::BackendRunning);
        assert!(problem.why.contains(&std::process::id().to_string()) && problem.why.contains("http://127.0.0.1:1"));
        assert_eq!(Backend::running(&paths).map(|backend| backend.url).as_deref(), Some("http://127.0.0.1:1"));
        BackendLock::supervise(&paths, &at("http://127.0.0.1:1")).unwrap();
        drop(lock);
        assert_eq!(Backend::running(&paths), None);
        BackendLock::take(&paths, &at("http://127.0.0.1:2")).unwrap();
    }
}
