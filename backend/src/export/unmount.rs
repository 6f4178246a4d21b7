//! Which images are mounted, and unmounting one.
//!
//! The kernel's table of mounts answers this. Asking a mount itself may fail or hang when its process is dead.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use pixelrts_shared::{Problem, ProblemCode};

/// So many links in a row are followed, as the kernel does.
const MAX_LINKS: usize = 40;

#[derive(Debug, thiserror::Error)]
pub enum UnmountError {
    #[error("no image is mounted at {}", path.display())]
    NotMounted { path: PathBuf },
    #[error("something in {} is in use", path.display())]
    Busy { path: PathBuf },
    #[error("unmounting {} failed: {error}", path.display())]
    Refused { path: PathBuf, error: io::Error },
}

/// Where images are mounted, as far as this process sees mounts.
pub fn mounted() -> io::Result<Vec<PathBuf>> {
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().filter_map(mountpoint).collect())
}

/// The fifth field of a line about a mount of this program (proc_pid_mountinfo(5)).
fn mountpoint(line: &str) -> Option<PathBuf> {
    let (mount, file_system) = line.split_once(" - ")?;
    // `fusermount3` names the type `fuse.pixelrts`. A mount made without it has the type `fuse` and the source `pixelrts`.
    let ours = file_system.starts_with("fuse pixelrts ") || file_system.starts_with("fuse.pixelrts ");
    ours.then(|| unescaped(mount.split(' ').nth(4)?)).flatten()
}

/// The table writes spaces and backslashes as three octal digits.
fn unescaped(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

/// The path under which the table lists what is mounted here: without links and `..`. The mount itself is not asked: a
/// dead one answers with an error, and one that hangs never answers.
pub fn place(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..MAX_LINKS {
        // Only a path that ends in `..` has no file name; resolving it goes through its folder anyway.
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return path.canonicalize() };
        let parent = parent.canonicalize()?;
        let place = parent.join(name);
        // This fails for everything that is not a link.
        let Ok(target) = place.read_link() else { return Ok(place) };
        path = parent.join(target);
    }
    Err(Errno::ELOOP.into())
}

/// Unmounts an image. With `detach` also when it is in use; programs then keep the files that they have open.
pub fn unmount(path: &Path, detach: bool) -> Result<(), UnmountError> {
    let refused = |error| UnmountError::Refused { path: path.to_owned(), error };
    let place = place(path).map_err(refused)?;
    if !mounted().map_err(refused)?.contains(&place) {
        return Err(UnmountError::NotMounted { path: path.to_owned() });
    }
    let flags = if detach { MntFlags::MNT_DETACH } else { MntFlags::empty() };
    match umount2(&place, flags | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::EBUSY) => Err(UnmountError::Busy { path: path.to_owned() }),
        // Only `fusermount3` may unmount what it has mounted.
        Err(Errno::EPERM) => with_helper(&place, detach).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => UnmountError::Busy { path: path.to_owned() },
            _ => refused(error),
        }),
        Err(errno) => Err(refused(errno.into())),
    }
}

fn with_helper(place: &Path, detach: bool) -> io::Result<()> {
    let mut helper = Command::new("fusermount3");
    helper.arg("-u").args(detach.then_some("-z")).arg("--").arg(place).stdin(Stdio::null()).env("LC_ALL", "C");
    let output = helper.output().map_err(|error| io::Error::other(format!("fusermount3: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false if said.contains("busy") => Err(io::ErrorKind::ResourceBusy.into()),
        false => Err(io::Error::other(said.trim().to_owned())),
    }
}

impl From<UnmountError> for Problem {
    fn from(error: UnmountError) -> Self {
        let why = error.to_string();
        match error {
            UnmountError::NotMounted { .. } => Self::new(
                ProblemCode::FileNotFound,
                "No image is mounted in this folder.",
                why,
                "See what is mounted: findmnt -t fuse,fuse.pixelrts",
            ),
            UnmountError::Busy { path } => Self::new(
                ProblemCode::Busy,
                "The image is in use.",
                why,
                format!(
                    "See which programs use it: fuser -vm {0}. Or unmount it as soon as they have closed it: pixelrts umount --lazy {0}",
                    path.display()
                ),
            ),
            UnmountError::Refused { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                Self::new(ProblemCode::FileNotFound, "This folder does not exist.", why, "Check the path.")
            }
            UnmountError::Refused { .. } => Self::new(
                ProblemCode::PermissionDenied,
                "The image cannot be unmounted.",
                why,
                "Unmount it as the user who mounted it, or as root.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_this_program_are_found() {
        let line = |place: &str, kind: &str| format!("36 35 98:0 / {place} ro,nosuid shared:1 - {kind} pixelrts ro");
        assert_eq!(mountpoint(&line("/mnt/a\\040b\\134", "fuse.pixelrts")), Some("/mnt/a b\\".into()));
        assert_eq!(mountpoint(&line("/mnt\\9", "fuse.pixelrts")), Some("/mnt\\9".into()));
        assert_eq!(mountpoint(&line("/mnt", "fuse")), Some("/mnt".into()));
        assert_eq!(mountpoint(&line("/mnt", "fuse.sshfs")), None);
        assert_eq!(mountpoint("nonsense"), None);
    }

    #[test]
    fn a_folder_has_one_path_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let mnt = root.join("mnt");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        for (link, target) in [("one", "mnt"), ("a/two", "../one"), ("loop", "loop"), ("folder", "a")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        // It need not be there.
        for name in ["mnt", "./mnt/", "one", "a/two", "folder/two", "a/b/../../mnt", "folder/../one/."] {
            assert_eq!(place(&root.join(name)).unwrap(), mnt, "{name}");
        }
        assert_eq!(place(&root.join("a/b/..")).unwrap(), root.join("a"));
        assert_eq!(place(Path::new("/")).unwrap(), Path::new("/"));
        assert_eq!(place(&root.join("no/mnt")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(place(&root.join("loop")).unwrap_err().raw_os_error(), Some(nix::libc::ELOOP));
    }
}
