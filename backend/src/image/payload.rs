//! The payload of strips on its way between threads: from the reader to the hash and to the file.
//!
//! The hash of a segment runs from its first byte to its last, so several threads cannot share the work. It has a thread
//! of its own, so that it does not delay the thread that writes.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::strip::{BYTES, is_zero};
use crate::task::scope;

/// How many strips may wait to be hashed.
const WAITING: usize = 4;
/// How many buffers are kept for their next use at most: 8 MiB.
const MOST_SPARE: usize = 32;

pub(super) static ZEROS: [u8; BYTES] = [0; BYTES];

/// The payload of one strip.
#[derive(Debug)]
pub(super) enum Payload {
    /// All bytes are zero, so that nothing needs to be read, stored or written.
    Zeros,
    /// These are [`BYTES`] bytes.
    Bytes(Vec<u8>),
}

impl Payload {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Zeros => &ZEROS,
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Buffers that are used again. Fresh memory costs a page fault per page, which is about half as much as hashing the
/// bytes that are put there.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Takes a buffer that was given back, with its old content, or a new one.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Like [`take`](Self::take), with a length of [`BYTES`].
    pub(super) fn take_strip(&self) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.resize(BYTES, 0);
        buffer
    }

    /// Makes a payload of a whole strip's bytes. The buffer is given back at once if all of them are zero.
    pub(super) fn payload(&self, bytes: Vec<u8>) -> Payload {
        if is_zero(&bytes) {
            self.give(bytes);
            Payload::Zeros
        } else {
            Payload::Bytes(bytes)
        }
    }

    pub(super) fn give(&self, buffer: Vec<u8>) {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MOST_SPARE {
            spare.push(buffer);
        }
    }

    pub(super) fn give_payload(&self, payload: Payload) {
        if let Payload::Bytes(bytes) = payload {
            self.give(bytes);
        }
    }

    /// Makes bytes that can be shared. When the last user drops them, the buffer comes back.
    pub(super) fn lend(self: &Arc<Self>, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, owner: Arc::clone(self) })
    }
}

struct Lent {
    buffer: Vec<u8>,
    owner: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.owner.give(std::mem::take(&mut self.buffer));
    }
}

/// Takes the payloads to hash, for each segment in order.
pub(super) struct Hashing(SyncSender<(usize, Payload, usize)>);

impl Hashing {
    /// The first `used` bytes of the payload are the next ones of the segment at this place in the list.
    pub(super) fn update(&self, place: usize, payload: Payload, used: usize) {
        // The receiver ends early only by a panic, which `hashed` passes on at its end.
        let _ = self.0.send((place, payload, used));
    }
}

/// Runs `feed`, and returns its result with the hashes of so many segments.
pub(super) fn hashed<T, E>(
    segments: usize,
    buffers: &Buffers,
    feed: impl FnOnce(&Hashing) -> Result<T, E>,
) -> Result<(T, Vec<Digest>), E> {
    scope(|scope| {
        let (to, parts) = sync_channel::<(usize, Payload, usize)>(WAITING);
        let thread = scope.spawn(move || {
            let mut hashes: Vec<Sha256> = vec![Sha256::new(); segments];
            for (place, payload, used) in parts {
                hashes[place].update(&payload.bytes()[..used]);
                buffers.give_payload(payload);
            }
            hashes.into_iter().map(|hash| Digest::new(hash.finalize().into())).collect()
        });
        let hashing = Hashing(to);
        let outcome = feed(&hashing);
        drop(hashing);
        let digests = thread.join().expect("hashing does not panic");
        Ok((outcome?, digests))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_segments_are_hashed_at_the_same_time() {
        let buffers = Buffers::default();
        let (said, digests) = hashed(3, &buffers, |hashing| {
            let mut strip = buffers.take_strip();
            strip[..3].copy_from_slice(b"abc");
            hashing.update(2, Payload::Bytes(strip), 3);
            hashing.update(0, Payload::Zeros, 7);
            hashing.update(0, Payload::Zeros, BYTES);
            Ok::<_, ()>("said")
        })
        .unwrap();
        assert_eq!(said, "said");
        let expected = [&vec![0; 7 + BYTES][..], b"", b"abc"].map(|bytes| Digest::new(Sha256::digest(bytes).into()));
        assert_eq!(digests, expected);
        assert_eq!(buffers.take().len(), BYTES, "the buffer came back");
        assert_eq!(hashed(1, &buffers, |_| Err::<(), _>(5)).unwrap_err(), 5);
    }

    #[test]
    fn a_buffer_comes_back_when_its_last_user_drops_it() {
        let buffers = Arc::new(Buffers::default());
        let bytes = buffers.lend(vec![7; 9]);
        let part = bytes.slice(3..5);
        drop(bytes);
        assert_eq!((&part[..], buffers.take().len()), (&[7, 7][..], 0));
        drop(part);
        assert_eq!(buffers.take(), [7; 9]);
    }
}
