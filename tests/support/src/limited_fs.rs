//! A file system for tests that lacks what some network file systems lack: a passthrough to a folder, through FUSE.
//!
//! It can refuse locks and shared memory, report that its disk is full, fail every change from a moment on (as a power cut
//! does), and it records the changes that it sees, in their order.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLock, ReplyOpen, ReplyStatfs, ReplyWrite, Request, Session,
    TimeOrNow, WriteFlags,
};
use nix::fcntl::OFlag;

/// The kernel asks again each time, so that tests see what is there.
const TTL: Duration = Duration::ZERO;

/// What the file system lacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lacks {
    /// Locks are refused with this error, as in `libc::ENOLCK`.
    pub locks: Option<i32>,
    /// Files cannot be mapped as shared memory.
    pub shared_memory: bool,
}

/// A mounted file system, until it is dropped.
#[derive(Debug)]
pub struct LimitedFs {
    mount: tempfile::TempDir,
    /// The files as they really are.
    below: tempfile::TempDir,
    state: Arc<State>,
    session: Option<BackgroundSession>,
}

#[derive(Debug, Default)]
struct State {
    /// Changes in their order: `write data`, `fsync data`, `rename data x`, `fsyncdir remote`.
    changes: Mutex<Vec<String>>,
    /// So many more changes are possible; then every one fails.
    left: Mutex<Option<(u64, i32)>>,
    /// What `statfs` reports: free bytes and free entries.
    free: Mutex<Option<(u64, u64)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Notes a change, or fails as was asked.
    fn change(&self, what: impl FnOnce() -> String) -> io::Result<()> {
        if let Some((left, errno)) = &mut *locked(&self.left) {
            if *left == 0 {
                return Err(io::Error::from_raw_os_error(*errno));
            }
            *left -= 1;
        }
        locked(&self.changes).push(what());
        Ok(())
    }
}

impl LimitedFs {
    /// Mounts one. It needs `/dev/fuse` and the right to mount.
    pub fn mount(lacks: Lacks) -> io::Result<Self> {
        let (mount, below) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let state = Arc::<State>::default();
        let files = Passthrough::new(below.path(), lacks, state.clone())?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("limited".to_owned())];
        config.n_threads = Some(2);
        let session = Session::new(files, mount.path(), &config)?.spawn()?;
        Ok(Self { mount, below, state, session: Some(session) })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mount.path()
    }

    /// The folder that really has the files.
    #[must_use]
    pub fn below(&self) -> &Path {
        self.below.path()
    }

    /// The changes since the last call.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.state.changes))
    }

    /// Lets so many more changes happen; after them each one fails with this error. `None`: all happen.
    pub fn fail_after(&self, changes: Option<(u64, i32)>) {
        *locked(&self.state.left) = changes;
    }

    /// What `df` sees: free bytes and free entries for files.
    pub fn report_free(&self, free: Option<(u64, u64)>) {
        *locked(&self.state.free) = free;
    }
}

impl Drop for LimitedFs {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

/// A file or folder that the kernel knows.
#[derive(Debug)]
struct Node {
    /// Opened as a path only: it names the file whatever happens to its name.
    file: File,
    name: String,
    lookups: u64,
}

#[derive(Debug)]
struct Passthrough {
    lacks: Lacks,
    state: Arc<State>,
    root: u64,
    nodes: Mutex<HashMap<u64, Node>>,
    handles: Mutex<HashMap<u64, Arc<File>>>,
    next: AtomicU64,
}

impl Passthrough {
    fn new(root: &Path, lacks: Lacks, state: Arc<State>) -> io::Result<Self> {
        let file = open_path(root)?;
        let root = file.metadata()?.ino();
        let nodes = Mutex::new(HashMap::from([(root, Node { file, name: "/".to_owned(), lookups: 1 })]));
        Ok(Self { lacks, state, root, nodes, handles: Mutex::default(), next: AtomicU64::new(1) })
    }

    fn real(&self, inode: INodeNo) -> u64 {
        if inode == INodeNo::ROOT { self.root } else { inode.0 }
    }

    /// A path that leads to the file by its descriptor.
    fn place(&self, inode: INodeNo) -> io::Result<PathBuf> {
        let nodes = locked(&self.nodes);
        let node = nodes.get(&self.real(inode)).ok_or_else(|| io::Error::from_raw_os_error(nix::libc::ESTALE))?;
        Ok(PathBuf::from(format!("/proc/self/fd/{}", node.file.as_raw_fd())))
    }

