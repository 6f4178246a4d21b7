//! The state of one download, as others see it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, DownloadId, Level, Problem, ProblemCode};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::meter::Meter;
use super::{FetchRequest, Inner, interrupted, queued};
use crate::cache::Cached;
use crate::report;

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
    /// What a person should know about the image that came.
    pub(super) note: OnceLock<String>,
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
            note: OnceLock::new(),
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

    pub(super) fn show(&self, inner: &Inner, change: impl FnOnce(&mut Download)) {
        self.shown.send_modify(change);
        inner.changes.send_modify(|n| *n += 1);
    }

    pub(super) fn progress(&self, inner: &Inner, received: u64, total: Option<u64>) {
        let (speed, left) = {
            let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
            meter.record(Instant::now(), received);
            (meter.speed(), total.and_then(|total| meter.time_for(total.saturating_sub(received))))
        };
        self.show(inner, |shown| {
            shown.stage = DownloadStage::Downloading;
            (shown.next_try_seconds, shown.waits_for, shown.problem) = (None, None, None);
            measure(shown, received, total);
            shown.bytes_per_second = speed;
            shown.eta_seconds = left;
        });
    }

    /// Publishes how the job ended.
    pub(super) fn finish(&self, inner: &Inner, result: Result<Cached, Problem>) {
        self.show(inner, |shown| {
            shown.bytes_per_second = None;
            shown.eta_seconds = None;
            (shown.next_try_seconds, shown.waits_for, shown.problem) = (None, None, None);
            match &result {
                Ok(cached) => {
                    shown.stage = DownloadStage::Cached;
                    measure(shown, cached.size, Some(cached.size));
                }
                Err(problem) if problem.code == ProblemCode::Interrupted => shown.stage = DownloadStage::Cancelled,
                Err(problem) => {
                    // Somebody who waits for it gets the problem, and tells it.
                    let level = if self.is_kept.load(Ordering::Relaxed) { Level::Warn } else { Level::Info };
                    report::problem(level, problem, &format!("the download of {} failed", shown.key));
                    shown.stage = DownloadStage::Failed;
                    shown.problem = Some(problem.clone());
                }
            }
        });
        self.outcome.send_replace(Some(result));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
pub(super) fn measure(shown: &mut Download, received: u64, total: Option<u64>) {
    shown.received = received;
    shown.total = total.or(shown.total);
    shown.percent = shown.total.filter(|total| *total > 0).map(|total| 100.0 * received as f64 / total as f64);
}
