//! Files of secrets.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::SecretsError;
use crate::files::{Existing, write_atomically};

/// Only for its owner.
pub(super) const SECRET: u32 = 0o600;

/// Writes a file that must not be there yet, complete or not at all; its folder is made when it is missing.
pub(super) fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), SecretsError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
        write_atomically(path, Existing::Keep, |file| {
            // Before there is anything to read in it.
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())
        })
    };
    write().map_err(|error| SecretsError::file(path, error))
}

/// Reads a secret, which must be its owner's alone. `what` names it for people.
pub(super) fn read_secret(path: &Path, what: &'static str) -> Result<String, SecretsError> {
    let mode = fs::metadata(path).map_err(|error| SecretsError::file(path, error))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretsError::Exposed { what, path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map_err(|error| SecretsError::file(path, error))
}

pub(super) fn exists(path: &Path) -> Result<bool, SecretsError> {
    path.try_exists().map_err(|error| SecretsError::file(path, error))
}
