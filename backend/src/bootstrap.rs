//! The phase before modules: it makes what they declare, so that no module needs code for a first start.
//!
//! [`Handler`]s are asked in the order of their priority whether they have something to do, and only those that do are
//! executed. They are idempotent, so whatever ends a start, the next start repairs it. Each handler is one file here.
//! The linker collects them, as it does with the manifests of modules, so a new one needs no entry anywhere else.
//!
//! ```text
//!  the start waits for   5 directories  10 databases  20 configuration  30 dependencies  40 cache  50 leftovers
//!                        60 security
//!  in the background     90 network  95 warm-up
//! ```
//! Handlers block, each on a thread of its own, so that one that hangs can be named and abandoned.

mod cache;
mod configuration;
mod databases;
mod dependencies;
mod directories;
mod error;
mod leftovers;
mod network;
mod programs;
mod security;
mod warm_up;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use linkme::distributed_slice;
use pixelrts_shared::backoff::Backoff;
use pixelrts_shared::duration::Span;
use pixelrts_shared::{Level, Problem, ProblemCode};
use serde::{Deserialize, Serialize};

use crate::paths::Paths;
use crate::policy::manifest::{MANIFESTS, Manifest, NeededBy};
use crate::{random, report, task};

pub use error::BootstrapError;
pub(crate) use leftovers::stale_socket;
pub use programs::{FoundProgram, programs};
pub use security::Secret;

/// Collecting the findings of all handlers takes milliseconds, unless a disk hangs.
const LOOK: Duration = Duration::from_secs(1);
/// The longest wait before the second try of a handler. It doubles before each further try.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// A disk that becomes available is noticed within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The section `bootstrap` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BootstrapSettings {
    pub enabled: bool,
    /// The time for all handlers together.
    pub timeout: Span,
    /// How often each handler is tried, at least once.
    pub retry_attempts: u32,
    /// Whether the first required handler that fails ends the phase. Otherwise the others still run.
    pub fail_fast: bool,
}

impl Default for BootstrapSettings {
    fn default() -> Self {
        Self { enabled: true, timeout: Span::from_secs(30), retry_attempts: 3, fail_fast: true }
    }
}

/// One step of the phase.
pub trait Handler: Sync {
    fn name(&self) -> &'static str;

    /// Handlers with lower numbers come earlier.
    fn priority(&self) -> u32 {
        100
    }

    fn rule(&self) -> Rule;

    /// Whether there is something to do. This changes nothing.
    fn should_run(&self, site: &Site) -> Result<bool, Problem>;

    /// Does the work, and names what was made. When it is interrupted at any point, the next call completes it.
    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem>;

    /// What is wrong now and cannot be repaired here. Every `/health` calls this again, and does not wait for long.
    fn findings(&self, _site: &Site) -> Vec<Finding> {
        Vec::new()
    }
}

/// What a failure of a handler means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It ends the start.
    Required,
    /// It degrades this module. The handler has a quarter of the time, so that the others have some left when it hangs.
    Degrading(&'static str),
    /// It is only logged. The handler runs in the background after the start.
    Advisory,
}

/// All handlers of this program, in no order.
#[distributed_slice]
pub static HANDLERS: [&'static dyn Handler];

/// Adds a handler to [`HANDLERS`].
macro_rules! handler {
    ($handler:expr) => {
        $crate::policy::declare!($crate::bootstrap::HANDLERS, &'static dyn $crate::bootstrap::Handler, &$handler);
    };
}
pub(crate) use handler;

/// What the phase prepares for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The backend of a shell.
    Shell,
    /// A catalog server: directories and files only.
    Catalog,
    /// A command without a backend beside it. It uses the databases itself.
    Command,
    /// A command while a backend runs. The databases belong to that backend.
    Beside,
    /// A machine in the foreground: run directories only.
    Boot,
}

/// What handlers work on.
#[derive(Debug)]
pub struct Site {
    pub paths: Paths,
    pub purpose: Purpose,
    pub settings: BootstrapSettings,
    /// Folders of images that the user named.
    pub folders: Vec<PathBuf>,
    /// What must exist before anything is offered to a network.
    pub secrets: Vec<Secret>,
}

impl Site {
    /// A site without anything that the user has set.
    #[must_use]
    pub fn new(paths: Paths, purpose: Purpose) -> Self {
        let (settings, folders, secrets) = (BootstrapSettings::default(), Vec::new(), Vec::new());
        Self { paths, purpose, settings, folders, secrets }
    }

    /// The manifests that apply to this purpose.
    fn manifests(&self) -> impl Iterator<Item = &'static Manifest> {
        MANIFESTS.iter().filter(|manifest| match self.purpose {
            Purpose::Shell | Purpose::Command | Purpose::Beside => true,
            Purpose::Catalog => manifest.needed_by == NeededBy::Everyone,
            Purpose::Boot => manifest.needed_by == NeededBy::Machines,
        })
    }

    /// Whether databases are used as files.
    fn has_databases(&self) -> bool {
        matches!(self.purpose, Purpose::Shell | Purpose::Command)
    }
}

