//! Folders for temporary files. This is the only place that reads `TMPDIR`.

use std::path::PathBuf;

/// The folders for large temporary files, in the order in which to try them: the one that `TMPDIR` names, else `/var/tmp`
/// and `/tmp`. On many systems `/tmp` is in memory, and what memory can hold need not be in a file.
pub(crate) fn temporary_folders() -> Vec<PathBuf> {
    match std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => vec![folder.into()],
        None => vec!["/var/tmp".into(), "/tmp".into()],
    }
}
