//! An initramfs in the form that the kernel reads: a cpio archive in the `newc` format, uncompressed.
//!
//! It is written here because it takes thirty lines and `cpio` is not installed everywhere. Every time is 0 and every
//! owner is root, so the same input gives the same bytes.

use std::io::Write;

/// `S_IFDIR`, `S_IFREG`, `S_IFLNK`, `S_IFCHR` of `stat`.
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTERS: u32 = 0o020_000;

/// BusyBox, our `init`, and nothing else.
pub(super) fn busybox(program: &[u8]) -> Vec<u8> {
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
        archive.add(folder, FOLDER | 0o755, (0, 0), b"");
    }
    // The kernel opens it for init before anything is mounted on /dev.
    archive.add("dev/console", CHARACTERS | 0o600, (5, 1), b"");
    archive.add("bin/busybox", FILE | 0o755, (0, 0), program);
    archive.add("bin/sh", LINK | 0o777, (0, 0), b"busybox");
    archive.add("init", FILE | 0o755, (0, 0), include_bytes!("init"));
    archive.finish()
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inodes: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        let size = u32::try_from(content.len()).expect("a file of a sample is far below 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("names are literals");
        self.inodes += 1;
        let links = if mode & FOLDER == FOLDER { 2 } else { 1 };
        let fields = [self.inodes, mode, 0, 0, links, 0, size, 0, 0, major, minor, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            write!(self.bytes, "{field:08x}").expect("a vector takes every byte");
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.inodes = 0;
        self.add("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Name to mode and content, read as `Documentation/driver-api/early-userspace/buffer-format.rst` says.
    fn read(mut bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |n: usize| {
                let hex = std::str::from_utf8(&bytes[6 + 8 * n..14 + 8 * n]).unwrap();
                usize::try_from(u32::from_str_radix(hex, 16).unwrap()).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = std::str::from_utf8(&bytes[110..109 + name_size]).unwrap().to_owned();
            let start = (110 + name_size).next_multiple_of(4);
            let content = bytes[start..start + size].to_vec();
            bytes = &bytes[(start + size).next_multiple_of(4)..];
            if name == "TRAILER!!!" {
                assert!(bytes.is_empty());
                return files;
            }
            files.insert(name, (u32::try_from(mode).unwrap(), content));
        }
    }

    #[test]
    fn all_files_are_in_the_archive_whatever_their_length() {
        for length in 0..9 {
            let program: Vec<u8> = (0..length).collect();
            let files = read(&busybox(&program));
            assert_eq!(files["bin/busybox"], (FILE | 0o755, program));
            assert_eq!(files["bin/sh"], (LINK | 0o777, b"busybox".to_vec()));
            assert_eq!(files["init"].1, include_bytes!("init"));
            assert_eq!(files["dev/console"].0, CHARACTERS | 0o600);
            assert_eq!(files["proc"].0, FOLDER | 0o755);
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        assert_eq!(busybox(b"program"), busybox(b"program"));
    }
}
