//! Where a decoded payload is kept: a small one in memory, a larger one in a file without a name.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::blob::Blob;
use crate::files::temporary_folders;
use crate::image::strip::is_zero;

/// A payload of up to this many bytes is kept in memory.
const IN_MEMORY: u64 = 16 << 20;

#[derive(Debug)]
pub(in crate::image) enum Payload {
    Memory(Vec<u8>),
    File { file: File, size: u64, folder: PathBuf },
}

impl Payload {
    /// Makes a payload of `size` bytes, all of them 0. The caller has compared the size with its limits.
    pub(super) fn new(size: u64) -> io::Result<Self> {
        if let Some(size) = usize::try_from(size).ok().filter(|_| size <= IN_MEMORY) {
            return Ok(Self::Memory(vec![0; size]));
        }
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for folder in temporary_folders() {
            match tempfile::tempfile_in(&folder).and_then(|file| file.set_len(size).map(|()| file)) {
                Ok(file) => return Ok(Self::File { file, size, folder }),
                Err(error) => failed = about(&error, &folder),
            }
        }
        Err(failed)
    }

    /// Writes the bytes from `offset` on, as far as they fit. Nothing was written there before, so zeros stay a hole.
    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let rest = self.len().saturating_sub(offset);
        let bytes = &bytes[..usize::try_from(rest).map_or(bytes.len(), |rest| rest.min(bytes.len()))];
        match self {
            Self::Memory(payload) => {
                if let Some(place) = usize::try_from(offset).ok().and_then(|offset| payload.get_mut(offset..)) {
                    place[..bytes.len()].copy_from_slice(bytes);
                }
                Ok(())
            }
            Self::File { .. } if is_zero(bytes) => Ok(()),
            Self::File { file, folder, .. } => file.write_all_at(bytes, offset).map_err(|error| about(&error, folder)),
        }
    }
}

impl Blob for Payload {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(payload) => payload.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Memory(payload) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| payload.get(offset..)).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            Self::File { file, .. } => file.read_at(buffer, offset),
        }
    }
}

/// Adds the folder to an error, so that the message says which disk is full or cannot be written.
fn about(error: &io::Error, folder: &Path) -> io::Error {
    let folder = folder.display();
    io::Error::new(error.kind(), format!("its payload is kept in {folder} (TMPDIR changes that): {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_give_what_was_written_and_nothing_beyond() {
        for size in [1000, IN_MEMORY, IN_MEMORY + 1000] {
            let mut payload = Payload::new(size).unwrap();
            assert_eq!((payload.len(), matches!(payload, Payload::File { .. })), (size, size > IN_MEMORY));
            payload.write_at(&[7; 500], size - 300).unwrap();
            payload.write_at(&[7; 500], size + 300).unwrap();
            let mut found = [1; 500];
            assert_eq!(payload.read_at(&mut found, size - 400).unwrap(), 400);
            assert_eq!((&found[..100], &found[100..400], found[400]), (&[0; 100][..], &[7; 300][..], 1));
            assert_eq!(payload.read_at(&mut found, size).unwrap(), 0);
        }
    }
}
