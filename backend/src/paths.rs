//! Where files live: the cache, state, runtime and configuration directories, following the XDG rules.
//!
//! `cli` reads them from the environment once and passes them in. Programs of the host are looked for here too, in the
//! folders of `PATH`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::unistd::getuid;

/// The root directories. Nothing here creates them: `bootstrap` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `$XDG_CACHE_HOME/pixelrts`: it may be deleted at any time.
    pub cache: PathBuf,
    /// `$XDG_STATE_HOME/pixelrts`: database, token, logs.
    pub state: PathBuf,
    /// `$XDG_RUNTIME_DIR/pixelrts`: sockets and run directories of machines; mode 0700.
    pub runtime: PathBuf,
    /// `$XDG_CONFIG_HOME/pixelrts`: the user's configuration.
    pub config: PathBuf,
}

/// All files of this name that may be executed in the folders of `PATH`, in their order.
pub fn programs(name: &str) -> impl Iterator<Item = PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found: Vec<_> = std::env::split_paths(&folders).map(|folder| folder.join(name)).collect();
    found
        .into_iter()
        .filter(|path| path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0))
}

impl Paths {
    /// `variable` looks up a name in the environment. A relative path is ignored, as the XDG rules require.
    pub fn from_environment(variable: impl Fn(&str) -> Option<PathBuf>) -> Self {
        let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
        let home = absolute("HOME").unwrap_or_else(|| PathBuf::from("/"));
        let runtime = match absolute("XDG_RUNTIME_DIR") {
            Some(path) => path.join("pixelrts"),
            None if getuid().is_root() => PathBuf::from("/run/pixelrts"),
            None => PathBuf::from(format!("/tmp/pixelrts-{}", getuid())),
        };
        Self {
            cache: absolute("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache")).join("pixelrts"),
            state: absolute("XDG_STATE_HOME").unwrap_or_else(|| home.join(".local/state")).join("pixelrts"),
            runtime,
            config: absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("pixelrts"),
        }
    }

    /// All directories below one folder.
    #[cfg(test)]
    pub(crate) fn below(root: &std::path::Path) -> Self {
        let at = |name: &str| root.join(name);
        Self { cache: at("c"), state: at("s"), runtime: at("r"), config: at("f") }
    }

    /// Complete, verified images.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.cache.join("remote")
    }

    /// Downloads that are not complete yet.
    #[must_use]
    pub fn partial(&self) -> PathBuf {
        self.cache.join("partial")
    }

    #[must_use]
    pub fn thumbnails(&self) -> PathBuf {
        self.cache.join("thumbnails")
    }

    /// The database of one module.
    #[must_use]
    pub fn database(&self, module: &str) -> PathBuf {
        self.state.join(format!("{module}.sqlite3"))
    }

    /// The user's configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.config.join("config.yaml")
    }

    /// The versions that programs reported when they were last asked.
    #[must_use]
    pub fn programs(&self) -> PathBuf {
        self.state.join("programs.json")
    }

    /// The secret of the API, for when the API can be reached from other computers.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.state.join("token")
    }

    /// The running backend holds this lock. The file says its process id and address.
    #[must_use]
    pub fn backend_lock(&self) -> PathBuf {
        self.runtime.join("backend.lock")
    }

    /// The running trust anchor holds this lock.
    #[must_use]
    pub fn up_lock(&self) -> PathBuf {
        self.runtime.join("up.lock")
    }

    /// Where the backend answers health checks.
    #[must_use]
    pub fn health_socket(&self) -> PathBuf {
        self.runtime.join("kernel.sock")
    }

    /// One run directory per machine.
    #[must_use]
    pub fn machines(&self) -> PathBuf {
        self.runtime.join("machines")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn paths(variables: &[(&str, &str)]) -> Paths {
        let map: HashMap<_, _> = variables.iter().copied().collect();
        Paths::from_environment(|name| map.get(name).map(PathBuf::from))
    }

    #[test]
    fn xdg_variables_win_over_home() {
        let found = paths(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c"), ("XDG_RUNTIME_DIR", "/r")]);
        assert_eq!(found.images(), PathBuf::from("/c/pixelrts/remote"));
        assert_eq!(found.database("x"), PathBuf::from("/home/a/.local/state/pixelrts/x.sqlite3"));
        assert_eq!(found.machines(), PathBuf::from("/r/pixelrts/machines"));
    }

    #[test]
    fn programs_are_found_in_the_folders_of_path() {
        assert!(programs("sh").next().is_some_and(|path| path.ends_with("sh") && path.is_absolute()));
        assert_eq!(programs("no-such-program-here").count(), 0);
    }

    #[test]
    fn relative_variables_are_ignored() {
        assert_eq!(paths(&[("HOME", "/h"), ("XDG_CACHE_HOME", "c")]).cache, PathBuf::from("/h/.cache/pixelrts"));
    }
}
