//! Bytes at offsets: what an image is read from.
//!
//! Positioned reads need no cursor, so one blob serves many readers at once without a lock. A blob is not trusted: it
//! claims a length, and the reader checks every byte that it gets. The reader reports the result of the check to the
//! blob, so that a blob that stores bytes from elsewhere stores only verified ones.

mod sparse;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Whence, lseek};
pub use sparse::SparseBlob;

/// Bytes that can be read at any offset, by many threads at once.
pub trait Blob: Send + Sync + std::fmt::Debug {
    /// The length in bytes. It does not change while the blob exists.
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads at most `buffer.len()` bytes from `offset` on, and returns how many. 0 means the end (or an empty buffer).
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Whether all bytes of this range are known to be 0 without reading them, as in a hole of a file.
    fn is_hole(&self, _range: Range<u64>) -> bool {
        false
    }

    /// Fills the buffer, or fails with [`ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buffer = &mut buffer[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The reader reports that these bytes have the hash that they should have. From now on the blob may store them.
    fn verified(&self, _bytes: &[u8], _offset: u64) {}

    /// The reader reports that these bytes have a wrong hash. Returns true when reading again may give other bytes,
    /// because they come from elsewhere.
    fn invalidated(&self, _range: Range<u64>) -> bool {
        false
    }
}

/// A file, read with `pread`.
#[derive(Debug)]
pub struct FileBlob {
    file: File,
    len: u64,
}

impl FileBlob {
    /// Opens a file or a block device. Anything else is refused, because it has no bytes at offsets.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Opening a pipe without a writer would wait for one.
        let mut file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !(kind.is_file() || kind.is_block_device()) {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is neither a file nor a block device"));
        }
        // The length comes from seeking, because the metadata of a block device says 0.
        let len = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, len })
    }

    /// The bytes of a file that is open already.
    pub fn of(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    /// The same open file, once more.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, len: self.len })
    }
}

impl Blob for FileBlob {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn is_hole(&self, range: Range<u64>) -> bool {
        let Ok(start) = range.start.try_into() else { return false };
        match lseek(&self.file, start, Whence::SeekData) {
            Ok(data) => u64::try_from(data).is_ok_and(|data| data >= range.end),
            // From here to the current end of the file there is only a hole.
            Err(Errno::ENXIO) => self.file.metadata().is_ok_and(|now| now.len() >= range.end),
            // This file system or device does not know its holes.
            Err(_) => false,
        }
    }
}

/// Bytes in memory.
#[derive(Debug)]
pub struct MemoryBlob(Vec<u8>);

impl From<Vec<u8>> for MemoryBlob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Blob for MemoryBlob {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Reads a blob from front to back, for libraries that expect a stream.
#[derive(Debug)]
pub struct Reader<'a> {
    blob: &'a dyn Blob,
    position: u64,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(blob: &'a dyn Blob) -> Self {
        Self { blob, position: 0 }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.blob.len().checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = target.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        #[test]
        fn file_and_memory_give_the_same_bytes(bytes: Vec<u8>, offset in 0_u64..200, count in 0_usize..200) {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let blobs: [Box<dyn Blob>; 2] =
                [Box::new(FileBlob::open(file.path()).unwrap()), Box::new(MemoryBlob::from(bytes.clone()))];
            let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            for blob in blobs {
                prop_assert_eq!(blob.len(), bytes.len() as u64);
                let mut buffer = vec![0; count];
                match blob.read_exact_at(&mut buffer, offset) {
                    Ok(()) => prop_assert_eq!(&buffer[..], &rest[..count]),
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                        prop_assert!(rest.len() < count);
                    }
                }
            }
        }
    }

    #[test]
    fn folders_pipes_and_terminals_are_not_blobs() {
        assert_eq!(FileBlob::open(Path::new("/")).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(FileBlob::open(Path::new("/dev/zero")).unwrap_err().kind(), ErrorKind::InvalidInput);
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(FileBlob::open(&pipe).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
