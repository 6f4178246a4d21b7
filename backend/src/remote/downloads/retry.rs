//! What a download does after a failed try, and how long it waits before the next one. Pure.
//!
//! After a failure that may be temporary (a timeout, a broken connection, a 5xx) the next mirror is tried, up to 3 times
//! in a row. After any other failure that mirror is not used again.

use std::time::Duration;

use pixelrts_shared::backoff::Backoff;

use crate::remote::error::{Kind, RemoteError};

/// Waits between tries of one image; progress begins them again. With jitter they are 1, 2 and 4 s on average.
#[must_use]
pub fn backoff() -> Backoff {
    Backoff::exponential(Duration::from_secs(2), 2, Duration::from_secs(8)).retries(3)
}

/// What is to be done after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// The download has failed.
    GiveUp,
    /// The bytes were the wrong ones and are gone.
    BeginAgain { drop_mirror: bool },
    /// The bytes are useless: they are thrown away, and the mirror is not used again.
    DiscardAndDropMirror,
    /// The mirror is not used again.
    DropMirror,
    /// After this time the next mirror is tried, and this one comes last.
    NextMirrorAfter(Duration),
}

/// `before` and `received` are the bytes that were here before the try and after it. `backoff` counts the tries in a
/// row that brought no bytes; `jitter` is a random number for it.
pub(super) fn after(
    error: &RemoteError,
    before: u64,
    received: u64,
    backoff: &mut Backoff,
    jitter: impl FnOnce() -> u32,
) -> AfterFailure {
    match &error.kind {
        // Another server would not help: the disk stays the same.
        Kind::Cache(_) => AfterFailure::GiveUp,
        // Nothing is kept. When the download was resumed, the old bytes may have been the wrong ones, so this server
        // gets one more try from the first byte.
        Kind::Mismatch { .. } => AfterFailure::BeginAgain { drop_mirror: before == 0 },
        Kind::Length { .. } => AfterFailure::DiscardAndDropMirror,
        _ if error.is_retryable() => {
            if received > before {
                backoff.reset();
            }
            backoff.failed(jitter()).map_or(AfterFailure::GiveUp, AfterFailure::NextMirrorAfter)
        }
        _ => AfterFailure::DropMirror,
    }
}

#[cfg(test)]
mod tests {
    use pixelrts_shared::Digest;
    use pixelrts_shared::text::Text;

    use super::*;

    fn decided(kind: Kind, before: u64, received: u64, backoff: &mut Backoff) -> AfterFailure {
        after(&RemoteError::new("office", kind), before, received, backoff, || u32::MAX)
    }

    fn wrong_bytes() -> Kind {
        Kind::Mismatch { expected: Digest::new([1; 32]), found: Digest::new([2; 32]) }
    }

    #[test]
    fn after_three_retries_without_a_new_byte_the_download_gives_up() {
        let mut backoff = backoff().without_jitter();
        let mut broken = |received| decided(Kind::Interrupted(Text::default()), 0, received, &mut backoff);
        let waits = |seconds: u64| AfterFailure::NextMirrorAfter(Duration::from_secs(seconds));
        assert_eq!([0; 4].map(&mut broken), [waits(2), waits(4), waits(8), AfterFailure::GiveUp]);
        assert_eq!(broken(1), waits(2), "bytes arrived");
    }

    #[test]
    fn a_mirror_with_wrong_bytes_gets_another_try_only_if_old_bytes_may_have_been_wrong() {
        let mut backoff = backoff();
        assert_eq!(decided(wrong_bytes(), 5, 9, &mut backoff), AfterFailure::BeginAgain { drop_mirror: false });
        assert_eq!(decided(wrong_bytes(), 0, 9, &mut backoff), AfterFailure::BeginAgain { drop_mirror: true });
        let length = Kind::Length { expected: 9, found: 8 };
        assert_eq!(decided(length, 5, 8, &mut backoff), AfterFailure::DiscardAndDropMirror);
        assert_eq!(decided(Kind::Denied(403), 0, 0, &mut backoff), AfterFailure::DropMirror);
    }
}
