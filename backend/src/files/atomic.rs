//! Writing files so that they are complete or absent.
//!
//! A file without a name (`O_TMPFILE`) is written and synced, and only then linked into its folder, so a process that is
//! killed leaves nothing behind. If the file system has no such files, or if a file is replaced, there is a name that
//! begins with [`UNFINISHED`] for a moment. Its writer holds a lock on it, so a file that nobody has locked was left behind.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;

const MODE: u32 = 0o644;

/// The names of files that are not complete yet begin with this.
pub(crate) const UNFINISHED: &str = ".pixelrts-";

/// What happens to a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    Keep,
}

/// Writes a file so that it is complete or absent, also after a crash.
///
/// A file that replaces another one gets its mode. With [`Existing::Keep`] the call fails with
/// [`io::ErrorKind::AlreadyExists`] if there is a file of that name.
pub(crate) fn write_atomically<T, E: From<io::Error>>(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unnamed = OpenOptions::new().write(true).mode(MODE).custom_flags(OFlag::O_TMPFILE.bits()).open(folder);
    let value = match unnamed {
        Ok(mut file) => {
            hold(&file);
            let value = write(&mut file)?;
            keep_mode(path, existing, &file)?;
            file.sync_all()?;
            link(&file, path, folder, existing)?;
            value
        }
        Err(_) => {
            let mut file = builder().tempfile_in(folder)?;
            hold(file.as_file());
            let value = write(file.as_file_mut())?;
            keep_mode(path, existing, file.as_file())?;
            file.as_file().sync_all()?;
            match existing {
                Existing::Replace => file.persist(path).map(drop),
                Existing::Keep => file.persist_noclobber(path).map(drop),
            }
            .map_err(|failed| failed.error)?;
            value
        }
    };
    File::open(folder)?.sync_all()?;
    Ok(value)
}

/// A file for what arrives bit by bit: it has a name that begins with [`UNFINISHED`], and goes when it is dropped.
pub(crate) fn unfinished(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let file = builder().tempfile_in(folder)?;
    hold(file.as_file());
    Ok(file)
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).permissions(Permissions::from_mode(MODE));
    builder
}

/// Gives the new file the mode of the old one, so that the same users may read it.
fn keep_mode(path: &Path, existing: Existing, file: &File) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(old) if existing == Existing::Replace && old.is_file() => file.set_permissions(old.permissions()),
        _ => Ok(()),
    }
}

/// On a file system without locks this fails, and an unfinished file that is left behind is never removed.
fn hold(file: &File) {
    let _ = file.try_lock();
}

/// Gives a file without a name its name. A link never replaces a file, so replacing takes a second name and a rename.
fn link(file: &File, path: &Path, folder: &Path, existing: Existing) -> io::Result<()> {
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |to: &Path| {
        linkat(AT_FDCWD, source.as_str(), AT_FDCWD, to, AtFlags::AT_SYMLINK_FOLLOW).map_err(io::Error::from)
    };
    match existing {
        Existing::Keep => link(path),
        Existing::Replace => builder().make_in(folder, link)?.persist(path).map_err(|failed| failed.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_failure_leaves_no_file_and_a_success_only_the_finished_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let count = || std::fs::read_dir(folder.path()).unwrap().count();
        let unnamed = OpenOptions::new().write(true).custom_flags(OFlag::O_TMPFILE.bits()).open(&folder).is_ok();
        let put = |text: &'static [u8], existing| {
            write_atomically(&path, existing, |file| {
                assert!(count() <= 1 || !unnamed, "the file has no name while it is written");
                assert!(File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap().try_lock().is_err());
                file.write_all(text)
            })
        };
        assert!(write_atomically(&path, Existing::Replace, |_| Err::<(), _>(io::Error::other("no"))).is_err());
        assert_eq!(count(), 0);
        put(b"1", Existing::Keep).unwrap();
        assert_eq!(put(b"2", Existing::Keep).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"1");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        put(b"3", Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"3");
        assert_eq!(count(), 1);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
