//! The work of one download: it tries one server after the other until the image is in the cache, or nobody is left.

mod attempt;
mod begin;
mod copy;
mod reasons;

use std::time::{Duration, Instant};

use pixelrts_shared::download::DownloadStage;
use pixelrts_shared::{Digest, Problem};

use super::error::DownloadError;
use super::job::{Job, measure};
use super::sources::{After, Next, Sources, Tried};
use super::{FetchRequest, Inner, interrupted};
use crate::cache::{AddressCopy, Cached, Promise};
use crate::remote::error::{Kind, seconds};
use crate::remote::transfer::{Failure, Seen, Versions};
use crate::{random, task};
use attempt::Ended;
use begin::Begun;
use reasons::Reasons;

/// What a job works with.
struct Work<'a> {
    inner: &'a Inner,
    job: &'a Job,
    key: Digest,
    promise: Promise,
    /// What the address had when it was fetched the last time.
    copy: Option<AddressCopy>,
}

/// Does the work of the job to its end, and publishes how it ended.
pub(super) async fn run(inner: &Inner, job: &Job, wanted: FetchRequest) {
    let listed = wanted.listed.clone();
    let result = job.cancel.run_until_cancelled(fetch(inner, job, wanted)).await;
    let result = result.unwrap_or_else(|| Err(interrupted(inner.scope.token())));
    if let Ok(cached) = &result {
        let (store, digest) = (inner.store.clone(), cached.digest);
        task::blocking(move || store.remember_listed(&digest, &listed)).await;
    }
    job.finish(inner, result);
}

/// Gets the image, and waits as long as a server may still have it.
async fn fetch(inner: &Inner, job: &Job, wanted: FetchRequest) -> Result<Cached, Problem> {
    let FetchRequest { key, promise, mirrors, listed: _ } = wanted;
    let mut work = Work { inner, job, key, promise, copy: None };
    let mut partial = match work.begin().await? {
        Begun::Here(cached) => return Ok(cached),
        Begun::Partial(partial) => partial,
    };
    if matches!(promise, Promise::Checked(_)) {
        let store = inner.store.clone();
        work.copy = task::blocking(move || store.copy_of(&key)).await?;
    }
    let mut sources = Sources::new(mirrors, &inner.backoff, partial.received() > 0);
    let (mut tries, mut versions) = (0, Versions::default());
    let mut reasons = Reasons::default();
    loop {
        let id = match sources.next(Instant::now()) {
            Next::Try(id) => id,
            Next::WaitUntil(until) => {
                work.wait(until, reasons.wait.clone()).await;
                continue;
            }
            Next::Nobody => return Err(reasons.problem().unwrap_or_else(|| DownloadError::NoServer(key).into())),
        };
        let Some(mirror) = sources.mirror(id).cloned() else { continue };
        if sources.must_be_clean_for(id) {
            partial.restart()?;
        }
        tries += 1;
        let before = partial.received();
        job.show(inner, |shown| {
            shown.stage = DownloadStage::Connecting;
            shown.attempt = tries;
            shown.source = Some(mirror.server.clone());
            (shown.next_try_seconds, shown.waits_for) = (None, None);
            measure(shown, before, mirror.size);
        });
        let mut seen = Seen { answers: 0, versions };
        let hurries = sources.has_other_than(id);
        let ended = work.attempt(&partial, &mirror, hurries, &mut seen).await;
        let Seen { answers, versions: now } = seen;
        versions = now;
        let brought = partial.received().saturating_sub(before);
        let tried = Tried { id, brought, answers, at: Instant::now() };
        let failure = match ended {
            Ok(Ended::Cached(cached)) => return Ok(cached),
            Ok(Ended::Unchanged) => match work.copy.take() {
                Some(copy) => return Ok(work.use_copy(copy, None).await),
                None => continue,
            },
            // Nothing of the bytes was kept.
            Ok(Ended::Wrong(error)) => {
                match error.kind {
                    Kind::Cache(_) => sources.refused(tried),
                    _ => sources.mismatched(tried),
                }
                job.show(inner, |shown| measure(shown, 0, None));
                reasons.add(error, tries, key);
                partial = match work.begin().await? {
                    Begun::Here(cached) => return Ok(cached),
                    Begun::Partial(partial) => partial,
                };
                continue;
            }
            Err(failure) => failure,
        };
        let after = sources.failed(&failure, tried, random::jitter());
        let (Failure::Error(error) | Failure::Shorter(error) | Failure::NoImage(error)) = failure;
        if let Some(copy) = work.copy.take_if(|_| answers == 0 && copy::may_stand_in(&error)) {
            return Ok(work.use_copy(copy, Some(&error)).await);
        }
        match after {
            After::GoOn => reasons.add(error, tries, key),
            After::Discard => {
                partial.restart()?;
                reasons.add(error, tries, key);
            }
            After::WaitForRoom(after) => {
                let waits_for = match &error.kind {
                    Kind::Cache(error) => format!("It waits for room: {error}."),
                    _ => error.to_string(),
                };
                job.show(inner, |shown| shown.problem = Some(error.into()));
                work.wait(Instant::now() + after, Some(waits_for)).await;
            }
            After::GiveUp => return Err(error.into()),
        }
        job.show(inner, |shown| {
            measure(shown, partial.received(), None);
            shown.problem = reasons.problem().or(shown.problem.take());
        });
    }
}

impl Work<'_> {
    /// Shows that everything waits, and how long.
    async fn wait(&self, until: Instant, waits_for: Option<String>) {
        let waits_for = waits_for.unwrap_or_else(|| "No server sends the image now.".to_owned());
        self.job.show(self.inner, |shown| {
            shown.stage = DownloadStage::Queued;
            shown.attempt += 1;
            shown.bytes_per_second = None;
            shown.eta_seconds = None;
            shown.waits_for = Some(waits_for);
        });
        loop {
            let left = until.saturating_duration_since(Instant::now());
            self.job.show(self.inner, |shown| shown.next_try_seconds = Some(seconds(left)));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
    }
}
