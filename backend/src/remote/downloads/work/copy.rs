//! The copy of what an address had, when its server has nothing newer or cannot say so.

use super::Work;
use crate::cache::{AddressCopy, Cached};
use crate::remote::error::{Kind, RemoteError};
use crate::task;

/// The server, or the way to it, may be at fault and not the address.
fn may_be_away(error: &RemoteError) -> bool {
    error.is_retryable() || matches!(error.kind, Kind::WebPage { .. } | Kind::AnotherPicture(_) | Kind::Tls(_))
}

/// The server answers, and gives the image no more.
fn is_withheld(error: &RemoteError) -> bool {
    matches!(error.kind, Kind::Denied(_) | Kind::NotFound(_) | Kind::Gone(_))
}

/// After this failure the copy is used.
pub(super) fn may_stand_in(error: &RemoteError) -> bool {
    may_be_away(error) || is_withheld(error)
}

impl Work<'_> {
    /// The copy in the cache is used. `failed`: why the server could not say whether it is the newest.
    pub(super) async fn use_copy(&self, copy: AddressCopy, failed: Option<&RemoteError>) -> Cached {
        match failed {
            Some(error @ RemoteError { server, kind }) => {
                let why = if is_withheld(error) {
                    format!("{server} does not give the image any more ({kind})")
                } else {
                    format!("{server} cannot be asked for the image")
                };
                let note = format!(
                    "{why}, so the copy on this computer is used. The server had the same one on {}.",
                    copy.checked_at
                );
                tracing::info!(image.digest = %copy.cached.digest, "{note}");
                self.job.note.get_or_init(|| note);
            }
            None => {
                let (store, key, digest) = (self.inner.store.clone(), self.key, copy.cached.digest);
                let validator = copy.validator.clone();
                task::blocking(move || store.remember_address(&key, &digest, validator.as_deref())).await;
            }
        }
        copy.cached
    }
}
