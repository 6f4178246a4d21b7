//! The phase before modules: what they need exists when they start, so none of them has cold-start code.
//!
//! Idempotent and quick when nothing is to do. Directories and the database abort the start when they fail; the
//! first command after an unclean end finds everything as it was.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, getuid};
use pixelrts_shared::{Problem, ProblemCode};

use crate::database::{Database, DatabaseError};
use crate::paths::Paths;

/// Backup programs skip a directory with this file (<https://bford.info/cachedir/>).
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # Images and thumbnails that PixelRTS can fetch or make again.\n";

#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("{path}: {error}")]
    Directory { path: PathBuf, error: io::Error },
    #[error("{path} belongs to user {found}, not to {expected}")]
    Owner { path: PathBuf, expected: Uid, found: u32 },
    #[error("{path} is no directory")]
    NotADirectory { path: PathBuf },
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Makes the cache's directories; all that role `catalog` needs.
pub fn cache(paths: &Paths) -> Result<(), BootstrapError> {
    for folder in [paths.cache.clone(), paths.images(), paths.partial(), paths.thumbnails()] {
        directory(&folder)?;
    }
    let tag = paths.cache.join("CACHEDIR.TAG");
    if !tag.exists() {
        fs::write(&tag, CACHEDIR_TAG).map_err(|error| BootstrapError::Directory { path: tag, error })?;
    }
    Ok(())
}

/// Makes the runtime directory: only its owner may look into it.
pub fn runtime(paths: &Paths) -> Result<(), BootstrapError> {
    private_directory(&paths.runtime)?;
    private_directory(&paths.machines())
}

/// Makes everything a backend of role `shell` needs, and opens its database.
pub fn shell(paths: &Paths) -> Result<Database, BootstrapError> {
    cache(paths)?;
    runtime(paths)?;
    // The state holds the token and the secrets of servers.
    private_directory(&paths.state)?;
    Ok(Database::open(&paths.database())?)
}

fn directory(path: &Path) -> Result<(), BootstrapError> {
    fs::create_dir_all(path).map_err(|error| BootstrapError::Directory { path: path.to_owned(), error })
}

/// Makes a directory of mode 0700, or checks that the one there is ours and makes it so.
///
/// In a shared place like `/tmp` another user may have made the name before us, as a directory or as a link.
fn private_directory(path: &Path) -> Result<(), BootstrapError> {
    let failed = |error| BootstrapError::Directory { path: path.to_owned(), error };
    if let Some(parent) = path.parent() {
        directory(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(path).map_err(failed)?;
    if !found.is_dir() {
        return Err(BootstrapError::NotADirectory { path: path.to_owned() });
    }
    if found.uid() != getuid().as_raw() {
        return Err(BootstrapError::Owner { path: path.to_owned(), expected: getuid(), found: found.uid() });
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

impl From<BootstrapError> for Problem {
    fn from(error: BootstrapError) -> Self {
        let why = error.to_string();
        match error {
            BootstrapError::Directory { path, error } if error.kind() == io::ErrorKind::PermissionDenied => Self::new(
                ProblemCode::PermissionDenied,
                format!("{} cannot be made.", path.display()),
                why,
                "Make it writable, or choose another place with XDG_CACHE_HOME, XDG_STATE_HOME or XDG_RUNTIME_DIR.",
            ),
            BootstrapError::Directory { path, error } if error.kind() == io::ErrorKind::StorageFull => Self::new(
                ProblemCode::StorageFull,
                format!("{} cannot be made.", path.display()),
                why,
                "Free some space on that disk, then try again.",
            ),
            BootstrapError::Directory { path, .. } | BootstrapError::NotADirectory { path } => Self::new(
                ProblemCode::StorageFailed,
                format!("{} cannot be used as a directory.", path.display()),
                why,
                "Remove what is there, or choose another place with XDG_CACHE_HOME, XDG_STATE_HOME or XDG_RUNTIME_DIR.",
            ),
            BootstrapError::Owner { path, .. } => Self::new(
                ProblemCode::PermissionDenied,
                format!("{} belongs to someone else.", path.display()),
                why,
                "Remove it as its owner, or set XDG_RUNTIME_DIR to a directory of your own.",
            ),
            BootstrapError::Database(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn paths(root: &Path) -> Paths {
        Paths {
            cache: root.join("c/pixelrts"),
            state: root.join("s/pixelrts"),
            runtime: root.join("r/pixelrts"),
            config: root.join("i"),
        }
    }

    #[test]
    fn everything_is_made_once_and_again_after_it_was_deleted() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        for _ in 0..2 {
            shell(&paths).unwrap();
            shell(&paths).unwrap();
            assert!(paths.cache.join("CACHEDIR.TAG").exists());
            assert!(paths.partial().is_dir());
            assert_eq!(fs::metadata(&paths.runtime).unwrap().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(&paths.state).unwrap().mode() & 0o777, 0o700);
            fs::remove_dir_all(&paths.cache).unwrap();
        }
    }

    #[test]
    fn an_open_runtime_directory_is_closed_and_a_link_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let paths = paths(root.path());
        fs::create_dir_all(&paths.runtime).unwrap();
        fs::set_permissions(&paths.runtime, fs::Permissions::from_mode(0o777)).unwrap();
        runtime(&paths).unwrap();
        assert_eq!(fs::metadata(&paths.runtime).unwrap().mode() & 0o777, 0o700);

        fs::remove_dir_all(&paths.runtime).unwrap();
        symlink(root.path(), &paths.runtime).unwrap();
        assert!(matches!(runtime(&paths), Err(BootstrapError::NotADirectory { .. })));
    }
}
