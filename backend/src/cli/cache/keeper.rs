//! Who keeps the cache: the running backend, or nobody, and then this process.

use std::time::Duration;

use pixelrts_shared::cache::{CacheCleared, CacheContents, CachedImage};
use pixelrts_shared::{Digest, Level, Problem, paths};
use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::app::{self, Live, Parts, Tables};
use crate::bootstrap::Purpose;
use crate::catalog::{Library, Named};
use crate::cli::Context;
use crate::cli::running::Running;
use crate::report;
use crate::task::Scope;

/// Servers that do not answer within this time are taken for gone.
const SERVERS_WITHIN: Duration = Duration::from_secs(5);

pub(super) enum Keeper {
    Backend(Box<Running>),
    Here { library: Box<Library>, scope: Scope },
}

impl Keeper {
    pub(super) async fn find(context: &Context) -> Result<Self, Problem> {
        if let Some(running) = Running::find(context)? {
            return Ok(Self::Backend(Box::new(running)));
        }
        context.prepare(Purpose::Command).await?;
        let scope = Scope::new();
        let note = |module, problem: Problem| report::problem(Level::Warn, &problem, module);
        let (folders, live) = (context.config.settings.catalogs.clone(), Live::of(&context.config));
        let parts =
            Parts { name: String::new(), folders, live: &live, tables: Tables::Borrowed, client: context.client() };
        let library = app::library(&context.paths, parts, &scope, note)?;
        Ok(Self::Here { library: Box::new(library), scope })
    }

    /// Ends what was started for this command.
    pub(super) async fn close(self) {
        if let Self::Here { scope, .. } = self {
            let _ = scope.shutdown(Duration::from_secs(2)).await;
        }
    }

    pub(super) async fn contents(&self) -> Result<CacheContents, Problem> {
        match self {
            Self::Backend(running) => running.get(paths::CACHE).await,
            Self::Here { library, .. } => {
                ask_servers(library).await;
                library.cache().await
            }
        }
    }

    pub(super) async fn remove(&self, key: &str) -> Result<CacheCleared, Problem> {
        match self {
            Self::Backend(running) => {
                let digest = digest(running, key).await?;
                call(running, Method::DELETE, &paths::cached(&digest)).await
            }
            Self::Here { library, .. } => {
                know(library, key).await?;
                library.remove_cached(key).await
            }
        }
    }

    pub(super) async fn clear(&self) -> Result<CacheCleared, Problem> {
        match self {
            Self::Backend(running) => call(running, Method::DELETE, paths::CACHE).await,
            Self::Here { library, .. } => Ok(library.clear_cache().await),
        }
    }

    pub(super) async fn gc(&self) -> Result<CacheCleared, Problem> {
        match self {
            Self::Backend(running) => call(running, Method::POST, paths::CACHE_GC).await,
            Self::Here { library, .. } => {
                ask_servers(library).await;
                Ok(library.tidy_cache().await)
            }
        }
    }

    pub(super) async fn pin(&self, key: &str, pinned: bool) -> Result<CachedImage, Problem> {
        match self {
            Self::Backend(running) => {
                let method = if pinned { Method::PUT } else { Method::DELETE };
                let digest = digest(running, key).await?;
                call(running, method, &paths::cached_pin(&digest)).await
            }
            Self::Here { library, .. } => {
                know(library, key).await?;
                library.pin_cached(key, pinned).await
            }
        }
    }
}

/// A name may have characters that an address cannot have, so the backend is asked by digest.
async fn digest(running: &Running, key: &str) -> Result<Digest, Problem> {
    let contents: CacheContents = running.get(paths::CACHE).await?;
    Ok(contents.named(key)?.sha256)
}

async fn call<T: DeserializeOwned>(running: &Running, method: Method, path: &str) -> Result<T, Problem> {
    running.call(method, path, None::<&()>).await
}

/// Asks the servers when the key is neither a digest nor a name of what is here: it may be an id of theirs.
async fn know(library: &Library, key: &str) -> Result<(), Problem> {
    if library.cache().await?.named(key).is_err() {
        ask_servers(library).await;
    }
    Ok(())
}

/// Asks all servers which images they offer now.
async fn ask_servers(library: &Library) {
    if let Ok(remote) = library.remote.get() {
        let _ = timeout(SERVERS_WITHIN, remote.catalogs.refreshed()).await;
    }
}
