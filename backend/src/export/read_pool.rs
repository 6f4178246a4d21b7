//! Reads an image for many clients at once. What is decoded already is answered on the thread that asks. A few threads
//! decode the rest, and decode ahead of clients that read in order.

use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use crate::image::{Image, ImageError, Segment};
use crate::task::Pool;

#[derive(Debug)]
pub(super) struct ReadPool {
    image: Arc<Image>,
    pool: Pool,
}

/// Why bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("this program has a fault")]
    Fault,
}

impl ReadPool {
    pub(super) fn new(image: Arc<Image>) -> io::Result<Self> {
        Ok(Self { image, pool: Pool::new("reader")? })
    }

    /// Passes the verified bytes of a range to `reply`, on this thread or another; see [`Image::read`]. The reply is
    /// dropped without a call when the reader is dropped first.
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

/// Runs the work for one request. A panic in it is an error of this request only.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(ReadError::Fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_one_request() {
        assert!(matches!(guarded::<()>(|| panic!("a fault")), Err(ReadError::Fault)));
    }
}
