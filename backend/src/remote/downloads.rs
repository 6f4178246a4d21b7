//! Downloads: there is one per image, however many callers want it.
//!
//! Which server a job asks next, and what follows when one fails, is decided in `sources`. Progress is a
//! `watch`, so that readers get the newest state and never a backlog. A job goes on as long as somebody wants it: whoever
//! waits for the image holds an [`Interest`], and a person's request counts until somebody cancels the download. A job
//! that nobody wants ends, and the bytes that have arrived are kept.

mod error;
mod interest;
mod job;
mod meter;
mod sources;
mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pixelrts_shared::backoff::Backoff;
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, DownloadId, Problem};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::transfer::{Mirror, Timing};
use crate::cache::{Cached, Listed, Promise, Store};
use crate::task::Scope;
use error::DownloadError;
pub use interest::Interest;
use job::Job;
pub use sources::backoff;

/// Jobs that are over stay in the list, so that a shell that is opened later shows how they ended.
const MOST_LISTED: usize = 100;

/// Clones share the jobs.
#[derive(Clone, Debug)]
pub struct Downloads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    client: Client,
    scope: Scope,
    backoff: Backoff,
    timing: Timing,
    jobs: Mutex<Vec<Arc<Job>>>,
    changes: watch::Sender<u64>,
}

/// What a download needs to know.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The digest where it is known, else a hash of the address.
    pub key: Digest,
    pub promise: Promise,
    /// In the order in which they are tried.
    pub mirrors: Vec<Mirror>,
    /// What servers call the image, to be remembered with it.
    pub listed: Vec<Listed>,
}

impl Downloads {
    /// `scope` owns the jobs; `backoff` is that of [`backoff()`], and `timing` the default, but in tests.
    #[must_use]
    pub fn new(store: Store, client: Client, scope: Scope, backoff: Backoff, timing: Timing) -> Self {
        let changes = watch::Sender::new(0);
        Self(Arc::new(Inner { store, client, scope, backoff, timing, jobs: Mutex::default(), changes }))
    }

    /// A number that grows with every change of any download.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Starts a download for a person, or joins the one that is under way. It goes on until somebody cancels it.
    pub fn start(&self, wanted: FetchRequest) -> Download {
        let interest = self.join(wanted);
        interest.keep();
        interest.now()
    }

    /// Starts or joins a download, which goes on as long as the interest is held.
    pub fn join(&self, wanted: FetchRequest) -> Interest {
        let mut jobs = self.jobs();
        let under_way = |job: &&Arc<Job>| job.key == wanted.key && !job.is_over() && !job.cancel.is_cancelled();
        if let Some(job) = jobs.iter().find(under_way) {
            return Interest::new(self.clone(), job.clone());
        }
        jobs.retain(|job| job.key != wanted.key);
        while jobs.len() >= MOST_LISTED {
            let Some(oldest) = jobs.iter().position(|job| job.is_over()) else { break };
            jobs.remove(oldest);
        }
        let job = Arc::new(Job::new(&wanted, self.0.scope.token().child_token()));
        jobs.push(job.clone());
        let interest = Interest::new(self.clone(), job.clone());
        drop(jobs);
        let inner = self.0.clone();
        self.0.scope.spawn(async move { work::run(&inner, &job, wanted).await });
        interest
    }

    /// Starts or joins a download and waits until the image is here. Whoever stops waiting does not want it any more.
    pub async fn fetch(&self, wanted: FetchRequest) -> Result<Cached, Problem> {
        self.join(wanted).outcome().await
    }

    /// All downloads, the newest last.
    #[must_use]
    pub fn list(&self) -> Vec<Download> {
        self.jobs().iter().map(|job| job.now()).collect()
    }

    /// The progress of one download, from now on.
    pub fn watch(&self, id: &DownloadId) -> Result<watch::Receiver<Download>, Problem> {
        Ok(self.job(id)?.shown.subscribe())
    }

    /// Ends a download, whoever wants it, and keeps the bytes that have arrived. A download that is over is removed from
    /// the list.
    pub fn cancel(&self, id: &DownloadId) -> Result<(), Problem> {
        let job = self.job(id)?;
        if job.is_over() {
            self.jobs().retain(|other| other.key != job.key);
        }
        job.cancel.cancel();
        self.0.changes.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Takes a download of this image that is over out of the list.
    pub fn forget_ended(&self, key: &Digest) {
        self.jobs().retain(|job| job.key != *key || !job.is_over());
        self.0.changes.send_modify(|n| *n += 1);
    }

    fn job(&self, id: &DownloadId) -> Result<Arc<Job>, Problem> {
        self.jobs().iter().find(|job| job.id == *id).cloned().ok_or_else(|| DownloadError::NotFound(id.clone()).into())
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Arc<Job>>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A download before anything has happened.
fn queued(wanted: &FetchRequest) -> Download {
    Download {
        id: wanted.key.into(),
        key: wanted.key,
        stage: DownloadStage::Queued,
        received: 0,
        total: wanted.mirrors.first().and_then(|mirror| mirror.size),
        percent: None,
        bytes_per_second: None,
        eta_seconds: None,
        source: None,
        attempt: 1,
        next_try_seconds: None,
        waits_for: None,
        problem: None,
    }
}

/// Why a wait for a download ended without an image.
fn interrupted(token: &CancellationToken) -> Problem {
    if token.is_cancelled() { DownloadError::ShuttingDown.into() } else { DownloadError::Cancelled.into() }
}

#[cfg(test)]
mod tests;
