//! One download, from its start to the image in the cache, or to the reason why that failed.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, DownloadId, Level, Problem, ProblemCode};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::DownloadError;
use super::meter::Meter;
use super::sources::{After, Next, Sources, Tried};
use super::{FetchRequest, Inner, interrupted, queued};
use crate::cache::{AddressCopy, CacheError, Cached, Partial, Promise, Store};
use crate::remote::error::{Kind, RemoteError};
use crate::remote::transfer::{self, Failure, Mirror, Outcome, Try, Validator};
use crate::{random, report, task};

/// While another process downloads the same image, its progress is looked at this often. Waiting for the lock instead
/// could not be cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Another process that makes no progress for so long waits itself, or is stuck. That is shown.
const SILENT: Duration = Duration::from_secs(5);

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
            (shown.next_try_seconds, shown.waits_for, shown.problem) = (None, None, None);
            measure(shown, received, total);
            shown.bytes_per_second = speed;
            let rest = total.map(|total| total.saturating_sub(received));
            shown.eta_seconds = rest.zip(speed).and_then(|(rest, speed)| rest.checked_div(speed));
        });
    }
}

/// Runs the job to its end, and publishes how it ended.
pub(super) async fn run(inner: &Inner, job: &Job, wanted: FetchRequest) {
    let listed = wanted.listed.clone();
    let result = job.cancel.run_until_cancelled(fetch(inner, job, wanted)).await;
    let result = result.unwrap_or_else(|| Err(interrupted(inner.scope.token())));
    if let Ok(cached) = &result {
        let (store, digest) = (inner.store.clone(), cached.digest);
        task::blocking(move || store.remember_listed(&digest, &listed)).await;
    }
    job.show(inner, |shown| {
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
                report::problem(Level::Warn, problem, &format!("the download of {} failed", shown.key));
                shown.stage = DownloadStage::Failed;
                shown.problem = Some(problem.clone());
            }
        }
    });
    job.outcome.send_replace(Some(result));
}

