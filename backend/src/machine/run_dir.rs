//! The run directory of a machine: its sockets, its mountpoint, and what it was started with.
//!
//! Every process that uses a run directory holds a shared lock on its lock file. The kernel releases the locks of a
//! process that ends, however it ends, so a directory whose lock can be taken exclusively is dead. Creating and sweeping
//! directories exclude each other by a lock on their parent, so a sweep never finds one that is half made.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use pixelrts_shared::MachineId;

use super::MachineError;
use crate::export::{UnmountError, mounted, unmount};
use crate::files::Lock;
use crate::random;

/// A run directory in use. It stays on disk when this value is dropped (see [`RunDir::remove`]).
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    id: MachineId,
    lock: Lock,
}

impl RunDir {
    /// Creates a new one in `machines`, a private directory.
    pub fn create(machines: &Path) -> Result<Self, MachineError> {
        let parent = lock_parent(machines)?;
        let id = loop {
            let id = new_id()?;
            match DirBuilder::new().mode(0o700).create(machines.join(id.as_str())) {
                Ok(()) => break id,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(MachineError::RunDir { path: machines.join(id.as_str()), source }),
            }
        };
        let path = machines.join(id.as_str());
        let dir = Self::lock(path, id);
        drop(parent);
        dir
    }

    /// Uses one that another process created.
    pub fn open(path: &Path) -> Result<Self, MachineError> {
        check_private(path)?;
        let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let id = id.ok_or_else(|| MachineError::RunDirUnsafe {
            path: path.to_owned(),
            found: "its name is not a machine id".to_owned(),
        })?;
        Self::lock(path.to_owned(), id)
    }

    fn lock(path: PathBuf, id: MachineId) -> Result<Self, MachineError> {
        let fail = |source| MachineError::RunDir { path: path.clone(), source };
        let file = lock_file(&path).map_err(fail)?;
        // A sweep has it locked: the directory is being removed.
        let lock =
            Lock::try_shared(file).and_then(|lock| lock.ok_or(io::ErrorKind::WouldBlock.into())).map_err(fail)?;
        Ok(Self { path, id, lock })
    }

    #[must_use]
    pub fn id(&self) -> &MachineId {
        &self.id
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn mountpoint(&self) -> PathBuf {
        self.path.join("mnt")
    }

    #[must_use]
    pub fn serial_socket(&self) -> PathBuf {
        self.path.join("serial.sock")
    }

    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// Where QEMU reads the image's disks.
    #[must_use]
    pub fn disk_socket(&self) -> PathBuf {
        self.path.join("nbd.sock")
    }

    /// What the machine process is to start.
    #[must_use]
    pub fn spec(&self) -> PathBuf {
        self.path.join("spec.json")
    }

    /// What the machine process printed.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Stops using the directory, and removes it unless somebody else still uses it: then the last user removes it.
    pub fn remove(&self) -> io::Result<()> {
        if self.lock.try_make_exclusive()? { clear(&self.path) } else { Ok(()) }
    }
}

/// Removes the directories of dead machines, with the mounts that they left. Returns how many there were.
pub fn sweep(machines: &Path) -> Result<usize, MachineError> {
    let _parent = lock_parent(machines)?;
    let fail = |source| MachineError::RunDir { path: machines.to_owned(), source };
    let mut removed = 0;
    for entry in std::fs::read_dir(machines).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let Ok(file) = lock_file(&path) else { continue };
        let Ok(Some(_lock)) = Lock::try_exclusive(file) else { continue };
        match clear(&path) {
            Ok(()) => removed += 1,
            Err(error) => tracing::warn!(%error, path = %path.display(), "a dead run directory cannot be removed"),
        }
    }
    Ok(removed)
}

/// The directories of dead machines, each with whether a mount is left in it. Changes nothing.
pub fn dead(machines: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    let parent = match File::open(machines) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    // A directory that is being created is not locked yet, and its creator must not find it locked by this process.
    let _parent = Lock::shared(parent)?;
    let (mut found, mounts) = (Vec::new(), mounted()?);
    for entry in std::fs::read_dir(machines)? {
        let path = entry?.path();
        let is_dead = match File::open(path.join("lock")) {
            Ok(file) => matches!(Lock::try_exclusive(file), Ok(Some(_))),
            // Its creator was killed before it could lock it.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_dead {
            let mounted = mounts.contains(&path.join("mnt"));
            found.push((path, mounted));
        }
    }
    Ok(found)
}

