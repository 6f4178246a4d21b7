//! The life of a mount: [`Mount::new`] makes it, and dropping the [`Mount`] removes it, whatever has happened meanwhile.
//!
//! Others may unmount an image, or mount something over it. So before a mount is removed, it is checked that it is still
//! what lies at its path: the files of somebody else are never unmounted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session};
use nix::mount::{MntFlags, umount2};
use pixelrts_shared::{Problem, ProblemCode};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use tokio_util::sync::CancellationToken;

use super::fuse::Adapter;
use super::tree::Tree;
use crate::image::Image;
use crate::task::Pool;

/// How far the kernel reads ahead of a program, in KiB: four strips, which are decoded at the same time.
const READ_AHEAD_KIB: u32 = 1024;

/// A mounted image. Dropping it unmounts the image, by force if necessary.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    session: Option<BackgroundSession>,
    over: CancellationToken,
    top: Option<Top>,
}

/// What lies uppermost at a path. The kernel knows it; the process that serves it is not asked, because it may hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Top {
    device: (u32, u32),
    /// The number of the mount. Like that of the device, it is used again once it is free.
    mount: u64,
    is_mountpoint: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("/dev/fuse cannot be opened: {0}")]
    Device(io::Error),
    #[error("{path} cannot be created: {source}")]
    Directory { path: PathBuf, source: io::Error },
    #[error("the threads that decode the image cannot be started: {0}")]
    Threads(io::Error),
    #[error("the kernel or fusermount3 refused to mount it: {0}")]
    Refused(io::Error),
}

impl Mount {
    /// Mounts `image` at `path`, which is created if it does not exist. The files are there when this returns.
    pub fn new(image: Arc<Image>, path: &Path) -> Result<Self, MountError> {
        std::fs::create_dir_all(path).map_err(|source| MountError::Directory { path: path.to_owned(), source })?;
        // The library would hide this error behind the error of its fallback.
        Self::available()?;
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::RO,
            MountOption::NoExec,
            MountOption::NoAtime,
            MountOption::DefaultPermissions,
            MountOption::FSName("pixelrts".to_owned()),
            MountOption::Subtype("pixelrts".to_owned()),
        ];
        // One thread waits for a strip while another answers what is decoded already.
        config.n_threads = Some(Pool::width());
        config.clone_fd = true;
        let over = CancellationToken::new();
        let tree = Tree::new(image).map_err(MountError::Threads)?;
        let adapter = Adapter::new(tree, over.clone());
        let session = Session::new(adapter, path, &config).and_then(Session::spawn).map_err(MountError::Refused)?;
        let top = Top::at(path);
        top.inspect(Top::read_far_ahead);
        Ok(Self { path: path.to_owned(), session: Some(session), over, top })
    }

    /// Checks that the kernel's device can be opened. Whether this user may mount is known only when it is tried.
    pub fn available() -> Result<(), MountError> {
        let device = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse");
        device.map(drop).map_err(MountError::Device)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until somebody else has unmounted it.
    pub async fn ended(&self) {
        self.over.cancelled().await;
    }
}

/// What to do about a refusal. `fusermount3` explains it in words only, so the words are searched.
fn refusal(error: &io::Error) -> &'static str {
    let said = error.to_string();
    if said.contains("Transport endpoint is not connected") {
        "The mount in this folder is dead. Unmount it as the user who mounted it (umount --lazy DIR), or choose another folder."
    } else if said.contains("no write access") || said.contains("not owned by the user") {
        "Choose a folder of your own, or mount the image as root."
    } else {
        "Install fusermount3: sudo apt install fuse3. In a container, add the capability SYS_ADMIN."
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // Somebody else may have unmounted it, and may have mounted something else at its place, or over it.
        let ours = !self.over.is_cancelled() && Top::at(&self.path) == self.top;
        // Force ends every request under way, so nobody waits for this process, and it waits for nobody. Only root may
        // use force; other users detach. The session's own drop unmounts what `fusermount3` has mounted.
        let detach = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        let forced = ours && umount2(&self.path, detach | MntFlags::MNT_FORCE).is_ok();
        let unmounted = forced || ours && umount2(&self.path, detach).is_ok();
        // That drop unmounts whatever lies at the path. So it must not run where that is not this mount, or may be what
        // this mount lay over. The descriptor that the session keeps is closed when this process ends, and whoever still
        // waits for these files gets an error then.
        let below = || Top::at(&self.path).is_none_or(|top| top.is_mountpoint);
        if !ours || unmounted && below() {
            return std::mem::forget(session);
        }
        let threads = session.guard;
        if forced && threads.join().is_err() {
            tracing::error!("a thread of the mount panicked");
        }
    }
}

impl Top {
    fn at(path: &Path) -> Option<Self> {
        let flags = AtFlags::STATX_DONT_SYNC | AtFlags::SYMLINK_NOFOLLOW;
        // Only the mount's own process is sure to answer questions for more, so nothing else is asked.
        let found = statx(CWD, path, flags, StatxFlags::empty()).ok()?;
        Some(Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            mount: found.stx_mnt_id,
            is_mountpoint: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        })
    }

    /// Sets the read-ahead of a mount to more than the kernel's 128 KiB. Only root may do it, and it only makes reading
    /// faster, so a failure is ignored.
    fn read_far_ahead(&self) {
        let (major, minor) = self.device;
        let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
        let _ = std::fs::write(setting, READ_AHEAD_KIB.to_string());
    }
}

impl From<MountError> for Problem {
    fn from(error: MountError) -> Self {
        let why = error.to_string();
        match error {
            MountError::Device(source) if source.kind() == io::ErrorKind::PermissionDenied => Self::new(
                ProblemCode::PermissionDenied,
                "This user cannot mount images.",
                why,
                "Give users access to the device, as distributions do: sudo chmod 0666 /dev/fuse",
            ),
            MountError::Device(_) => Self::new(
                ProblemCode::DependencyMissing,
                "Images cannot be mounted on this computer.",
                why,
                "Load the kernel's module: sudo modprobe fuse. In a container, pass the device: --device /dev/fuse",
            ),
            MountError::Directory { .. } => Self::new(
                ProblemCode::StorageFailed,
                "The image cannot be mounted.",
                why,
                "Choose another directory, or set XDG_RUNTIME_DIR to one of your own.",
            ),
            MountError::Threads(_) => Self::new(
                ProblemCode::Overloaded,
                "The image cannot be mounted.",
                why,
                "Close other programs, or raise the limit on processes, which ulimit -u shows.",
            ),
            MountError::Refused(source) => {
                let code = match source.kind() {
                    io::ErrorKind::NotFound => ProblemCode::DependencyMissing,
                    _ => ProblemCode::PermissionDenied,
                };
                Self::new(code, "The image cannot be mounted.", why, refusal(&source))
            }
        }
    }
}

#[cfg(test)]
mod tests;
