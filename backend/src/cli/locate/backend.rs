//! Asks the running backend to find the entry and to download it into the cache that both programs share.

use futures_util::TryStreamExt;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::download::{Download, DownloadStage, NewDownload};
use pixelrts_shared::{Problem, ProblemCode, ServerId, paths};
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;
use url::Url;

use super::{find, follow, say_copy};
use crate::app::Backend;
use crate::cache::{Promise, Store};
use crate::catalog::{CheckedFile, ImageFile};
use crate::cli::Context;
use crate::remote::client::{Credentials, Endpoint, Trust};
use crate::remote::{FetchRequest, Mirror, Remote};
use crate::secrets::Token;

pub(super) async fn resolve(
    source: &str,
    running: &Backend,
    Remote { client, downloads, .. }: &Remote,
    store: &Store,
    context: &Context,
    progress: &mut impl FnMut(&Download) -> Result<(), Problem>,
) -> Result<ImageFile, Problem> {
    let base = Url::parse(&running.url).map_err(|error| lost(running, &error.to_string()))?;
    let token = running.token.as_deref().map(Token::load).transpose()?;
    let credentials = token.map(|token| Credentials::Bearer(token.reveal().to_owned()));
    let trust = running.certificate.clone().map_or(Trust::System, Trust::Certificate);
    let name = "the running backend".into();
    let endpoint = Endpoint { credentials, trust, is_own_backend: true, ..Endpoint::new(name, base) };
    let (id, server) = match source.split_once('@') {
        Some((id, server)) => (id, server.parse::<ServerId>().ok()),
        None => (source, None),
    };
    let query = server.as_ref().map(|server| format!("?server={server}")).unwrap_or_default();
    let path = format!("{}/{id}{query}", paths::CATALOG);
    let merged: MergedEntry = client.json(&endpoint, &path, None::<&()>).await?;
    let MergedEntry { entry, sources, .. } = &merged;
    if let Some(cached) = find(store, entry.sha256).await? {
        say_copy(&merged, &[], context);
        return Ok(ImageFile::of_entry(CheckedFile::of_cache(cached).await?, &merged));
    }
    if sources.iter().any(|source| source.server.is_local()) {
        // The image is in a folder that only the backend knows, so the backend is used like any other server.
        let url =
            endpoint.base.join(&paths::image(&entry.sha256)).map_err(|error| lost(running, &error.to_string()))?;
        let mirrors = vec![Mirror { server: ServerId::local(), endpoint, url, size: Some(entry.size) }];
        let (key, promise) = (entry.sha256, Promise::Digest(entry.sha256));
        let wanted = FetchRequest { key, promise, mirrors, listed: Vec::new() };
        let cached = follow(downloads, wanted, progress, |_| {});
        return Ok(ImageFile::of_entry(CheckedFile::of_cache(cached.await?).await?, &merged));
    }
    // The backend ends the download with this command, unless somebody else wants it.
    let new = NewDownload { key: entry.sha256.to_string(), server, follow: true };
    let lines = client.stream(&endpoint, paths::DOWNLOADS, Some(&new)).await?;
    let mut lines = StreamReader::new(lines.map_err(std::io::Error::other)).lines();
    while let Some(line) = lines.next_line().await.map_err(|error| lost(running, &error.to_string()))? {
        let Ok(state) = serde_json::from_str::<Download>(&line) else { continue };
        progress(&state)?;
        match (state.stage, state.problem) {
            (DownloadStage::Failed, Some(problem)) => return Err(problem),
            (DownloadStage::Cancelled, _) => return Err(cancelled()),
            _ => {}
        }
    }
    let cached = find(store, entry.sha256).await?;
    let cached = cached.ok_or_else(|| lost(running, "the download ended without the image"))?;
    Ok(ImageFile::of_entry(CheckedFile::of_cache(cached).await?, &merged))
}

fn lost(running: &Backend, why: &str) -> Problem {
    Problem::new(
        ProblemCode::NetworkInterrupted,
        format!("The connection to the backend at {} was lost.", running.url),
        why,
        "Try again. What has been downloaded is kept.",
    )
}

fn cancelled() -> Problem {
    Problem::new(
        ProblemCode::Interrupted,
        "The download was cancelled.",
        "Someone cancelled it in the backend.",
        "Start it again. It continues where it ended.",
    )
}
