//! Reads of an image for many at once: what is decoded already is answered at once by who asks; a few threads decode
//! the rest, and run ahead of who reads in order.

use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use crate::image::{Image, ImageError, Segment};
use crate::task::Pool;

#[derive(Debug)]
pub(super) struct Reader {
    image: Arc<Image>,
    pool: Pool,
}

/// Why there are no bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("a fault of this program")]
    Fault,
}

impl Reader {
    pub(super) fn new(image: Arc<Image>) -> io::Result<Self> {
        Ok(Self { image, pool: Pool::new("reader")? })
    }

    /// Gives the verified bytes of a range to `reply`, here or on another thread; see [`Image::read`]. A reply that
    /// is dropped: the reader went before its turn came.
    pub(super) fn read(
        &self,
        segment: &Arc<Segment>,
        range: Range<u64>,
        reply: impl FnOnce(Result<Vec<Bytes>, ReadError>) + Send + 'static,
    ) {
        match self.image.ready(segment, range.clone()) {
            Some(pieces) => reply(Ok(pieces)),
            None => {
                let (image, segment, range) = (Arc::clone(&self.image), Arc::clone(segment), range.clone());
                self.pool.run(move || reply(guarded(|| Ok(image.read(&segment, range)?))));
            }
        }
        for strip in self.image.ahead(segment, range) {
            let image = Arc::clone(&self.image);
            self.pool.run_spare(move || image.prepare(strip));
        }
    }
}

/// Runs an answer; a panic in it is an error of this one request.
pub(super) fn guarded<T>(answer: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or(Err(ReadError::Fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_an_answer_is_an_error_of_one_request() {
        assert!(matches!(guarded::<()>(|| panic!("a fault of ours")), Err(ReadError::Fault)));
    }
}
