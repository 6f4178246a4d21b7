//! Who wants a download.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pixelrts_shared::Problem;
use pixelrts_shared::download::Download;
use tokio::sync::watch;

use super::Downloads;
use super::job::Job;
use crate::cache::Cached;

/// Somebody wants a download. It ends with the last interest in it, and the bytes that have arrived are kept.
#[derive(Debug)]
#[must_use = "the download ends when nobody wants it"]
pub struct Interest {
    downloads: Downloads,
    job: Arc<Job>,
}

impl Interest {
    /// Call it while the list of jobs is locked: a job that is found there must not end before it is counted here.
    pub(super) fn new(downloads: Downloads, job: Arc<Job>) -> Self {
        job.wanted_by.fetch_add(1, Ordering::Relaxed);
        Self { downloads, job }
    }

    /// The interest is that of a person and lasts until somebody cancels the download.
    pub(super) fn keep(&self) {
        self.job.is_kept.store(true, Ordering::Relaxed);
    }

    /// The state of the download.
    #[must_use]
    pub fn now(&self) -> Download {
        self.job.now()
    }

    /// The progress from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Download> {
        self.job.shown.subscribe()
    }

    /// The number of all interests in this download.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.job.wanted_by.load(Ordering::Relaxed)
    }

    /// What a person should know about the image that came, once it is here.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        self.job.note.get().cloned()
    }

    /// Waits until the download is over.
    pub async fn outcome(&self) -> Result<Cached, Problem> {
        self.job.outcome(self.downloads.0.scope.token()).await
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let _jobs = self.downloads.jobs();
        let was_last = self.job.wanted_by.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last && !self.job.is_kept.load(Ordering::Relaxed) {
            self.job.cancel.cancel();
        }
    }
}