    fn name(&self, inode: INodeNo) -> String {
        locked(&self.nodes).get(&self.real(inode)).map(|node| node.name.clone()).unwrap_or_default()
    }

    fn metadata(&self, inode: INodeNo) -> io::Result<Metadata> {
        let nodes = locked(&self.nodes);
        nodes.get(&self.real(inode)).ok_or_else(|| io::Error::from_raw_os_error(nix::libc::ESTALE))?.file.metadata()
    }

    fn attributes(&self, found: &Metadata) -> FileAttr {
        let time = |seconds: i64, ns: i64| {
            let (seconds, ns) = (u64::try_from(seconds).unwrap_or_default(), u64::try_from(ns).unwrap_or_default());
            UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(ns)
        };
        let kind = found.file_type();
        let kind = match () {
            () if kind.is_dir() => FileType::Directory,
            () if kind.is_symlink() => FileType::Symlink,
            () if kind.is_socket() => FileType::Socket,
            () => FileType::RegularFile,
        };
        let mtime = time(found.mtime(), found.mtime_nsec());
        FileAttr {
            ino: if found.ino() == self.root { INodeNo::ROOT } else { INodeNo(found.ino()) },
            size: found.len(),
            blocks: found.blocks(),
            atime: time(found.atime(), found.atime_nsec()),
            mtime,
            ctime: time(found.ctime(), found.ctime_nsec()),
            crtime: mtime,
            kind,
            perm: u16::try_from(found.mode() & 0o7777).unwrap_or_default(),
            nlink: u32::try_from(found.nlink()).unwrap_or(1),
            uid: found.uid(),
            gid: found.gid(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// What the kernel learns of a name. It then knows the file until it forgets it.
    fn entry(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let file = open_path(&self.place(parent)?.join(name))?;
        let found = file.metadata()?;
        let name = name.to_string_lossy().into_owned();
        let mut nodes = locked(&self.nodes);
        let node = nodes.entry(found.ino()).or_insert(Node { file, name: name.clone(), lookups: 0 });
        node.lookups += 1;
        node.name = name;
        Ok(self.attributes(&found))
    }

    fn handle(&self, file: File) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.handles).insert(number, Arc::new(file));
        FileHandle(number)
    }

    fn file(&self, handle: FileHandle) -> io::Result<Arc<File>> {
        let handles = locked(&self.handles);
        handles.get(&handle.0).cloned().ok_or_else(|| io::Error::from_raw_os_error(nix::libc::EBADF))
    }

    /// Memory of files without the kernel's cache cannot be shared.
    fn how(&self) -> FopenFlags {
        if self.lacks.shared_memory { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::empty() }
    }

    fn set(
        &self,
        inode: INodeNo,
        mode: Option<u32>,
        size: Option<u64>,
        times: [Option<TimeOrNow>; 2],
    ) -> io::Result<FileAttr> {
        let place = self.place(inode)?;
        if let Some(mode) = mode {
            fs::set_permissions(&place, fs::Permissions::from_mode(mode & 0o7777))?;
        }
        if let Some(size) = size {
            self.state.change(|| format!("truncate {} {size}", self.name(inode)))?;
            OpenOptions::new().write(true).open(&place)?.set_len(size)?;
        }
        let at = |time: Option<TimeOrNow>| {
            time.map(|time| match time {
                TimeOrNow::SpecificTime(time) => time,
                TimeOrNow::Now => SystemTime::now(),
            })
        };
        let [accessed, modified] = times.map(at);
        if accessed.is_some() || modified.is_some() {
            let mut times = FileTimes::new();
            times = accessed.map_or(times, |time| times.set_accessed(time));
            times = modified.map_or(times, |time| times.set_modified(time));
            File::open(&place)?.set_times(times)?;
        }
        Ok(self.attributes(&self.metadata(inode)?))
    }
}

fn open_path(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlag::O_PATH | OFlag::O_NOFOLLOW).bits()).open(path)
}

fn errno(error: io::Error) -> Errno {
    Errno::from(error)
}

fn answer(reply: ReplyEmpty, work: impl FnOnce() -> io::Result<()>) {
    match work() {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(error)),
    }
}

