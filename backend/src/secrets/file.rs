//! Files with secrets.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::SecretsError;
use crate::files::{Existing, write_atomically};

/// Only the owner may read and write it.
pub(super) const SECRET: u32 = 0o600;

/// Writes a file that must not exist yet, completely or not at all. Its folder is made when it is missing.
pub(super) fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), SecretsError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
        write_atomically(path, Existing::Keep, |file| {
            // This comes before there is anything to read in the file.
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(text.as_bytes())
        })
    };
    write().map_err(|error| SecretsError::file(path, error))
}

/// Reads a secret, which only its owner may be able to read. `what` is its name for people.
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
