//! The payload of strips on its way through threads: from who reads it to its hash and its file.
//!
//! A hash runs from a segment's first byte to its last, so it cannot be shared out; a thread of its own keeps it from
//! holding up the one that writes.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::scope;

use bytes::Bytes;
use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::strip::{BYTES, is_zero};

/// Strips that wait to be hashed.
const WAITING: usize = 4;
/// Buffers that wait for their next use, at most: 8 MiB.
const MOST_SPARE: usize = 32;

pub(super) static ZEROS: [u8; BYTES] = [0; BYTES];

/// Of one strip.
#[derive(Debug)]
pub(super) enum Payload {
    /// Nothing of it needs to be read, kept or written.
    Zeros,
    /// [`BYTES`] long.
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

/// Buffers that go round. Fresh memory costs a fault per page, about half as much as hashing what is put there.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// One that was given back, with what it held, or a new one.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// The same, [`BYTES`] long.
    pub(super) fn take_strip(&self) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.resize(BYTES, 0);
        buffer
    }

    /// What a whole strip's bytes are, which are given back where they need not be kept.
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

    /// Bytes that may be shared; when nobody has them any more, their buffer comes back.
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

/// Takes the payload of all segments in order.
pub(super) struct Hashing(SyncSender<(usize, Payload, usize)>);

impl Hashing {
    /// The first `used` bytes are the next ones of the segment at this place.
    pub(super) fn update(&self, place: usize, payload: Payload, used: usize) {
        // Its receiver ends by a panic only, which the end of `hashed` passes on.
        let _ = self.0.send((place, payload, used));
    }
}

/// Runs `feed`, and gives what it gave and the hashes of so many segments.
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
    fn segments_are_hashed_beside_each_other() {
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
    fn a_buffer_comes_back_when_nobody_has_its_bytes() {
        let buffers = Arc::new(Buffers::default());
        let bytes = buffers.lend(vec![7; 9]);
        let part = bytes.slice(3..5);
        drop(bytes);
        assert_eq!((&part[..], buffers.take().len()), (&[7, 7][..], 0));
        drop(part);
        assert_eq!(buffers.take(), [7; 9]);
    }
}
