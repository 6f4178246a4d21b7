//! What a SOURCE means: a file, an http(s) URL, an entry's SHA-256, an id, or `id@server`.
//!
//! A running backend knows the catalogs and downloads; it is asked, so that two programs never fetch one image twice.
//! Without one the same code runs here, on the same database and cache.

mod backend;

use std::path::{Path, PathBuf};

use pixelrts_shared::download::Download;
use pixelrts_shared::{Digest, Level, Problem, ProblemCode};

use super::Context;
use crate::app::{self, Backend, Live, Parts, Tables};
use crate::bootstrap::Purpose;
use crate::cache::{Cached, Store, hash_file};
use crate::catalog::{Library, wanted_url};
use crate::files::storage_problem;
use crate::remote::{Downloads, Wanted};
use crate::report;
use crate::secrets::pinned;
use crate::task::{Scope, blocking};

/// An image that is on this computer now.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// Of the whole file; computed, never taken from an advertisement. Of a file that was named by its path nobody has
    /// computed it: what is read of it is checked strip by strip.
    known: Option<Digest>,
}

impl Resolved {
    fn known(path: PathBuf, name: String, digest: Digest) -> Self {
        Self { path, name, known: Some(digest) }
    }

    /// The digest of the whole file, if it is known already.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.known
    }

    /// The digest of the whole file, which is read to its end if nobody has done that yet.
    pub(super) fn hash(&self) -> impl Future<Output = Result<Digest, Problem>> + use<> {
        let (path, known) = (self.path.clone(), self.known);
        async move {
            if let Some(digest) = known {
                return Ok(digest);
            }
            let unread =
                |error| storage_problem(&error, "The image cannot be read.").context(path.display().to_string());
            let owned = path.clone();
            blocking(move || hash_file(&owned)).await.map(|(digest, _)| digest).map_err(unread)
        }
    }
}

/// Finds the image, and fetches it into the cache if needed, with a bar.
pub(super) async fn resolve(source: &str, context: &Context) -> Result<Resolved, Problem> {
    if let Some(found) = file(source) {
        return Ok(found);
    }
    if is_path(source) {
        return Err(no_file(source));
    }
    let scope = Scope::new();
    let mut bar = context.output.progress_if_any("fetching");
    let mut progress = |download: &Download| bar.show(download.received, download.total.unwrap_or(download.received));
    let resolved = remote(source, context, &scope, &mut progress).await;
    // What still runs only held what is not needed any more.
    let _ = scope.shutdown(std::time::Duration::from_secs(2)).await;
    resolved
}

async fn remote(
    source: &str,
    context: &Context,
    scope: &Scope,
    progress: &mut impl FnMut(&Download),
) -> Result<Resolved, Problem> {
    let paths = &context.paths;
    let running = Backend::running(paths)?;
    // The databases belong to the backend while one runs; the cache's files are anyone's.
    let (purpose, tables) = match running {
        Some(_) => (Purpose::Beside, Tables::Memory),
        None => (Purpose::Command, Tables::Borrowed),
    };
    context.prepare(purpose).await?;
    let note = |module, problem: Problem| report::problem(Level::Warn, &problem, module);
    let url = wanted_url(source);
    // Of an address on the network the authorities are asked; of the backend beside us its own file.
    let certificate = running.as_ref().and_then(|running| running.certificate.as_deref()).filter(|_| url.is_none());
    let tls = certificate.map(pinned).transpose()?;
    let folders = context.config.settings.catalogs.clone();
    let live = Live::of(&context.config);
    let library = app::library(paths, Parts { name: String::new(), folders, live: &live, tables, tls }, scope, note)?;
    let remote = || library.remote.or_reason();
    if let Some(wanted) = url {
        let cached = follow(&remote()?.downloads, wanted, progress).await?;
        return Ok(named(cached, source));
    }
    if let Ok(digest) = source.parse()
        && let Some(cached) = find(&library.store, digest).await?
    {
        return Ok(named(cached, source));
    }
    if let Some(running) = running {
        return backend::resolve(source, &running, remote()?, &library.store, progress).await;
    }
    match remote() {
        Ok(remote) => drop(tokio::join!(library.local.refresh(), remote.catalogs.refreshed())),
        // What is here needs no network.
        Err(_) => library.local.refresh().await,
    }
    let entry = library.find(source, &[], None).map_err(|problem| with_servers(problem, &library))?.entry;
    if let Some(path) = library.here(&entry.sha256).await? {
        return Ok(Resolved::known(path, entry.name, entry.sha256));
    }
    let cached = follow(&remote()?.downloads, library.wanted(&entry, None)?, progress).await?;
    Ok(Resolved::known(cached.path, entry.name, cached.digest))
}

/// Downloads here, and tells every change.
async fn follow(
    downloads: &Downloads,
    wanted: Wanted,
    progress: &mut impl FnMut(&Download),
) -> Result<Cached, Problem> {
    let started = downloads.start(wanted);
    let mut states = downloads.watch(&started.id)?;
    loop {
        let state = states.borrow_and_update().clone();
        progress(&state);
        if state.stage.is_over() {
            break;
        }
        if states.changed().await.is_err() {
            break;
        }
    }
    downloads.outcome(&started.id).await
}

async fn find(store: &Store, digest: Digest) -> Result<Option<Cached>, Problem> {
    let store = store.clone();
    Ok(blocking(move || store.find(&digest)).await?)
}

/// A file of this computer, if SOURCE names one. Nothing of it is read: what cannot be an image, or must not be opened,
/// says so when it is.
fn file(source: &str) -> Option<Resolved> {
    let path = Path::new(source);
    let there = match is_path(source) {
        true => path.try_exists().unwrap_or(true),
        // A folder may have the name of an image.
        false => path.exists() && !path.is_dir(),
    };
    let name = there.then(|| path.file_name().and_then(|name| name.to_str()).unwrap_or("image"))?;
    Some(Resolved { path: path.to_owned(), name: name.trim_end_matches(".rts.png").to_owned(), known: None })
}

/// It can be nothing else than a path.
fn is_path(source: &str) -> bool {
    !source.contains("://") && (source.contains('/') || source.ends_with(".rts.png"))
}

fn named(cached: Cached, source: &str) -> Resolved {
    let last = source.rsplit('/').next().unwrap_or(source).split(['?', '#']).next().unwrap_or(source);
    Resolved::known(cached.path, last.trim_end_matches(".rts.png").to_owned(), cached.digest)
}

/// An image may be missing because a server did not answer: then that is what to look at.
fn with_servers(problem: Problem, library: &Library) -> Problem {
    let errors = library.merged(&[], None).map(|merged| merged.errors).unwrap_or_default();
    let silent: Vec<_> = errors.into_iter().map(|error| format!("{}: {}", error.server, error.problem.what)).collect();
    if silent.is_empty() { problem } else { problem.context(silent.join("; ")) }
}

fn no_file(source: &str) -> Problem {
    Problem::new(
        ProblemCode::FileNotFound,
        format!("There is no file {source}."),
        "The path leads to no file.",
        "Check the path; an image of a catalog is named by its id, as in debian-12 or debian-12@office.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_leads_to_is_opened_whatever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/null"), Path::new("/dev/null/x")] {
            assert_eq!(file(path.to_str().unwrap()).unwrap().path, path);
        }
        assert!(file(dir.path().join("none").to_str().unwrap()).is_none());
        // The tests run in the folder of this crate, which has these two.
        assert!(file("Cargo.toml").is_some());
        assert!(file("src").is_none(), "an image may have the name of a folder");
    }
}
