//! A thin FUSE adapter over [`Tree`], and the mount that owns it.
//!
//! Nothing ever changes, so the kernel may keep names, attributes and pages for as long as it likes. Files are opened
//! with NOFLUSH: without it, closing waits for an answer, and a process that dies while the mount hangs could not be
//! killed. The session's own threads only answer: what must be decoded first, others do and answer.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuser::{
    BackgroundSession, BsdFileFlags, Config, CopyFileRangeFlags, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, Session, TimeOrNow, WriteFlags,
};
use nix::mount::{MntFlags, umount2};
use nix::unistd::{getgid, getuid};
use pixelrts_shared::{Problem, ProblemCode};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use tokio_util::sync::CancellationToken;

use super::errno::refused;
use super::tree::{Inode, ROOT, Tree};
use crate::image::Image;
use crate::task::Pool;

/// How long the kernel may believe what it was told: for ever.
const TTL: Duration = Duration::from_secs(365 * 24 * 3600);
/// As `stat` shows it, and the unit of `df`.
const BLOCK: u32 = 4096;
/// The kernel asks for this much at once, at most: a strip, whose reply needs no copy.
const LARGEST_READ: u32 = 256 << 10;
/// How far the kernel reads ahead of a program, in KiB: four strips, which are decoded beside each other.
const READ_AHEAD_KIB: u32 = 1024;

/// A mounted image; dropping it unmounts it, by force if need be.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    session: Option<BackgroundSession>,
    over: CancellationToken,
    top: Option<Top>,
}

/// What lies uppermost at a path, as the kernel knows it: who serves it is not asked, and may hang or be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Top {
    device: (u32, u32),
    /// The number of the mount. Like the device's, it is given out again once it is free.
    mount: u64,
    is_mountpoint: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("/dev/fuse does not open: {0}")]
    Device(io::Error),
    #[error("{path} cannot be made: {source}")]
    Directory { path: PathBuf, source: io::Error },
    #[error("the threads that decode cannot be started: {0}")]
    Threads(io::Error),
    #[error("the kernel or fusermount3 refused: {0}")]
    Refused(io::Error),
}

impl Mount {
    /// Mounts `image` at `path`, which is made if it is missing; the files are there when this returns.
    pub fn new(image: Arc<Image>, path: &Path) -> Result<Self, MountError> {
        std::fs::create_dir_all(path).map_err(|source| MountError::Directory { path: path.to_owned(), source })?;
        // The library hides this error behind the one of its fallback.
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
        // One waits for a strip while another answers what is there already.
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

    /// The device of the kernel opens; whether it lets this user mount is only known when it is asked to.
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

/// What to do about it. The helper only says in words what it does not like.
fn refusal(error: &io::Error) -> &'static str {
    let said = error.to_string();
    if said.contains("Transport endpoint is not connected") {
        "What is mounted there is dead: unmount it as who mounted it (umount --lazy DIR), or choose another folder."
    } else if said.contains("no write access") || said.contains("not owned by the user") {
        "Choose a folder of your own, or mount it as root."
    } else {
        "Install the helper: sudo apt install fuse3. In a container, add the capability SYS_ADMIN."
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // Somebody else may have unmounted it, and may have mounted something at its place, or over it.
        let ours = !self.over.is_cancelled() && Top::at(&self.path) == self.top;
        // Force ends every request under way, so nothing can wait for us and we wait for nothing. It needs root; the
        // others detach, and what `fusermount3` mounted the session's own drop gives back to it.
        let detach = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        let forced = ours && umount2(&self.path, detach | MntFlags::MNT_FORCE).is_ok();
        let gone = forced || ours && umount2(&self.path, detach).is_ok();
        // That drop unmounts by path, whatever is there, so it is not let to where that is not ours, or may be what
        // ours lay over. The descriptor that it keeps ends with the process, and with it who waits for our files.
        let below = || Top::at(&self.path).is_none_or(|top| top.is_mountpoint);
        if !ours || gone && below() {
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
        // More than nothing may be asked of a mount of one's own only.
        let found = statx(CWD, path, flags, StatxFlags::empty()).ok()?;
        Some(Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            mount: found.stx_mnt_id,
            is_mountpoint: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        })
    }

    /// Raises the read-ahead of a mount above the 128 KiB that the kernel starts with. Only root may, and it only makes
    /// reading faster: what comes of it is not looked at.
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
                "Open the device as distributions do: sudo chmod 0666 /dev/fuse",
            ),
            MountError::Device(_) => Self::new(
                ProblemCode::DependencyMissing,
                "Images cannot be mounted here.",
                why,
                "Load the module: sudo modprobe fuse. In a container, pass the device: --device /dev/fuse",
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
                "Raise the limit of processes: ulimit -u",
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

struct Adapter {
    tree: Tree,
    /// Of all files; the owner is who mounts.
    template: FileAttr,
    /// A reader that meets a bad strip may try it thousands of times; the log hears of it once.
    warned: Arc<AtomicBool>,
    /// Tells the mount that the kernel has let go.
    over: CancellationToken,
}

impl Adapter {
    fn new(tree: Tree, over: CancellationToken) -> Self {
        let never = SystemTime::UNIX_EPOCH;
        let template = FileAttr {
            ino: INodeNo(ROOT),
            size: 0,
            blocks: 0,
            atime: never,
            mtime: never,
            ctime: never,
            crtime: never,
            kind: FileType::Directory,
            perm: 0o555,
            nlink: 1,
            uid: getuid().as_raw(),
            gid: getgid().as_raw(),
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        };
        Self { tree, template, warned: Arc::default(), over }
    }

    fn file(&self, inode: Inode, size: u64) -> FileAttr {
        let (ino, blocks) = (INodeNo(inode), size.div_ceil(512));
        FileAttr { ino, size, blocks, kind: FileType::RegularFile, perm: 0o444, ..self.template }
    }

    fn attributes(&self, inode: Inode) -> Result<FileAttr, Errno> {
        if inode == ROOT { Ok(self.template) } else { Ok(self.file(inode, self.tree.file(inode)?.size)) }
    }
}

fn warn_once(warned: &AtomicBool, inode: INodeNo, error: &dyn std::fmt::Display) {
    if !warned.swap(true, Ordering::Relaxed) {
        tracing::warn!(inode = inode.0, %error, "a file of the mount cannot be read");
    }
}

thread_local! {
    /// For a reply whose bytes lie in several places; made once per thread.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn answer(reply: ReplyData, pieces: &[Bytes]) {
    match pieces {
        [] => reply.data(&[]),
        [piece] => reply.data(piece),
        pieces => BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            pieces.iter().for_each(|piece| buffer.extend_from_slice(piece));
            reply.data(buffer);
        }),
    }
}