impl Filesystem for Passthrough {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Without these the kernel keeps locks itself.
        if self.lacks.locks.is_some() {
            let _ = config.add_capabilities(InitFlags::FUSE_POSIX_LOCKS | InitFlags::FUSE_FLOCK_LOCKS);
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.entry(parent, name) {
            Ok(found) => reply.entry(&TTL, &found, Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn forget(&self, _: &Request, inode: INodeNo, lookups: u64) {
        let mut nodes = locked(&self.nodes);
        let real = self.real(inode);
        if let Some(node) = nodes.get_mut(&real) {
            node.lookups = node.lookups.saturating_sub(lookups);
            if node.lookups == 0 && real != self.root {
                nodes.remove(&real);
            }
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.metadata(inode) {
            Ok(found) => reply.attr(&TTL, &self.attributes(&found)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        match self.set(inode, mode, size, [accessed, modified]) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let make = || {
            self.state.change(|| format!("mkdir {}", name.to_string_lossy()))?;
            fs::DirBuilder::new().mode(mode).create(self.place(parent)?.join(name))?;
            self.entry(parent, name)
        };
        match make() {
            Ok(found) => reply.entry(&TTL, &found, Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, || {
            self.state.change(|| format!("unlink {}", name.to_string_lossy()))?;
            fs::remove_file(self.place(parent)?.join(name))
        });
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(reply, || {
            self.state.change(|| format!("rmdir {}", name.to_string_lossy()))?;
            fs::remove_dir(self.place(parent)?.join(name))
        });
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        answer(reply, || {
            self.state.change(|| format!("rename {} {}", name.to_string_lossy(), new.to_string_lossy()))?;
            fs::rename(self.place(parent)?.join(name), self.place(to)?.join(new))
        });
    }

    fn link(&self, _: &Request, inode: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let make = || {
            self.state.change(|| format!("link {}", name.to_string_lossy()))?;
            let (from, to) = (self.place(inode)?, self.place(parent)?.join(name));
            nix::unistd::linkat(
                nix::fcntl::AT_FDCWD,
                &from,
                nix::fcntl::AT_FDCWD,
                &to,
                nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW,
            )?;
            self.entry(parent, name)
        };
        match make() {
            Ok(found) => reply.entry(&TTL, &found, Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn open(&self, _: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let write = flags.0 & nix::libc::O_ACCMODE != nix::libc::O_RDONLY;
        let opened = self.place(inode).and_then(|place| OpenOptions::new().read(true).write(write).open(place));
        match opened {
            Ok(file) => reply.opened(self.handle(file), self.how()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, flags: i32, reply: ReplyCreate) {
        let make = || {
            self.state.change(|| format!("create {}", name.to_string_lossy()))?;
            let new = flags & nix::libc::O_EXCL != 0;
            let mut options = OpenOptions::new();
            options.read(true).write(true).mode(mode).create(!new).create_new(new);
            let file = options.open(self.place(parent)?.join(name))?;
            Ok::<_, io::Error>((self.entry(parent, name)?, self.handle(file)))
        };
        match make() {
            Ok((found, handle)) => reply.created(&TTL, &found, Generation(0), handle, self.how()),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut buffer = vec![0; size as usize];
        match self.file(handle).and_then(|file| file.read_at(&mut buffer, offset)) {
            Ok(count) => reply.data(&buffer[..count]),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let write = || {
            self.state.change(|| format!("write {}", self.name(inode)))?;
            self.file(handle)?.write_all_at(data, offset)
        };
        match write() {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(reply, || self.state.change(|| format!("fsync {}", self.name(inode))));
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(reply, || self.state.change(|| format!("fsyncdir {}", self.name(inode))));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        locked(&self.handles).remove(&handle.0);
        reply.ok();
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let list = || {
            let mut list: Vec<_> = fs::read_dir(self.place(inode)?)?.collect::<io::Result<_>>()?;
            list.sort_by_key(fs::DirEntry::file_name);
            Ok::<_, io::Error>(list)
        };
        let list = match list() {
            Ok(list) => list,
            Err(error) => return reply.error(errno(error)),
        };
        for (at, entry) in (1..).zip(&list).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            let Ok(found) = entry.metadata() else { continue };
            let attributes = self.attributes(&found);
            if reply.add(attributes.ino, at, attributes.kind, entry.file_name()) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (bytes, files) = locked(&self.state.free).unwrap_or((1 << 40, 1 << 20));
        reply.statfs(1 << 30, bytes / 4096, bytes / 4096, 1 << 30, files, 4096, 255, 4096);
    }

    fn getlk(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: LockOwner,
        _: u64,
        _: u64,
        _: i32,
        _: u32,
        reply: ReplyLock,
    ) {
        reply.error(Errno::from_i32(self.lacks.locks.unwrap_or(nix::libc::ENOSYS)));
    }

    fn setlk(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: LockOwner,
        _: u64,
        _: u64,
        _: i32,
        _: u32,
        _: bool,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::from_i32(self.lacks.locks.unwrap_or(nix::libc::ENOSYS)));
    }
}
