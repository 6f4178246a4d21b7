//! A disk that is soon full.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A file system in memory, mounted until this is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` when this user may not mount.
    pub fn at(path: PathBuf, mib: u64) -> Result<Option<Self>> {
        fs::create_dir_all(&path)?;
        match mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(format!("size={mib}m").as_str())) {
            Ok(()) => Ok(Some(Self(path))),
            Err(Errno::EPERM) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a failed story may have left a process that uses it.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
