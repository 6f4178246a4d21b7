//! What SOURCE means for a command: a file, an http(s) URL, an entry's SHA-256, an id, or `id@server`.
//!
//! A running backend knows the catalogs and downloads, so this asks it: two programs never download one image twice.
//! Without a running backend the same code runs here, on the same database and cache.

mod backend;
mod patience;
mod refused;

use std::path::Path;
use std::time::{Duration, Instant};

use pixelrts_shared::catalog::{MergedEntry, ServerError, Source};
use pixelrts_shared::download::Download;
use pixelrts_shared::server::HealthState;
use pixelrts_shared::{Digest, Level, Problem};

use super::Context;
use crate::app::{self, Backend, Live, Parts, Tables};
use crate::bootstrap::Purpose;
use crate::cache::{Cached, Store};
use crate::catalog::{CheckedFile, ImageFile, ImageRef, Library, name_of_file, name_of_place};
use crate::remote::{Downloads, FetchRequest};
use crate::report;
use crate::task::{Scope, blocking};
pub(super) use patience::Wait;
use refused::by_form;
pub(super) use refused::by_path;
use tokio::time::timeout;

/// So long it is waited for what servers list now when the image is here already.
const SERVERS_WITHIN: Duration = Duration::from_secs(5);
use patience::{Patience, waiting};

/// Finds the image and, if needed, downloads it into the cache with a progress bar.
pub(super) async fn image(source: &str, context: &Context, wait: Wait) -> Result<ImageFile, Problem> {
    let image = ImageRef::parse(source);
    match &image {
        // Whatever the path leads to is taken: opening it then reports what is not an image or must not be opened.
        ImageRef::Path(path) => match by_form(source)
            .filter(|_| path == Path::new(source) && !path.exists())
            .or_else(|| refused::by_path(path))
        {
            None => return Ok(file(path)),
            Some(problem) => return Err(problem),
        },
        // A folder and an image may have the same name.
        ImageRef::Key(key) if Path::new(key).exists() && !Path::new(key).is_dir() => return Ok(file(Path::new(key))),
        ImageRef::Key(key) => by_form(key).map_or(Ok(()), Err)?,
        ImageRef::Address(_) => {}
    }
    let is_word = matches!(image, ImageRef::Key(_));
    let scope = Scope::new();
    let mut bar = context.output.progress_if_any("fetching");
    let mut patience = Patience::new(wait, Patience::is_watched(context.output.is_json()));
    let mut progress = |download: &Download| {
        let waits_for = waiting(download);
        // Before the first byte there is nothing to show, unless it is known how many there will be.
        if download.received > 0 || waits_for.is_none() && download.total.is_some() {
            bar.show(download.received, download.total.unwrap_or(download.received));
        }
        bar.say(waits_for);
        patience.is_over(download, Instant::now()).map_or(Ok(()), Err)
    };
    let found = remote(source, image, context, &scope, &mut progress).await;
    // Tasks that still run only hold what is not needed any more.
    let _ = scope.shutdown(Duration::from_secs(2)).await;
    found.map_err(|problem| if is_word { refused::or_file(problem, source) } else { problem })
}

fn file(path: &Path) -> ImageFile {
    ImageFile::named(path.to_owned(), name_of_file(path).to_owned())
}