fn lock_file(directory: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join("lock"))
}

/// Removes a run directory. Unmounts its `mnt` first, because walking into the mount of a dead process fails.
pub fn clear(path: &Path) -> io::Result<()> {
    match unmount(&path.join("mnt"), true) {
        Ok(()) | Err(UnmountError::NotMounted { .. }) => std::fs::remove_dir_all(path),
        Err(UnmountError::Refused { error, .. }) => Err(error),
        Err(error @ UnmountError::Busy { .. }) => Err(io::Error::other(error)),
    }
}

/// Nobody but this user may have access to the parent of all run directories, or to the directory above it.
pub(super) fn check_parent(machines: &Path) -> Result<(), MachineError> {
    machines.parent().map_or(Ok(()), check_private)?;
    check_private(machines)
}

fn lock_parent(machines: &Path) -> Result<Lock, MachineError> {
    check_parent(machines)?;
    let fail = |source| MachineError::RunDir { path: machines.to_owned(), source };
    let file = File::open(machines).map_err(fail)?;
    // Others hold it for microseconds; only a sweep takes longer, because it unmounts and removes directories.
    Lock::exclusive(file).map_err(fail)
}

/// A directory that another user could have created, or can enter, would give that user control of the machine.
fn check_private(path: &Path) -> Result<(), MachineError> {
    let found = |found: String| MachineError::RunDirUnsafe { path: path.to_owned(), found };
    let metadata = path.symlink_metadata().map_err(|source| MachineError::RunDir { path: path.to_owned(), source })?;
    if !metadata.is_dir() {
        return Err(found("it is not a directory".to_owned()));
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(found(format!("it belongs to the user with id {}", metadata.uid())));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(found(format!("its mode is {:o}", metadata.mode() & 0o777)));
    }
    Ok(())
}

/// 10 random characters. It is short, because it is part of the paths of sockets, whose length is limited.
fn new_id() -> Result<MachineId, MachineError> {
    let id = random::hex::<5>().map_err(|error| MachineError::Random(error.to_string()))?;
    Ok(MachineId::try_from(id).expect("10 hex digits are a machine id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn machines() -> (tempfile::TempDir, PathBuf) {
        let base = tempfile::tempdir().unwrap();
        let machines = base.path().join("pixelrts/machines");
        DirBuilder::new().mode(0o700).recursive(true).create(&machines).unwrap();
        (base, machines)
    }

    #[test]
    fn a_sweep_removes_the_dead_and_keeps_the_living() {
        let (_base, machines) = machines();
        let living = RunDir::create(&machines).unwrap();
        let dead = RunDir::create(&machines).unwrap();
        std::fs::create_dir(dead.mountpoint()).unwrap();
        std::fs::write(dead.spec(), "{}").unwrap();
        let path = dead.path().to_owned();
        assert_eq!(sweep(&machines).unwrap(), 0);
        assert_eq!(super::dead(&machines).unwrap(), []);
        drop(dead);
        assert_eq!(super::dead(&machines).unwrap(), [(path.clone(), false)]);
        assert!(super::dead(&machines.join("none")).unwrap().is_empty());
        assert_eq!(sweep(&machines).unwrap(), 1);
        assert!(!path.exists());
        assert!(living.path().exists());
    }

    #[test]
    fn the_last_user_removes_it() {
        let (_base, machines) = machines();
        let first = RunDir::create(&machines).unwrap();
        let path = first.path().to_owned();
        let second = RunDir::open(&path).unwrap();
        assert_eq!(first.id(), second.id());
        first.remove().unwrap();
        assert!(path.exists());
        second.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let (_base, machines) = machines();
        let dir = RunDir::create(&machines).unwrap();
        assert_eq!(dir.path().metadata().unwrap().mode() & 0o777, 0o700);
        std::fs::set_permissions(&machines, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            matches!(RunDir::create(&machines), Err(MachineError::RunDirUnsafe { found, .. }) if found == "its mode is 755")
        );
        let link = machines.parent().unwrap().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(matches!(RunDir::open(&link), Err(MachineError::RunDirUnsafe { .. })));
    }
}