/// Something wrong with a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub module: &'static str,
    pub problem: Problem,
}

/// The result of the phase. Clones share it.
#[derive(Clone, Debug)]
pub struct Outcome(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    site: Arc<Site>,
    noted: Mutex<Vec<Finding>>,
    /// What was made, as lines of the log.
    made: Mutex<Vec<String>>,
    /// What the handlers found when they were last asked.
    seen: Mutex<Vec<Finding>>,
    /// Held while the handlers are asked, which happens only once at a time.
    looking: Arc<tokio::sync::Mutex<()>>,
}

impl Outcome {
    /// What went wrong at the start, and what handlers find now, for `/health`.
    ///
    /// Handlers look at directories of the user, which may be on a server that is gone. So they are asked only once at
    /// a time, and after a second of waiting the result is what they found before.
    pub async fn findings(&self) -> Vec<Finding> {
        let inner = self.0.clone();
        let look = async {
            let alone = inner.looking.clone().lock_owned().await;
            let looked = move || {
                let seen = HANDLERS.iter().flat_map(|handler| handler.findings(&inner.site)).collect();
                *locked(&inner.seen) = seen;
                drop(alone);
            };
            task::abandonable(LOOK, looked).await
        };
        // The limit is for waiting and looking together. The handlers go on without this call.
        let _ = tokio::time::timeout(LOOK, look).await;
        let noted = locked(&self.0.noted).clone();
        noted.into_iter().chain(locked(&self.0.seen).iter().cloned()).collect()
    }

    fn made(&self, lines: impl IntoIterator<Item = String>) {
        self.0.made.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
    }

    /// Logs what was made, each line once.
    pub fn log_made(&self) {
        for line in std::mem::take(&mut *self.0.made.lock().unwrap_or_else(PoisonError::into_inner)) {
            tracing::info!("{line}");
        }
    }

    /// Remembers what went wrong when a module was initialised.
    pub fn note(&self, module: &'static str, problem: Problem) {
        report::problem(Level::Warn, &problem, &format!("the module {module} is degraded"));
        locked(&self.0.noted).push(Finding { module, problem });
    }

    /// The advisory handlers, one after the other, each within the time of a whole phase.
    pub async fn afterwards(self) {
        let site = &self.0.site;
        for handler in handlers().filter(|handler| site.settings.enabled && handler.rule() == Rule::Advisory) {
            let began = Instant::now();
            match task::abandonable(site.settings.timeout.into(), attempt(handler, site)).await {
                Some(Ok(made)) => {
                    lines(handler, &made.unwrap_or_default()).iter().for_each(|line| tracing::info!("{line}"));
                    tracing::debug!(handler = handler.name(), ms = began.elapsed().as_secs_f64() * 1e3, "asked");
                }
                Some(Err(problem)) => report::problem(Level::Warn, &problem, &format!("Bootstrap: {}", handler.name())),
                None => tracing::warn!(handler = handler.name(), "the handler takes too long and is abandoned"),
            }
        }
    }
}

fn locked(findings: &Mutex<Vec<Finding>>) -> MutexGuard<'_, Vec<Finding>> {
    findings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the phase. An error ends the start. What was made is logged when the caller says so, because a person wants to