/// Operations that always give the same error: one row each.
macro_rules! refuse {
    ($($operation:ident($($argument:ty),*; $reply:ty) $errno:expr;)*) => {
        $(fn $operation(&self, _: &Request, $(_: $argument,)* reply: $reply) {
            reply.error($errno);
        })*
    };
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // It bounds reads too. A kernel that refuses it keeps its own bound, and replies are copied together.
        let _ = config.set_max_write(LARGEST_READ);
        Ok(())
    }

    fn destroy(&mut self) {
        self.over.cancel();
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        // What is no text is no name of ours.
        match self.tree.lookup(parent.0, name.to_str().unwrap_or_default()) {
            Ok((inode, entry)) => reply.entry(&TTL, &self.file(inode, entry.size), Generation(0)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode.0) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(errno) => reply.error(errno),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.tree.file(inode.0) {
            Ok(_) => reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH),
            Err(error) => reply.error(error.into()),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let warned = Arc::clone(&self.warned);
        self.tree.read(inode.0, offset, size.into(), move |outcome| match outcome {
            Ok(pieces) => answer(reply, &pieces),
            Err(error) => {
                warn_once(&warned, inode, &error);
                reply.error(error.into());
            }
        });
    }

    fn opendir(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        if inode.0 == ROOT {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR);
        } else {
            reply.error(Errno::ENOTDIR);
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let dots = [(ROOT, FileType::Directory, "."), (ROOT, FileType::Directory, "..")];
        let files = self.tree.files().map(|(inode, entry)| (inode, FileType::RegularFile, entry.name.as_str()));
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (place, (inode, kind, name)) in (1..).zip(dots.into_iter().chain(files)).skip(from) {
            if reply.add(INodeNo(inode), place, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = self.tree.files().map(|(_, entry)| entry.size.div_ceil(u64::from(BLOCK))).sum();
        reply.statfs(blocks, 0, 0, self.tree.files().count() as u64, 0, BLOCK, 255, BLOCK);
    }

    // The rest: access, flush, fsync, seeking, locks and polling keep the library's ENOSYS, which tells the kernel to
    // do them itself and never ask again.
    refuse! {
        write(INodeNo, FileHandle, u64, &[u8], WriteFlags, OpenFlags, Option<LockOwner>; ReplyWrite) refused::CHANGE;
        create(INodeNo, &OsStr, u32, u32, i32; ReplyCreate) refused::CHANGE;
        mknod(INodeNo, &OsStr, u32, u32, u32; ReplyEntry) refused::CHANGE;
        mkdir(INodeNo, &OsStr, u32, u32; ReplyEntry) refused::CHANGE;
        symlink(INodeNo, &OsStr, &Path; ReplyEntry) refused::CHANGE;
        link(INodeNo, INodeNo, &OsStr; ReplyEntry) refused::CHANGE;
        unlink(INodeNo, &OsStr; ReplyEmpty) refused::CHANGE;
        rmdir(INodeNo, &OsStr; ReplyEmpty) refused::CHANGE;
        rename(INodeNo, &OsStr, INodeNo, &OsStr, RenameFlags; ReplyEmpty) refused::CHANGE;
        fallocate(INodeNo, FileHandle, u64, u64, i32; ReplyEmpty) refused::CHANGE;
        copy_file_range(
            INodeNo, FileHandle, u64, INodeNo, FileHandle, u64, u64, CopyFileRangeFlags; ReplyWrite
        ) refused::CHANGE;
        setattr(
            INodeNo, Option<u32>, Option<u32>, Option<u32>, Option<u64>, Option<TimeOrNow>, Option<TimeOrNow>,
            Option<SystemTime>, Option<FileHandle>, Option<SystemTime>, Option<SystemTime>, Option<SystemTime>,
            Option<BsdFileFlags>; ReplyAttr
        ) refused::CHANGE;
        setxattr(INodeNo, &OsStr, &[u8], i32, u32; ReplyEmpty) refused::CHANGE;
        removexattr(INodeNo, &OsStr; ReplyEmpty) refused::CHANGE;
        getxattr(INodeNo, &OsStr, u32; ReplyXattr) refused::ATTRIBUTES;
        listxattr(INodeNo, u32; ReplyXattr) refused::ATTRIBUTES;
        readlink(INodeNo; ReplyData) refused::LINK;
    }
}

#[cfg(test)]
mod tests;
