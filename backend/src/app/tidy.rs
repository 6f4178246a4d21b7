//! Keeps the cache within its limits as long as the backend runs.
//!
//! What may leave depends on what servers offer, so the cache is looked at again when a server has answered: soon after
//! the start, when the first answers come, and rarely later.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::catalog::Library;
use crate::task::blocking;

/// For so long after the start, answers of servers come that were never seen before.
const STARTING: Duration = Duration::from_secs(30);
/// The shortest time between two looks, during the start and later.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The longest time between two looks: images become old without an answer, too.
const EVERY: Duration = Duration::from_secs(600);

pub(super) async fn keep_cache_within_limits(library: Library) {
    let began = Instant::now();
    let mut changes = library.remote.get().ok().map(|remote| remote.catalogs.changes());
    loop {
        let store = library.store.clone();
        blocking(move || drop(store.keep_within_limits())).await;
        sleep(if began.elapsed() < STARTING { PAUSE.0 } else { PAUSE.1 }).await;
        match &mut changes {
            Some(changes) => drop(timeout(EVERY, changes.changed()).await),
            None => sleep(EVERY).await,
        }
    }
}
