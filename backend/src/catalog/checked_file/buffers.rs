//! Buffers that are used again and again.
//!
//! A new buffer of this size costs more than what is read into it: the system has to find its memory and to zero it, page
//! by page. Buffers that were just used are in the caches of the processor, too. So a few of them are kept.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// In bytes. A piece and what the system copies of it fit into the second cache of a processor.
pub(super) const SIZE: usize = 64 << 10;
/// How many are kept while nobody uses them: 4 MiB.
const KEPT: usize = 64;

static UNUSED: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// A buffer of [`SIZE`], with anything in it.
#[derive(Debug)]
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    pub(super) fn take() -> Self {
        // The last one that was given back is the one that a processor has in its cache.
        let kept = UNUSED.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(kept.unwrap_or_else(|| vec![0; SIZE].into()))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < KEPT {
            unused.push(std::mem::take(&mut self.0));
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