async fn remote(
    source: &str,
    image: ImageRef,
    context: &Context,
    scope: &Scope,
    progress: &mut impl FnMut(&Download) -> Result<(), Problem>,
) -> Result<ImageFile, Problem> {
    let running = Backend::running(&context.paths)?;
    let library = library(context, running.is_some(), scope).await?;
    let remote = || library.remote.or_reason();
    if let ImageRef::Address(wanted) = image {
        let cached = follow(&remote()?.downloads, wanted, progress, |note| context.output.say(note)).await?;
        return named(cached, source).await;
    }
    if let Ok(digest) = source.parse()
        && let Some(cached) = find(&library.store, digest).await?
    {
        return named(cached, source).await;
    }
    if let Some(running) = running {
        return backend::resolve(source, &running, remote()?, &library.store, context, progress).await;
    }
    // What is here already is not held up by servers that are slow to say whether they have something newer.
    let here = library.find_now(source, None).await.is_ok_and(|merged| merged.cached);
    let _ = timeout(if here { SERVERS_WITHIN } else { Duration::MAX }, refresh(&library)).await;
    let merged = library.find_now(source, None).await?;
    if let Some(file) = library.here(&merged.entry.sha256).await? {
        say_copy(&merged, &silent_servers(&library), context);
        return Ok(ImageFile::of_entry(file, &merged));
    }
    let cached = follow(&remote()?.downloads, library.fetch_request(&merged.entry, None)?, progress, |_| {}).await?;
    Ok(ImageFile::of_entry(CheckedFile::of_cache(cached).await?, &merged))
}

/// The library of this process. While a backend runs, the databases belong to it; the files of the cache may be used by
/// everybody.
pub(super) async fn library(context: &Context, backend_runs: bool, scope: &Scope) -> Result<Library, Problem> {
    let (purpose, tables) =
        if backend_runs { (Purpose::Beside, Tables::Memory) } else { (Purpose::Command, Tables::Borrowed) };
    context.prepare(purpose).await?;
    let note = |module, problem: Problem| report::problem(Level::Warn, &problem, module);
    let folders = context.config.settings.catalogs.clone();
    let live = Live::of(&context.config);
    let parts = Parts { name: String::new(), folders, live: &live, tables, client: context.client() };
    app::library(&context.paths, parts, scope, note)
}

/// Reads folders and asks servers, and waits for all of them.
pub(super) async fn refresh(library: &Library) {
    match library.remote.get() {
        Ok(remote) => drop(tokio::join!(library.local.refresh(), remote.catalogs.refreshed())),
        // Local images need no network.
        Err(_) => library.local.refresh().await,
    }
}

/// Downloads in this process, and reports every change. `note` gets what a person should know about the image that came.
async fn follow(
    downloads: &Downloads,
    wanted: FetchRequest,
    progress: &mut impl FnMut(&Download) -> Result<(), Problem>,
    note: impl FnOnce(&str),
) -> Result<Cached, Problem> {
    let interest = downloads.join(wanted);
    let mut states = interest.watch();
    loop {
        let state = states.borrow_and_update().clone();
        progress(&state)?;
        if state.stage.is_over() {
            break;
        }
        if states.changed().await.is_err() {
            break;
        }
    }
    let cached = interest.outcome().await?;
    if let Some(said) = interest.note() {
        note(&said);
    }
    Ok(cached)
}

async fn find(store: &Store, digest: Digest) -> Result<Option<Cached>, Problem> {
    let store = store.clone();
    Ok(blocking(move || store.find(&digest)).await?)
}

async fn named(cached: Cached, source: &str) -> Result<ImageFile, Problem> {
    Ok(ImageFile::checked(CheckedFile::of_cache(cached).await?, name_of_place(source).to_owned()))
}

fn silent_servers(library: &Library) -> Vec<ServerError> {
    library.merged().map(|merged| merged.errors).unwrap_or_default()
}

/// Says that a copy is used because no server can give the image now. `silent`: servers that do not answer.
fn say_copy(merged: &MergedEntry, silent: &[ServerError], context: &Context) {
    if let Some(note) = copy_note(merged, silent) {
        context.output.say(&note);
    }
}