/// What a job works with.
struct Work<'a> {
    inner: &'a Inner,
    job: &'a Job,
    key: Digest,
    promise: Promise,
    /// What the address had when it was fetched the last time.
    copy: Option<AddressCopy>,
}

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
    let mut tries = 0;
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
        let mut answers = 0;
        let hurries = sources.has_other_than(id);
        let ended = work.attempt(&partial, &mirror, hurries, &mut answers).await;
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
        let (Failure::Error(error) | Failure::Shorter(error)) = failure;
        if let Some(copy) = work.copy.take_if(|_| answers == 0 && may_be_away(&error)) {
            let name = mirror.endpoint.name.to_string();
            return Ok(work.use_copy(copy, Some(&name)).await);
        }
        let is_endless = matches!(promise, Promise::Checked(_)) && job.now().total.is_none();
        match after {
            After::GoOn => reasons.add(error, tries, key),
            After::Discard => {
                partial.restart()?;
                reasons.add(error, tries, key);
            }
            // Nobody knows how much room it would take.
            After::WaitForRoom(_) if is_endless => {
                partial.give_up()?;
                return Err(error.into());
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

/// Why tries have failed.
#[derive(Default)]
struct Reasons {
    last: Option<Problem>,
    /// What the last server asks for.
    wait: Option<String>,
    /// One line for each server.
    of: Vec<(String, String)>,
}

impl Reasons {
    fn add(&mut self, error: RemoteError, tries: u32, key: Digest) {
        // A server can make a download fail as often as it likes.
        if tries <= 10 || tries.is_power_of_two() {
            tracing::info!(image.key = %key, attempt = tries, %error, "a try to download failed");
        }
        let server = error.server.to_string();
        self.wait = error.wait().map(|wait| format!("{server} asks to wait {} s.", wait.as_secs()));
        self.of.retain(|(other, _)| *other != server);
        self.of.push((server, error.kind.to_string()));
        self.last = Some(error.into());
    }

    /// The last one, with those of the other servers.
    fn problem(&self) -> Option<Problem> {
        let problem = self.last.clone()?;
        let Some((_, others)) = self.of.split_last().filter(|(_, others)| !others.is_empty()) else {
            return Some(problem);
        };
        let others = others.iter().map(|(server, why)| format!("{server}: {why}"));
        let all: Vec<_> = problem.context.clone().into_iter().chain(others).collect();
        Some(problem.context(all.join("; ")))
    }
}

/// The server, or the way to it, may be at fault and not the address.
fn may_be_away(error: &RemoteError) -> bool {
    error.is_retryable() || matches!(error.kind, Kind::WebPage { .. } | Kind::AnotherPicture(_) | Kind::Tls(_))
}

/// How a try ended without a failure of the transfer.
enum Ended {
    Cached(Cached),
    /// The copy that is here is what the server has.
    Unchanged,
    /// The bytes are complete, but wrong, and none of them were kept.
    Wrong(RemoteError),
}

impl Work<'_> {
    async fn attempt(
        &self,
        partial: &Arc<Partial>,
        mirror: &Mirror,
        hurries: bool,
        answers: &mut u32,
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
        match this.run(answers, &mut tell).await? {
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
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            self.job.show(self.inner, |shown| shown.next_try_seconds = Some(seconds));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_secs(1))).await;
        }
    }

    /// The copy in the cache is used. `away`: the server that could not say whether it is the newest.
    async fn use_copy(&self, copy: AddressCopy, away: Option<&str>) -> Cached {
        match away {
            Some(server) => {
                let note = format!(
                    "{server} cannot be asked for the image, so the copy on this computer is used. The server had the \
                     same one on {}.",
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

    /// Takes the lock. While another process holds it, this shows the progress of that process.
    async fn begin(&self) -> Result<Begun, CacheError> {
        let (Self { inner, job, key, .. }, mut since) = (self, Instant::now());
        let mut length = 0;
        loop {
            let (store, key) = (inner.store.clone(), *key);
            match task::blocking(move || begin_once(&store, &key)).await {
                Err(CacheError::Locked) => {
                    let file = inner.store.growing(&key).and_then(|file| file.metadata());
                    let found = file.map_or(length, |file| file.len());
                    if found != length {
                        (length, since) = (found, Instant::now());
                        job.show(inner, |shown| {
                            measure(shown, length, None);
                            (shown.waits_for, shown.problem) = (None, None);
                        });
                    } else if since.elapsed() > SILENT {
                        job.show(inner, |shown| {
                            shown.waits_for = Some("Another process downloads the same image.".to_owned());
                            shown.problem = Some(CacheError::Locked.into());
                            shown.next_try_seconds = Some(1);
                        });
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Err(error) if error.passes_after().is_some() => {
                    let after = error.passes_after().unwrap_or_default();
                    let waits_for = format!("It waits for room: {error}.");
                    job.show(inner, |shown| shown.problem = Some(error.into()));
                    self.wait(Instant::now() + after, Some(waits_for)).await;
                }
                other => {
                    job.show(inner, |shown| {
                        (shown.waits_for, shown.problem, shown.next_try_seconds) = (None, None, None);
                    });
                    return other;
                }
            }
        }
    }
}

enum Begun {
    Here(Cached),
    Partial(Arc<Partial>),
}

fn begin_once(store: &Store, key: &Digest) -> Result<Begun, CacheError> {
    if let Some(cached) = store.find(key)? {
        return Ok(Begun::Here(cached));
    }
    let partial = store.begin(key)?;
    // The process that held the lock before may have finished between the two lines above.
    Ok(store.find(key)?.map_or_else(|| Begun::Partial(Arc::new(partial)), Begun::Here))
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn measure(shown: &mut Download, received: u64, total: Option<u64>) {
    shown.received = received;
    shown.total = total.or(shown.total);
    shown.percent = shown.total.filter(|total| *total > 0).map(|total| 100.0 * received as f64 / total as f64);
}
