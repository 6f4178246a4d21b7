//! Files that are complete or absent.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whether a file that is there already may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    Keep,
}

/// Writes `path` through a temporary file in its folder: fsync, rename, fsync of the folder.
///
/// With [`Existing::Keep`] a file of that name is [`io::ErrorKind::AlreadyExists`].
pub(crate) fn write<T, E: From<io::Error>>(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(".pixelrts-").permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    let value = write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    match existing {
        Existing::Replace => file.persist(path).map(drop),
        Existing::Keep => file.persist_noclobber(path).map(drop),
    }
    .map_err(|failed| failed.error)?;
    File::open(folder)?.sync_all()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_failure_leaves_nothing_and_success_only_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let count = || std::fs::read_dir(folder.path()).unwrap().count();
        let put = |text: &'static [u8], existing| write(&path, existing, |file| file.write_all(text));
        assert!(write(&path, Existing::Replace, |_| Err::<(), _>(io::Error::other("no"))).is_err());
        assert_eq!(count(), 0);
        put(b"1", Existing::Keep).unwrap();
        assert_eq!(put(b"2", Existing::Keep).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"1");
        put(b"3", Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"3");
        assert_eq!(count(), 1);
    }
}
