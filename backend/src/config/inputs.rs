//! The files, variables and options that settings are read from.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::getuid;

use super::ConfigError;
use super::keys::PREFIX;
use crate::paths::Paths;

/// The file for all users of this computer.
const SYSTEM: &str = "/etc/pixelrts/config.yaml";
/// The file in the folder where the program is started.
const HERE: &str = "pixelrts.yaml";

/// What settings are read from. Each [`super::Loaded::load`] reads the files again; flags and variables stay the same.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The file of `--config`, which must exist.
    pub named: Option<PathBuf>,
    /// Otherwise the first of these files that exists.
    pub candidates: Vec<PathBuf>,
    /// All variables that begin with `PIXELRTS_`.
    pub environment: Vec<(String, OsString)>,
    pub flags: Vec<Flag>,
    /// The directory that `~` stands for.
    pub home: PathBuf,
}

/// An option of the command line that sets a key. Without values it sets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    pub key: &'static str,
    /// As in `--listen`.
    pub name: &'static str,
    pub values: Vec<String>,
}

impl Flag {
    pub fn new<T: ToString>(key: &'static str, name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        Self { key, name, values: values.into_iter().map(|value| value.to_string()).collect() }
    }
}

impl Inputs {
    /// The inputs of this process.
    #[must_use]
    pub fn new(named: Option<PathBuf>, flags: Vec<Flag>, paths: &Paths) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self {
            named,
            candidates: vec![PathBuf::from(HERE), paths.config(), PathBuf::from(SYSTEM)],
            environment: variables.filter(|(name, _)| name.starts_with(PREFIX)).collect(),
            flags,
            home: std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")),
        }
    }

    /// The names of the variables that set directories and settings of a backend: what one in a container is given too.
    #[must_use]
    pub fn variables() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names.filter(|name| name.starts_with(PREFIX) || matches!(&**name, "HOME" | "XDG_CONFIG_HOME")).collect()
    }

    /// The same variables and flags, but no files.
    #[must_use]
    pub fn without_files(&self) -> Self {
        Self { named: None, candidates: Vec::new(), ..self.clone() }
    }

    /// The file to read, if there is one.
    pub(super) fn file(&self) -> Result<Option<PathBuf>, ConfigError> {
        let is_there = |path: &Path| match path.metadata() {
            Ok(found) if found.is_file() => Ok(true),
            Ok(_) => Err(io::Error::other("it is not a file")),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        };
        let failed = |path: &Path, error| ConfigError::Unreadable { path: path.to_owned(), error };
        if let Some(path) = &self.named {
            let missing = || failed(path, io::Error::new(io::ErrorKind::NotFound, "there is no such file"));
            return if is_there(path).map_err(|error| failed(path, error))? {
                Ok(Some(path.clone()))
            } else {
                Err(missing())
            };
        }
        for path in &self.candidates {
            match is_there(path) {
                Ok(true) => return ours(path).map(Some),
                Ok(false) => {}
                // The file is in a folder that this user may not enter.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(failed(path, error)),
            }
        }
        Ok(None)
    }
}

/// Others may put a file into a shared folder like `/tmp`. So a file that the user did not name must belong to this
/// user or to root.
fn ours(path: &Path) -> Result<PathBuf, ConfigError> {
    let found = path.metadata().map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    if found.uid() == getuid().as_raw() || found.uid() == 0 {
        return Ok(path.to_owned());
    }
    Err(ConfigError::Foreign { path: path.to_owned(), owner: found.uid() })
}
