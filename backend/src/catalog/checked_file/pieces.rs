//! The bytes of a file on their way to a client.
//!
//! What the system has in memory is read at once: that takes less time than handing the work to another thread, and never
//! waits for a disk.
//!
//! A piece is in memory until the client has taken it. The first piece of each response always has its place. More of them
//! may wait together, which saves waking the task for each of them, as long as all responses together do not have too many.
//! So thousands of clients that take nothing cost one piece each.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use rustix::fs::{Advice, fadvise};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::CheckedFile;
use super::buffers::{self, Buffer};
use crate::task::blocking_within;

/// A file that gives no byte for so long is on a disk or a share that hangs.
const READ_WITHIN: Duration = Duration::from_secs(15);
/// How much a disk is told to bring at once.
const AHEAD: u64 = 1 << 20;

/// Pieces of all responses together beyond the first of each: 64 MiB.
const MORE: usize = (64 << 20) / buffers::SIZE;

static PLACES_FOR_MORE: Semaphore = Semaphore::const_new(MORE);

/// The place of a piece.
#[expect(dead_code, reason = "a place is free when this is dropped")]
enum Place {
    First(OwnedSemaphorePermit),
    More(SemaphorePermit<'static>),
}

/// Bytes that were read, until they are sent.
struct Piece {
    buffer: Buffer,
    length: usize,
    /// It is dropped after the buffer, which is then free for the next piece.
    _place: Place,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl CheckedFile {
    /// The bytes of a range in pieces, or an error instead of the rest. Whoever keeps pieces may get no more of them.
    pub fn pieces(self, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send {
        self.pieces_within(range, &PLACES_FOR_MORE)
    }

    fn pieces_within(
        self,
        range: Range<u64>,
        more: &'static Semaphore,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let first = Arc::new(Semaphore::new(1));
        stream::try_unfold((self, range, first), move |(file, rest, first)| async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let place = place(&first, more).await;
            let (buffer, length) = file.next(&rest).await?;
            let rest = rest.start + length as u64..rest.end;
            Ok(Some((Bytes::from_owner(Piece { buffer, length, _place: place }), (file, rest, first))))
        })
    }

    /// The first bytes of a range that is not empty.
    async fn next(&self, rest: &Range<u64>) -> io::Result<(Buffer, usize)> {
        let length = usize::try_from(rest.end - rest.start).unwrap_or(usize::MAX).min(buffers::SIZE);
        let mut buffer = Buffer::take();
        if let Some(count) = self.0.read_from_memory(rest.start, &mut buffer[..length]) {
            return Ok((buffer, count));
        }
        let (reader, Range { start, end }) = (self.clone(), rest.clone());
        let read = blocking_within(READ_WITHIN, move || {
            // It is advice: without it only the speed is another one.
            let _ = fadvise(&reader.0.file, start, std::num::NonZeroU64::new(AHEAD.min(end - start)), Advice::WillNeed);
            reader.0.read(start, &mut buffer[..length]).map(|()| buffer)
        });
        Ok((read.await.ok_or(io::ErrorKind::TimedOut)??, length))
    }
}

async fn place(first: &Arc<Semaphore>, more: &'static Semaphore) -> Place {
    if let Ok(place) = first.clone().try_acquire_owned() {
        return Place::First(place);
    }
    if let Ok(place) = more.try_acquire() {
        return Place::More(place);
    }
    Place::First(first.clone().acquire_owned().await.expect("the semaphore is never closed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::open_regular;
    use futures_util::{FutureExt, StreamExt, TryStreamExt};
    use pixelrts_shared::Digest;
    use std::pin::pin;

    fn opened(bytes: &[u8]) -> (tempfile::TempDir, CheckedFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rts.png");
        std::fs::write(&path, bytes).unwrap();
        let hashed = open_regular(&path).unwrap().1;
        let file = CheckedFile::of_folder(&path, Digest::new([7; 32]), &hashed).unwrap().unwrap();
        (folder, file)
    }

    #[tokio::test]
    async fn pieces_are_the_range_in_order() {
        let bytes: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
        let (_folder, file) = opened(&bytes);
        for range in [0..bytes.len(), 5..bytes.len() - 1, 300_000..300_000, 0..1] {
            let wanted = range.start as u64..range.end as u64;
            let mut found = Vec::new();
            let mut pieces = pin!(file.clone().pieces(wanted));
            while let Some(piece) = pieces.try_next().await.unwrap() {
                found.extend_from_slice(&piece);
            }
            assert_eq!(found, bytes[range]);
        }
    }

    #[tokio::test]
    async fn clients_that_take_nothing_cost_one_piece_each_and_a_few_more_together() {
        static ONE_MORE: Semaphore = Semaphore::const_new(1);
        let (_folder, file) = opened(&[7; 300_000]);
        let mut pieces = pin!(file.clone().pieces_within(0..300_000, &ONE_MORE));
        let first = pieces.next().await.unwrap().unwrap();
        let second = pieces.next().await.unwrap().unwrap();
        assert!(pieces.next().now_or_never().is_none(), "there is no place for a third one");
        let mut others = pin!(file.pieces_within(0..300_000, &ONE_MORE));
        let other = others.next().await.unwrap().unwrap();
        assert!(others.next().now_or_never().is_none(), "the other client has the place for more");
        let part = first.slice(1..9);
        drop(first);
        assert!(pieces.next().now_or_never().is_none(), "a part of the first piece is still in use");
        drop(part);
        let third = pieces.next().await.unwrap().unwrap();
        drop(second);
        let fourth = pieces.next().await.unwrap().unwrap();
        assert_eq!([&third[..], &fourth[..], &other[..]].concat(), vec![7; 3 * buffers::SIZE]);
    }
}