/// read first where the backend is.
pub async fn run(site: Site) -> Result<Outcome, Problem> {
    let site = Arc::new(site);
    let outcome = Outcome(Arc::new(Inner {
        site: site.clone(),
        noted: Mutex::default(),
        made: Mutex::default(),
        seen: Mutex::default(),
        looking: Arc::default(),
    }));
    let BootstrapSettings { enabled, timeout, fail_fast, .. } = site.settings;
    let timeout = Duration::from(timeout);
    if !enabled {
        outcome.made(["Bootstrap phase: switched off".to_owned()]);
        return Ok(outcome);
    }
    let began = Instant::now();
    let (mut asked, mut ran, mut failed) = (0, 0, Vec::new());
    for handler in handlers().filter(|handler| handler.rule() != Rule::Advisory) {
        asked += 1;
        let left = timeout.saturating_sub(began.elapsed());
        match (tried(handler, &site, left).await, handler.rule()) {
            (Ok(made), _) => {
                ran += usize::from(made.is_some());
                outcome.made(lines(handler, &made.unwrap_or_default()));
            }
            (Err(problem), Rule::Degrading(module)) => outcome.note(module, problem),
            // Without time nothing more can be tried.
            (Err(problem), _) if fail_fast || problem.code == ProblemCode::BootstrapTimeout => {
                outcome.log_made();
                return Err(problem);
            }
            (Err(problem), Rule::Required | Rule::Advisory) => {
                report::problem(Level::Error, &problem, &format!("Bootstrap: {} failed", handler.name()));
                failed.push(problem);
            }
        }
    }
    let ms = began.elapsed().as_secs_f64() * 1e3;
    outcome.made([match ran {
        0 => format!("Bootstrap phase: no actions needed, {asked} handlers asked in {ms:.1} ms"),
        _ => format!("Bootstrap phase: {ran} of {asked} handlers had something to do, done in {ms:.1} ms"),
    }]);
    together(failed).inspect_err(|_| outcome.log_made())?;
    Ok(outcome)
}

fn handlers() -> impl Iterator<Item = &'static dyn Handler> {
    let mut handlers: Vec<_> = HANDLERS.iter().copied().collect();
    handlers.sort_by_key(|handler| (handler.priority(), handler.name()));
    handlers.into_iter()
}

/// Tries a handler until it succeeds, within the time that is left and within its part of the phase.
async fn tried(
    handler: &'static dyn Handler,
    site: &Arc<Site>,
    left: Duration,
) -> Result<Option<Vec<String>>, Problem> {
    let BootstrapSettings { timeout, retry_attempts, .. } = site.settings;
    let timeout = Duration::from(timeout);
    let part = if matches!(handler.rule(), Rule::Degrading(_)) { timeout / 4 } else { timeout };
    let (limit, began) = (part.min(left), Instant::now());
    let left = || limit.saturating_sub(began.elapsed());
    let mut backoff = Backoff::exponential(FIRST_WAIT, 2, LONGEST_WAIT).retries(retry_attempts.saturating_sub(1));
    loop {
        let since = Instant::now();
        let result = task::abandonable(left(), attempt(handler, site)).await;
        let result = result.ok_or_else(|| BootstrapError::Overdue { handler: handler.name(), part })?;
        if result.is_ok() {
            tracing::debug!(handler = handler.name(), ms = since.elapsed().as_secs_f64() * 1e3, "asked");
            return result;
        }
        // Without time for another try, why the last one failed says more than that the time is over.
        let Some(wait) = backoff.failed(random::jitter()).filter(|wait| *wait < left()) else { return result };
        tokio::time::sleep(wait).await;
    }
}

/// `None` means that there was nothing to do.
fn attempt(
    handler: &'static dyn Handler,
    site: &Arc<Site>,
) -> impl FnOnce() -> Result<Option<Vec<String>>, Problem> + Send + use<> {
    let site = site.clone();
    move || if handler.should_run(&site)? { handler.execute(&site).map(Some) } else { Ok(None) }
}

fn lines(handler: &dyn Handler, made: &[String]) -> Vec<String> {
    made.iter().map(|thing| format!("Bootstrap: {}: {thing}", handler.name())).collect()
}

/// All failures as one problem: the first one, with the others in its context.
fn together(failed: Vec<Problem>) -> Result<(), Problem> {
    let mut failed = failed.into_iter();
    let Some(first) = failed.next() else { return Ok(()) };
    let others: Vec<_> = failed.map(|problem| format!("{} {} {}", problem.what, problem.why, problem.fix)).collect();
    Err(if others.is_empty() { first } else { first.context(format!("Also: {}", others.join(" Also: "))) })
}

#[cfg(test)]
mod tests;
