//! One try with one server, and what its bytes are once all of them are here.

use std::sync::Arc;

use pixelrts_shared::download::DownloadStage;

use super::Work;
use crate::cache::{CacheError, Cached, Partial, Promise};
use crate::remote::error::{Kind, RemoteError};
use crate::remote::transfer::{self, Failure, Mirror, Outcome, Seen, Try, Validator};
use crate::task;

/// How a try ended without a failure of the transfer.
pub(super) enum Ended {
    Cached(Cached),
    /// The copy that is here is what the server has.
    Unchanged,
    /// The bytes are complete, but wrong, and none of them were kept.
    Wrong(RemoteError),
}

impl Work<'_> {
    pub(super) async fn attempt(
        &self,
        partial: &Arc<Partial>,
        mirror: &Mirror,
        hurries: bool,
        seen: &mut Seen,
    ) -> Result<Ended, Failure> {
        let validator = self.copy.as_ref().and_then(|copy| Validator::parse(copy.validator.as_deref()?));
        let this = Try {
            client: &self.inner.client,
            mirror,
            partial,
            promise: match self.promise {
                Promise::Digest(digest) => Some(digest),
                Promise::Checked(_) => None,
            },
            limit: self.inner.store.max_size(),
            copy: validator.as_ref(),
            hurries,
            timing: self.inner.timing,
        };
        let mut tell = |received, total| self.job.progress(self.inner, received, total);
        match this.run(seen, &mut tell).await? {
            Outcome::Unchanged => Ok(Ended::Unchanged),
            Outcome::Complete => self.verify(partial, mirror).await,
        }
    }

    async fn verify(&self, partial: &Arc<Partial>, mirror: &Mirror) -> Result<Ended, Failure> {
        self.job.show(self.inner, |shown| shown.stage = DownloadStage::Verifying);
        let (whole, server, promise, key) = (partial.clone(), mirror.server.to_string(), self.promise, self.key);
        let committed = task::blocking(move || {
            let (remade, validator) = (transfer::remade(&whole), whole.validator());
            let cached = whole.commit(promise, Some(&server)).map_err(|error| (error, remade))?;
            if matches!(promise, Promise::Checked(_)) {
                whole.store().remember_address(&key, &cached.digest, validator.as_deref());
            }
            Ok(cached)
        });
        let error = |kind| RemoteError::new(&mirror.endpoint.name, kind);
        match committed.await {
            Ok(cached) => Ok(Ended::Cached(cached)),
            Err((CacheError::Mismatch { expected, found }, remade)) => {
                Ok(Ended::Wrong(error(remade.unwrap_or(Kind::Mismatch { expected, found }))))
            }
            Err((problem @ CacheError::NotAnImage(_), _)) => Ok(Ended::Wrong(error(Kind::Cache(problem)))),
            Err((other, _)) => Err(error(Kind::Cache(other)).into()),
        }
    }
}
