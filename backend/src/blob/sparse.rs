//! A file that holds only some of its bytes: the others come from another blob, and are stored once they are verified.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLock};

use rangemap::RangeSet;

use super::Blob;

/// A blob whose bytes are partly in a file. Its length is that of the upstream blob.
#[derive(Debug)]
pub struct SparseBlob {
    file: File,
    /// Ranges of the file that hold verified bytes.
    present: RwLock<RangeSet<u64>>,
    /// Where bytes that are not in the file come from.
    upstream: Box<dyn Blob>,
}

impl SparseBlob {
    /// `file` is open for reading and writing. Its ranges `present` hold bytes that were verified before.
    pub fn new(file: File, present: impl IntoIterator<Item = Range<u64>>, upstream: Box<dyn Blob>) -> Self {
        Self { file, present: RwLock::new(present.into_iter().collect()), upstream }
    }

    /// The ranges whose verified bytes are in the file.
    #[must_use]
    pub fn present(&self) -> RangeSet<u64> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[cfg(test)]
    pub(crate) fn damage(&self, offset: u64) {
        self.file.write_all_at(&[0xff; 64], offset).unwrap();
    }

    /// How far, from the start of `wanted`, all bytes are present or all are missing; and which of the two it is.
    fn run(&self, wanted: Range<u64>) -> (u64, bool) {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        match present.overlapping(&wanted).next() {
            Some(here) if here.start <= wanted.start => (here.end.min(wanted.end), true),
            Some(later) => (later.start, false),
            None => (wanted.end, false),
        }
    }
}

impl Blob for SparseBlob {
    fn len(&self) -> u64 {
        self.upstream.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = offset.saturating_add(buffer.len() as u64).min(self.len());
        if end <= offset {
            return Ok(0);
        }
        let (end, here) = self.run(offset..end);
        let count = usize::try_from(end - offset).map_or(buffer.len(), |count| count.min(buffer.len()));
        let buffer = &mut buffer[..count];
        if here { self.file.read_at(buffer, offset) } else { self.upstream.read_at(buffer, offset) }
    }

    /// Stores the bytes. Reads that happen meanwhile still ask the upstream blob, and so do later ones if storing fails.
    fn verified(&self, bytes: &[u8], offset: u64) {
        let range = offset..offset.saturating_add(bytes.len() as u64);
        if range.is_empty() || self.run(range.clone()) == (range.end, true) {
            return;
        }
        match self.file.write_all_at(bytes, offset) {
            Ok(()) => self.present.write().unwrap_or_else(PoisonError::into_inner).insert(range),
            Err(error) => tracing::warn!(%error, offset, "verified bytes of an image cannot be stored"),
        }
    }

    /// Forgets the bytes, so that the next read asks the upstream blob, which may have other servers to ask.
    fn invalidated(&self, range: Range<u64>) -> bool {
        if !range.is_empty() {
            self.present.write().unwrap_or_else(PoisonError::into_inner).remove(range.clone());
        }
        self.upstream.invalidated(range);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::MemoryBlob;
    use proptest::prelude::*;

    fn sparse(bytes: &[u8], present: &[Range<u64>]) -> SparseBlob {
        let file = tempfile::tempfile().unwrap();
        for range in present {
            // What is in the file differs from the upstream blob, so that a read shows where its bytes come from.
            let here: Vec<u8> = bytes.get(at(range)).unwrap().iter().map(|byte| !byte).collect();
            file.write_all_at(&here, range.start).unwrap();
        }
        SparseBlob::new(file, present.to_vec(), Box::new(MemoryBlob::from(bytes.to_vec())))
    }

    fn at(range: &Range<u64>) -> Range<usize> {
        usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
    }

    proptest! {
        #[test]
        fn each_byte_comes_from_the_file_or_from_upstream(
            bytes in prop::collection::vec(any::<u8>(), 1..300),
            cuts in prop::collection::vec(0_u64..300, 0..8),
            offset in 0_u64..320,
            count in 0_usize..320,
        ) {
            let length = bytes.len() as u64;
            let mut cuts = cuts;
            cuts.sort_unstable();
            let present: Vec<_> = cuts
                .chunks_exact(2)
                .map(|cut| cut[0].min(length)..cut[1].min(length))
                .filter(|range| !range.is_empty())
                .collect();
            let blob = sparse(&bytes, &present);
            let mut buffer = vec![0; count];
            let outcome = blob.read_exact_at(&mut buffer, offset);
            prop_assert_eq!(outcome.is_ok(), count == 0 || offset + count as u64 <= length);
            if outcome.is_ok() {
                for (place, byte) in (offset..).zip(&buffer) {
                    let here = present.iter().any(|range| range.contains(&place));
                    let expected = bytes[usize::try_from(place).unwrap()];
                    prop_assert_eq!(*byte, if here { !expected } else { expected });
                }
            }
        }
    }

    #[test]
    fn verified_bytes_are_stored_and_invalidated_ones_are_forgotten() {
        let blob = sparse(b"origin", &[]);
        blob.verified(b"IGI", 2);
        blob.verified(b"", 5);
        let read = |blob: &SparseBlob| {
            let mut buffer = [0; 6];
            blob.read_exact_at(&mut buffer, 0).unwrap();
            buffer
        };
        assert_eq!(&read(&blob), b"orIGIn");
        assert_eq!(blob.present().iter().cloned().collect::<Vec<_>>(), vec![2..5]);
        assert!(blob.invalidated(3..4));
        assert_eq!(&read(&blob), b"orIgIn");
    }
}
