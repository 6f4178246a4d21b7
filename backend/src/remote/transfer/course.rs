//! Where an image ends that nobody has promised, by what its own bytes say.
//!
//! A body without an announced length could fill the disk, and one with a wrong length would be asked for without end.
//! The bytes say earlier than the server does what can still come.

use std::sync::Arc;

use crate::cache::{CacheError, Partial};
use crate::image::{ChunkWalk, Found};
use crate::remote::error::Kind;
use crate::task;

/// Some programs append a little to a picture. More behind its end is a body without an end.
const SLACK: u64 = 64 << 10;

/// The chunks of an image, followed while they arrive.
#[derive(Debug, Default)]
pub(super) struct Course {
    walk: ChunkWalk,
    /// Room was made for the whole.
    pub(super) has_room: bool,
}

impl Course {
    /// Follows what is in the file already.
    pub(super) async fn follow(&mut self, partial: &Arc<Partial>) -> Result<(), CacheError> {
        let (mut walk, partial) = (std::mem::take(&mut self.walk), partial.clone());
        let walked = task::blocking(move || {
            let mut buffer = [0; 64];
            while walk.found() == Found::GoesOn && walk.wants() < partial.received() {
                let at = walk.wants();
                match partial.read_at(&mut buffer, at)? {
                    0 => break,
                    count => walk.feed(at, &buffer[..count]),
                }
            }
            Ok(walk)
        });
        walked.await.map(|walk| self.walk = walk)
    }

    pub(super) fn feed(&mut self, at: u64, bytes: &[u8]) {
        self.walk.feed(at, bytes);
    }

    /// Where the image has ended.
    pub(super) fn end(&self) -> Option<u64> {
        match self.walk.found() {
            Found::End(end) => Some(end),
            Found::GoesOn | Found::Broken(_) => None,
        }
    }

    /// The size of the whole, give or take a few bytes, as soon as its index has said it.
    pub(super) fn size(&self) -> Option<u64> {
        self.walk.size()
    }

    /// Why the bytes before `at` are no image and not the beginning of one. `announced`: the server has said how many
    /// come, so that they end anyway.
    pub(super) fn fault(&self, at: u64, announced: bool) -> Option<Kind> {
        let end = at.saturating_sub(if announced { u64::MAX } else { SLACK });
        let fault = self.walk.fault(end)?;
        Some(Kind::Cache(CacheError::NotAnImage(Box::new(fault.into()))))
    }
}
