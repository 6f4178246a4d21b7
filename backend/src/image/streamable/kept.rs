//! Decoded strips that are kept, and the one flight for each that is being decoded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::image::ImageError;

/// Strips that are kept: 16 MiB. A guest's file system comes back to the same few; a mount stays below 48 MiB.
const MOST: usize = 64;
/// Strips that are decoded ahead of a reader, at most: 2 MiB.
const MOST_AHEAD: usize = 8;

/// The payload of a strip, once it is decoded. Who decodes holds the lock, and so everyone else who wants it waits.
type Slot = Mutex<Option<Bytes>>;

#[derive(Debug)]
struct Place {
    strip: usize,
    /// A reader has been here; before that, it was only decoded ahead.
    read: bool,
    slot: Arc<Slot>,
}

#[derive(Debug)]
pub(in crate::image) struct Kept {
    /// Most recently used last.
    places: Mutex<VecDeque<Place>>,
    /// Strips, at most.
    most: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl Kept {
    pub(in crate::image) fn new(most: usize) -> Self {
        Self { places: Mutex::default(), most }
    }

    /// The payload of a strip; `decode` makes it if nobody has. A failure is not kept: the next one tries again.
    pub(super) fn get(
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

    /// The payload, if it is decoded.
    pub(super) fn ready(&self, strip: usize) -> Option<Bytes> {
        let slot = Arc::clone(&self.places().iter().find(|place| place.strip == strip)?.slot);
        // Who holds the lock decodes it.
        let payload = slot.try_lock().ok()?;
        payload.clone()
    }

    /// Notes that a reader reads this strip. When it is new to readers, gives how many strips to decode ahead: as many
    /// as there are behind it without a gap, so that who reads in order is run ahead of, further and further, and who
    /// reads here and there is not.
    pub(super) fn touch(&self, strip: usize) -> usize {
        let mut places = self.places();
        if let Some(mut place) = take(&mut places, strip) {
            let seen = std::mem::replace(&mut place.read, true);
            places.push_back(place);
            if seen {
                return 0;
            }
        }
        let behind = (0..strip).rev().take(MOST_AHEAD);
        behind.take_while(|strip| places.iter().any(|place| place.strip == *strip)).count()
    }

    fn slot(&self, strip: usize) -> Arc<Slot> {
        let mut places = self.places();
        let place = take(&mut places, strip).unwrap_or_else(|| {
            if places.len() >= self.most {
                places.pop_front();
            }
            Place { strip, read: false, slot: Arc::default() }
        });
        let slot = Arc::clone(&place.slot);
        places.push_back(place);
        slot
    }

    fn places(&self) -> MutexGuard<'_, VecDeque<Place>> {
        // A panic elsewhere cannot leave the list half-changed: it holds nothing that two changes must agree on.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(places: &mut VecDeque<Place>, strip: usize) -> Option<Place> {
    let found = places.iter().position(|place| place.strip == strip)?;
    places.remove(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_come_back_to_stays() {
        let kept = Kept::default();
        let read = |strip| {
            kept.touch(strip);
            kept.ready(strip).is_some() || kept.get(strip, || Ok(Bytes::new())).is_err()
        };
        assert!(!read(0));
        for other in 1..3 * MOST {
            assert!(!read(other), "nobody was here");
            assert!(read(0), "it is decoded once");
        }
        assert!(!read(1), "nobody came back to it");
    }
}
