//! One download, from its start to the image in the cache, or to the reason why that failed.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, DownloadId, Level, Problem, ProblemCode};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::DownloadError;
use super::meter::Meter;
use super::retry::{self, AfterFailure};
use super::{FetchRequest, Inner, interrupted, queued};
use crate::cache::{CacheError, Cached, Partial, Promise, Store};
use crate::remote::error::{Kind, RemoteError};
use crate::remote::transfer::{self, Mirror};
use crate::{random, report, task};

/// While another process downloads the same image, its progress is looked at this often. Waiting for the lock instead
/// could not be cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Another process that makes no progress for so long is taken for stuck: all its tries together take less time.
const STALLED: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: DownloadId,
    pub(super) key: Digest,
    pub(super) shown: watch::Sender<Download>,
    pub(super) cancel: CancellationToken,
    /// The number of interests. It changes only while the list of jobs is locked.
    pub(super) wanted_by: AtomicUsize,
    /// A person wants it until somebody cancels it.
    pub(super) is_kept: AtomicBool,
    outcome: watch::Sender<Option<Result<Cached, Problem>>>,
    meter: Mutex<Meter>,
}

impl Job {
    pub(super) fn new(wanted: &FetchRequest, cancel: CancellationToken) -> Self {
        Self {
            id: wanted.key.into(),
            key: wanted.key,
            shown: watch::Sender::new(queued(wanted)),
            cancel,
            wanted_by: AtomicUsize::new(0),
            is_kept: AtomicBool::new(false),
            outcome: watch::Sender::new(None),
            meter: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Download {
        self.shown.borrow().clone()
    }

    pub(super) fn is_over(&self) -> bool {
        self.shown.borrow().stage.is_over()
    }

    /// Waits for the end of the job. A shutdown of the `backend` ends the wait.
    pub(super) async fn outcome(&self, backend: &CancellationToken) -> Result<Cached, Problem> {
        let mut outcome = self.outcome.subscribe();
        let ended = backend.run_until_cancelled(outcome.wait_for(Option::is_some)).await;
        match ended {
            Some(Ok(result)) => result.clone().expect("waited for an outcome"),
            Some(Err(_)) | None => Err(interrupted(backend)),
        }
    }

    fn show(&self, inner: &Inner, change: impl FnOnce(&mut Download)) {
        self.shown.send_modify(change);
        inner.changes.send_modify(|n| *n += 1);
    }

    fn progress(&self, inner: &Inner, received: u64, total: Option<u64>) {
        let speed = {
            let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
            meter.record(Instant::now(), received);
            meter.speed()
        };
        self.show(inner, |shown| {
            shown.stage = DownloadStage::Downloading;
            measure(shown, received, total);
            shown.bytes_per_second = speed;
            let rest = total.map(|total| total.saturating_sub(received));
            shown.eta_seconds = rest.zip(speed).and_then(|(rest, speed)| rest.checked_div(speed));
        });
    }
}

/// Runs the job to its end, and publishes how it ended.
pub(super) async fn run(inner: &Inner, job: &Job, wanted: FetchRequest) {
    let result = job.cancel.run_until_cancelled(fetch(inner, job, wanted)).await;
    let result = result.unwrap_or_else(|| Err(interrupted(inner.scope.token())));
    job.show(inner, |shown| {
        shown.bytes_per_second = None;
        shown.eta_seconds = None;
        match &result {
            Ok(cached) => {
                shown.stage = DownloadStage::Cached;
                measure(shown, cached.size, Some(cached.size));
            }
            Err(problem) if problem.code == ProblemCode::Interrupted => shown.stage = DownloadStage::Cancelled,
            Err(problem) => {
                report::problem(Level::Warn, problem, &format!("the download of {} failed", shown.key));
                shown.stage = DownloadStage::Failed;
                shown.problem = Some(problem.clone());
            }
        }
    });
    job.outcome.send_replace(Some(result));
}

async fn fetch(inner: &Inner, job: &Job, wanted: FetchRequest) -> Result<Cached, Problem> {
    let FetchRequest { key, promise, mut mirrors } = wanted;
    let mut partial = match begin(inner, job, key).await? {
        Begun::Here(cached) => return Ok(cached),
        Begun::Partial(partial) => partial,
    };
    let mut last = None;
    let mut tries = 0;
    // Counts the tries in a row that brought no bytes.
    let mut backoff = inner.backoff.clone();
    while let Some(mirror) = mirrors.first().cloned() {
        tries += 1;
        let before = partial.received();
        job.show(inner, |shown| {
            shown.stage = DownloadStage::Connecting;
            shown.attempt = tries;
            shown.source = Some(mirror.server.clone());
            measure(shown, before, mirror.size);
        });
        let mut tell = |received, total| job.progress(inner, received, total);
        let error = match transfer::attempt(&inner.client, &mirror, &partial, &mut tell).await {
            Ok(()) => match verify(inner, job, &partial, promise, &mirror).await {
                Ok(cached) => return Ok(cached),
                Err(error) => error,
            },
            Err(error) => error,
        };
        tracing::info!(image.key = %key, server = %mirror.server, attempt = tries, %error, "a try to download failed");
        match retry::after(&error, before, partial.received(), &mut backoff, random::jitter) {
            AfterFailure::GiveUp => return Err(error.into()),
            AfterFailure::BeginAgain { drop_mirror } => {
                job.show(inner, |shown| measure(shown, 0, None));
                if drop_mirror {
                    mirrors.remove(0);
                }
                if !mirrors.is_empty() {
                    partial = match begin(inner, job, key).await? {
                        Begun::Here(cached) => return Ok(cached),
                        Begun::Partial(partial) => partial,
                    };
                }
            }
            AfterFailure::DiscardAndDropMirror => {
                partial.restart()?;
                job.show(inner, |shown| measure(shown, 0, None));
                mirrors.remove(0);
            }
            AfterFailure::NextMirrorAfter(wait) => {
                mirrors.rotate_left(1);
                job.show(inner, |shown| {
                    shown.stage = DownloadStage::Queued;
                    shown.attempt = tries + 1;
                });
                tokio::time::sleep(wait).await;
            }
            AfterFailure::DropMirror => drop(mirrors.remove(0)),
        }
        last = Some(error);
    }
    Err(last.map_or_else(|| DownloadError::NoServer(key).into(), Problem::from))
}

enum Begun {
    Here(Cached),
    Partial(Arc<Partial>),
}

/// Takes the lock. While another process holds it, this shows the progress of that process, and waits as long as there
/// is some.
async fn begin(inner: &Inner, job: &Job, key: Digest) -> Result<Begun, CacheError> {
    let (mut length, mut since) = (0, Instant::now());
    loop {
        let store = inner.store.clone();
        match task::blocking(move || begin_once(&store, &key)).await {
            Err(CacheError::Locked) => {
                let found =
                    inner.store.growing(&key).and_then(|file| file.metadata()).map_or(length, |file| file.len());
                if found != length {
                    (length, since) = (found, Instant::now());
                    job.show(inner, |shown| measure(shown, length, None));
                } else if since.elapsed() > STALLED {
                    return Err(CacheError::Locked);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            other => return other,
        }
    }
}

fn begin_once(store: &Store, key: &Digest) -> Result<Begun, CacheError> {
    if let Some(cached) = store.find(key)? {
        return Ok(Begun::Here(cached));
    }
    let partial = store.begin(key)?;
    // The process that held the lock before may have finished between the two lines above.
    Ok(store.find(key)?.map_or_else(|| Begun::Partial(Arc::new(partial)), Begun::Here))
}

async fn verify(
    inner: &Inner,
    job: &Job,
    partial: &Arc<Partial>,
    promise: Promise,
    mirror: &Mirror,
) -> Result<Cached, RemoteError> {
    job.show(inner, |shown| shown.stage = DownloadStage::Verifying);
    let (partial, server) = (partial.clone(), mirror.server.to_string());
    let committed = task::blocking(move || partial.commit(promise, Some(&server))).await;
    committed.map_err(|error| {
        let kind = match error {
            CacheError::Mismatch { expected, found } => Kind::Mismatch { expected, found },
            other => Kind::Cache(other),
        };
        RemoteError::new(&mirror.endpoint.name, kind)
    })
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn measure(shown: &mut Download, received: u64, total: Option<u64>) {
    shown.received = received;
    shown.total = total.or(shown.total);
    shown.percent = shown.total.filter(|total| *total > 0).map(|total| 100.0 * received as f64 / total as f64);
}
