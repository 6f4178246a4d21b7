//! A cache of decoded strips. Each strip is decoded by one reader, and others that need it wait for the result.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::image::ImageError;

/// How many strips are kept: 16 MiB. A guest's file system returns to the same few, and a mount stays below 48 MiB.
const MOST: usize = 64;
/// How many strips are decoded ahead of a reader at most: 2 MiB.
const MOST_AHEAD: usize = 8;

/// The payload of a strip, once it is decoded. The reader that decodes it holds the lock, so all others wait.
type Slot = Mutex<Option<Bytes>>;

#[derive(Debug)]
struct CachedStrip {
    strip: usize,
    /// A reader has read this strip. Before that, it was only decoded ahead.
    read: bool,
    slot: Arc<Slot>,
}

#[derive(Debug)]
pub(in crate::image) struct StripCache {
    /// Most recently used last.
    strips: Mutex<VecDeque<CachedStrip>>,
    /// How many strips are kept at most.
    most: usize,
}

impl Default for StripCache {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl StripCache {
    pub(in crate::image) fn new(most: usize) -> Self {
        Self { strips: Mutex::default(), most }
    }

    /// The payload of a strip. `decode` makes it if it is not there. A failure is not kept, so the next reader tries again.
    pub(in crate::image) fn get(
        &self,
        strip: usize,
        decode: impl FnOnce() -> Result<Bytes, ImageError>,
    ) -> Result<Bytes, ImageError> {
        let slot = self.slot(strip);
        let mut payload = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(payload) = &*payload {
            return Ok(payload.clone());
        }
        let decoded = decode()?;
        *payload = Some(decoded.clone());
        Ok(decoded)
    }

    /// The payload of a strip, if it is decoded already.
    pub(in crate::image) fn ready(&self, strip: usize) -> Option<Bytes> {
        let slot = Arc::clone(&self.strips().iter().find(|cached| cached.strip == strip)?.slot);
        // If the lock is held, the strip is being decoded.
        let payload = slot.try_lock().ok()?;
        payload.clone()
    }

    /// Notes that a reader reads this strip, and returns how many strips to decode ahead of it. When a strip is read for
    /// the first time, these are as many as the cache has directly before it. So decoding runs further and further ahead
    /// of a reader that reads in order, and not at all ahead of one that reads here and there.
    pub(in crate::image) fn touch(&self, strip: usize) -> usize {
        let mut strips = self.strips();
        if let Some(mut cached) = take(&mut strips, strip) {
            let seen = std::mem::replace(&mut cached.read, true);
            strips.push_back(cached);
            if seen {
                return 0;
            }
        }
        let behind = (0..strip).rev().take(MOST_AHEAD);
        behind.take_while(|strip| strips.iter().any(|cached| cached.strip == *strip)).count()
    }

    fn slot(&self, strip: usize) -> Arc<Slot> {
        let mut strips = self.strips();
        let cached = take(&mut strips, strip).unwrap_or_else(|| {
            if strips.len() >= self.most {
                strips.pop_front();
            }
            CachedStrip { strip, read: false, slot: Arc::default() }
        });
        let slot = Arc::clone(&cached.slot);
        strips.push_back(cached);
        slot
    }

    fn strips(&self) -> MutexGuard<'_, VecDeque<CachedStrip>> {
        // A panic cannot leave the list in a wrong state, because no two changes of it depend on each other.
        self.strips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(strips: &mut VecDeque<CachedStrip>, strip: usize) -> Option<CachedStrip> {
    let found = strips.iter().position(|cached| cached.strip == strip)?;
    strips.remove(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_that_readers_return_to_stay_in_the_cache() {
        let cache = StripCache::default();
        let read = |strip| {
            cache.touch(strip);
            cache.ready(strip).is_some() || cache.get(strip, || Ok(Bytes::new())).is_err()
        };
        assert!(!read(0));
        for other in 1..3 * MOST {
            assert!(!read(other), "nobody has read this strip");
            assert!(read(0), "the strip is decoded once");
        }
        assert!(!read(1), "nobody returned to this strip");
    }
}
