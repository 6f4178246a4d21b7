//! A real mount of a real image, read as any program would.

use super::*;
use std::fs::{File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::unistd::getuid;
use pixelrts_shared::catalog::Role;

use crate::image::{Effort, Limits, Pack, SegmentFile};

/// Bytes that do not repeat within a strip, so that a wrong place is seen.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    (0..length as u64).map(|i| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// An image with a kernel of a bit more than two strips, and an initrd.
fn packed(dir: &Path) -> (PathBuf, Vec<u8>, Vec<u8>) {
    let (kernel, initrd) = (bytes(600_001, 1), bytes(7, 2));
    std::fs::write(dir.join("k"), &kernel).unwrap();
    std::fs::write(dir.join("i"), &initrd).unwrap();
    let source = |name: &str, role, file: &str| SegmentFile { name: name.to_owned(), role, path: dir.join(file) };
    let segments = vec![source("vmlinuz", Role::Kernel, "k"), source("initrd.img", Role::Initrd, "i")];
    let pack = Pack { segments, effort: Effort::None, ..Pack::default() };
    let path = dir.join("image.rts.png");
    pack.write(&path, &mut |_, _| {}).unwrap();
    (path, kernel, initrd)
}

fn mounted(image: &Path, dir: &Path) -> Mount {
    Mount::new(Arc::new(Image::open_file(image, &Limits::default()).unwrap()), &dir.join("mnt")).unwrap()
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

#[test]
fn every_segment_is_a_file_with_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, kernel, initrd) = packed(dir.path());
    let mount = mounted(&path, dir.path());
    let mut names: Vec<_> = std::fs::read_dir(mount.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["initrd.img", "metadata.json", "vmlinuz"]);
    assert_eq!(std::fs::read(mount.path().join("initrd.img")).unwrap(), initrd);
    let json = std::fs::read_to_string(mount.path().join("metadata.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["segments"]["vmlinuz"]["size"], 600_001);

    // Odd places first, so that no page is there from reading it all.
    let file = File::open(mount.path().join("vmlinuz")).unwrap();
    for (offset, length) in [(600_000, 10), (262_143, 2), (1, 1), (524_287, 5), (262_144, 262_145), (600_001, 4)] {
        let mut buffer = vec![0; length];
        let read = file.read_at(&mut buffer, offset).unwrap();
        let from = usize::try_from(offset).unwrap();
        assert_eq!(buffer[..read], kernel[from..kernel.len().min(from + length)], "{offset}");
    }
    let mut all = Vec::new();
    (&file).seek(SeekFrom::Start(0)).unwrap();
    (&file).read_to_end(&mut all).unwrap();
    assert_eq!(all, kernel);
}

#[test]
fn it_is_read_only_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ..) = packed(dir.path());
    let mount = mounted(&path, dir.path());
    assert_eq!(errno(File::create(mount.path().join("new"))), nix::libc::EROFS);
    let file = mount.path().join("vmlinuz");
    assert_eq!(errno(File::options().write(true).open(&file)), nix::libc::EROFS);
    assert_eq!(errno(std::fs::rename(&file, mount.path().join("new"))), nix::libc::EROFS);
    assert_eq!(errno(std::fs::set_permissions(&file, Permissions::from_mode(0o777))), nix::libc::EROFS);
    assert_eq!(errno(std::fs::remove_file(&file)), nix::libc::EROFS);
    let found = std::fs::metadata(&file).unwrap();
    assert_eq!((found.mode(), found.uid(), found.mtime()), (0o100_444, getuid().as_raw(), 0));
    assert_eq!(std::fs::metadata(mount.path()).unwrap().mode(), 0o040_555);
    assert_eq!(errno(File::open(mount.path().join("none"))), nix::libc::ENOENT);
    assert_eq!(errno(std::fs::read_link(mount.path().join("vmlinuz"))), nix::libc::EINVAL);
    assert_eq!(errno(std::fs::read_dir(mount.path().join("vmlinuz"))), nix::libc::ENOTDIR);
}

#[test]
fn a_flipped_byte_is_an_error_in_its_strip_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let (path, kernel, _) = packed(dir.path());
    let image = Image::open_file(&path, &Limits::default()).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    drop(image);
    // Strips are stored one after the other: the middle of the file is in the second of four.
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, size * 3 / 8).unwrap();
    file.write_all_at(&[byte[0] ^ 1], size * 3 / 8).unwrap();

    let mount = mounted(&path, dir.path());
    let file = File::open(mount.path().join("vmlinuz")).unwrap();
    let mut buffer = vec![0; 4096];
    assert_eq!(errno(file.read_at(&mut buffer, 300_000)), nix::libc::EIO);
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 4096);
    assert_eq!(buffer, kernel[..4096]);
    // The session lives: the same error again, and other files.
    assert_eq!(errno(file.read_at(&mut buffer, 300_000)), nix::libc::EIO);
    assert!(std::fs::read(mount.path().join("initrd.img")).is_ok());
}

#[test]
fn dropping_it_unmounts_also_while_a_file_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ..) = packed(dir.path());
    let mount = mounted(&path, dir.path());
    let point = mount.path().to_owned();
    let is_mounted = || {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        table.lines().any(|line| line.split(' ').nth(4) == point.to_str())
    };
    let file = File::open(point.join("vmlinuz")).unwrap();
    assert!(is_mounted());
    drop(mount);
    assert!(!is_mounted());
    assert!(file.read_at(&mut [0; 16], 500_000).is_err());
    std::fs::remove_dir(&point).unwrap();
}

#[tokio::test]
async fn dropping_one_that_somebody_else_unmounted_leaves_the_next_one_there() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _, initrd) = packed(dir.path());
    let first = mounted(&path, dir.path());
    umount2(first.path(), MntFlags::empty()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), first.ended()).await.unwrap();
    let second = mounted(&path, dir.path());
    drop(first);
    assert_eq!(std::fs::read(second.path().join("initrd.img")).unwrap(), initrd);
}

/// A file system of somebody else at this place, until it is dropped.
struct Stranger<'a>(&'a Path);

impl<'a> Stranger<'a> {
    fn at(place: &'a Path) -> Self {
        mount(Some("stranger"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        Self(place)
    }

    fn is_there(&self) -> bool {
        std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .lines()
            .any(|line| line.split(' ').nth(4) == self.0.to_str() && line.contains(" - tmpfs stranger "))
    }
}

impl Drop for Stranger<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn what_somebody_else_mounted_over_it_or_below_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (path, ..) = packed(dir.path());
    let place = dir.path().join("mnt");
    std::fs::create_dir(&place).unwrap();

    let below = Stranger::at(&place);
    drop(mounted(&path, dir.path()));
    assert!(below.is_there());
    drop(below);

    let ours = mounted(&path, dir.path());
    let over = Stranger::at(&place);
    drop(ours);
    assert!(over.is_there());
    drop(over);
    // It ends with its process, which is this one here.
    umount2(&place, MntFlags::MNT_DETACH).unwrap();
}
