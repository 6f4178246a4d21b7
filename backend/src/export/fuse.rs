//! A thin FUSE adapter over [`Tree`].
//!
//! Nothing ever changes, so the kernel may keep names, attributes and pages for as long as it likes. Files are opened
//! with NOFLUSH: without it, closing waits for an answer, and a process that dies while the mount hangs could not be
//! killed. The threads of the session only answer; what must be decoded first is decoded and answered by others.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use nix::unistd::{getgid, getuid};
use tokio_util::sync::CancellationToken;

use super::errno::refused;
use super::tree::{Inode, ROOT, Tree};

/// How long the kernel may keep names and attributes: for ever.
const TTL: Duration = Duration::from_secs(365 * 24 * 3600);
/// As `stat` shows it, and the unit of `df`.
const BLOCK: u32 = 4096;
/// The most that the kernel requests at once: a strip, because the reply then needs no copy.
const LARGEST_READ: u32 = 256 << 10;

pub(super) struct Adapter {
    tree: Tree,
    /// What all files have in common. Their owner is the user who mounts.
    template: FileAttr,
    /// A program may try to read a bad strip thousands of times; it is logged once.
    warned: Arc<AtomicBool>,
    /// Cancelled when the kernel has unmounted the image.
    over: CancellationToken,
}

impl Adapter {
    pub(super) fn new(tree: Tree, over: CancellationToken) -> Self {
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
    /// For a reply whose bytes are in several places. There is one per thread.
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
        // This limits reads too. A kernel that refuses it keeps its own limit; a reply may then be copied from several strips.
        let _ = config.set_max_write(LARGEST_READ);
        Ok(())
    }

    fn destroy(&mut self) {
        self.over.cancel();
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        // A name that is not UTF-8 is not the name of a file here.
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

    // Access, flush, fsync, seeking, locks and polling keep the library's ENOSYS, which makes the kernel do them itself
    // and never ask again.
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