fn copy_note(merged: &MergedEntry, silent: &[ServerError]) -> Option<String> {
    let away = |source: &Source| source.health.state == HealthState::Down;
    if !merged.sources.iter().all(away) {
        return None;
    }
    let of_sources = merged.sources.iter().filter_map(|source| source.health.last_error.as_ref());
    let problems: Vec<_> = match merged.sources.is_empty() {
        true => silent.iter().map(|error| &error.problem).collect(),
        false => of_sources.collect(),
    };
    let reasons: Vec<_> = problems.iter().map(|problem| problem.what.trim_end_matches('.')).collect();
    let why = match (merged.sources.is_empty(), reasons.is_empty()) {
        (true, true) => "no server lists the image now".to_owned(),
        (true, false) => format!("no server that answers lists the image ({})", reasons.join("; ")),
        (false, true) => "no server that has the image answers".to_owned(),
        (false, false) => format!("no server that has the image answers ({})", reasons.join("; ")),
    };
    Some(format!("The copy in the cache is used: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Output;
    use crate::config::{Inputs, Loaded};
    use crate::paths::Paths;
    use crate::remote::Proxies;
    use pixelrts_shared::ProblemCode;
    use serde_json::json;

    #[test]
    fn a_copy_is_used_without_a_word_unless_no_server_can_give_the_image() {
        let merged = |sources: &[(&str, &str)]| -> MergedEntry {
            let sources: Vec<_> = sources
                .iter()
                .map(|(server, state)| {
                    let problem = Problem::new(ProblemCode::NetworkRefused, "It refused.", "why", "fix");
                    let health = match *state {
                        "down" => json!({"state": state, "last_error": problem}),
                        _ => json!({"state": state}),
                    };
                    json!({"server": server, "name": server, "id": "x", "size": 1, "health": health})
                })
                .collect();
            serde_json::from_value(json!({
                "id": "x", "name": "x", "size": 1, "sha256": "00".repeat(32), "segments": [],
                "sources": sources, "cached": true, "status": "idle"
            }))
            .unwrap()
        };
        let none = |sources| copy_note(&merged(sources), &[]);
        assert_eq!(none(&[("a", "up")]), None);
        assert_eq!(none(&[("a", "down"), ("local", "up")]), None);
        assert_eq!(none(&[("a", "unknown")]), None, "it was not asked");
        let note = none(&[("a", "down")]).unwrap();
        assert!(note.starts_with("The copy in the cache is used: ") && note.contains("(It refused)"), "{note}");
        assert!(none(&[]).unwrap().contains("no server lists the image now"));
        let problem = Problem::new(ProblemCode::NetworkRefused, "It refused.", "why", "fix");
        let silent = [ServerError { server: "b".parse().unwrap(), problem }];
        assert!(copy_note(&merged(&[]), &silent).unwrap().contains("(It refused)"));
    }

    #[tokio::test]
    async fn what_a_path_leads_to_is_opened_whatever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::below(dir.path());
        let sources = Inputs::new(None, Vec::new(), &paths);
        let context = Context {
            output: Output::new(true, true),
            paths,
            config: Loaded::default(),
            sources,
            proxies: Proxies::default(),
        };
        let find = async |path: &Path| image(path.to_str().unwrap(), &context, Wait::default()).await;
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [pipe.as_path(), Path::new("/dev/null"), Path::new("/dev/null/x")] {
            assert_eq!(find(path).await.unwrap().path(), path);
        }
        for path in [dir.path().join("none"), dir.path().to_owned(), "none.png".into()] {
            assert_eq!(find(&path).await.unwrap_err().code, ProblemCode::FileNotFound, "{}", path.display());
        }
        assert_eq!(find(Path::new("none")).await.unwrap_err().code, ProblemCode::EntryNotFound);
        assert_eq!(find(Path::new("")).await.unwrap_err().code, ProblemCode::Usage);
        // The tests run in the folder of this crate, which has these two. An image may have the name of a folder.
        assert!(find(Path::new("Cargo.toml")).await.is_ok());
        assert!(find(Path::new("src")).await.unwrap_err().what.contains("src is a folder"));
        let address = format!("file://{}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        assert!(find(Path::new(&address)).await.unwrap().path().is_absolute());
    }
}
