//! The beginning of a download: what is here already, and the lock that lets one process at a time add to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pixelrts_shared::Digest;

use super::{Work, measure};
use crate::cache::{CacheError, Cached, Partial, Store};
use crate::task;

/// While another process downloads the same image, its progress is looked at this often. Waiting for the lock instead
/// could not be cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Another process that makes no progress for so long waits itself, or is stuck. That is shown.
const SILENT: Duration = Duration::from_secs(5);

impl Work<'_> {
    /// Takes the lock. While another process holds it, this shows the progress of that process.
    pub(super) async fn begin(&self) -> Result<Begun, CacheError> {
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

pub(super) enum Begun {
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
