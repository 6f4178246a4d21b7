//! An image goes from a catalog server to a shell host, two processes, and is verified.

use anyhow::{Result, ensure};
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{ProblemCode, paths};
use pixelrts_tests::{Home, LINUX, Serve, StaticServer, good, sample, sha256};
use serde_json::json;

const ID: &str = "linux-busybox";

/// Follows a download to its end. Returns all lines of its stream.
async fn follow(host: &Serve, download: &Download) -> Result<Vec<Download>> {
    let text = good(host.get(&paths::download_stream(&download.id))).await?.text().await?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

async fn start_download(host: &Serve, entry: &Entry) -> Result<Download> {
    Ok(good(host.post(paths::DOWNLOADS, &json!({"key": entry.sha256}))).await?.json().await?)
}

#[tokio::test]
async fn an_image_is_listed_fetched_with_progress_verified_and_then_served_from_the_cache() -> Result<()> {
    let image = std::fs::read(sample(LINUX)?)?;
    let (server_home, home) = (Home::new()?, Home::new()?);
    let server = Serve::catalog(&server_home, sample(LINUX)?.parent().expect("a file is in a folder")).await?;
    let host = Serve::start(&home, &[]).await?;

    let server_id = host.add_server(&server.url, "Next door").await?;
    let listed = host.entry(ID, |entry| !entry.cached).await?;
    let entry = listed.entry;
    ensure!(entry.sha256.to_string() == sha256(&image) && entry.size == image.len() as u64, "{entry:?}");
    ensure!(listed.sources.len() == 1 && listed.sources[0].name == "Next door", "{:?}", listed.sources);

    let download = start_download(&host, &entry).await?;
    let events = follow(&host, &download).await?;
    let last = events.last().expect("a stream has at least one line");
    ensure!(last.stage == DownloadStage::Cached && last.received == entry.size, "{last:?}");
    ensure!(events.is_sorted_by_key(|event| event.received), "progress goes forward: {events:?}");
    ensure!(events.iter().all(|event| event.total.is_none_or(|total| total == entry.size)), "{events:?}");

    let [cached] = home.cached().try_into().map_err(|files| anyhow::anyhow!("one image is cached, not {files:?}"))?;
    ensure!(cached.ends_with(format!("{}.rts.png", entry.sha256)) && std::fs::read(&cached)? == image);
    ensure!(home.partial().is_empty(), "{:?}", home.partial());
    host.entry(ID, |entry| entry.cached).await?;

    // From here on, a request to the server would fail.
    server.stop().await?;
    let again = follow(&host, &start_download(&host, &entry).await?).await?;
    ensure!(again.last().is_some_and(|event| event.stage == DownloadStage::Cached), "{again:?}");
    let reply = good(host.get(&format!("{}?id={ID}&server={server_id}", paths::REMOTE_FETCH))).await?;
    ensure!(reply.bytes().await? == image);
    let local = home.run(&["verify", &cached.to_string_lossy(), "--deep"]).await?;
    local.good()?;
    host.stop().await
}

#[tokio::test]
async fn fetching_streams_the_bytes_through_the_cache() -> Result<()> {
    let image = std::fs::read(sample(LINUX)?)?;
    let (server_home, home) = (Home::new()?, Home::new()?);
    let server = Serve::catalog(&server_home, sample(LINUX)?.parent().expect("a file is in a folder")).await?;
    let host = Serve::start(&home, &[]).await?;
    let server_id = host.add_server(&server.url, "Next door").await?;
    host.entry(ID, |_| true).await?;
    let path = format!("{}?id={ID}&server={server_id}", paths::REMOTE_FETCH);

    let reply = good(host.get(&path)).await?;
    ensure!(reply.content_length() == Some(image.len() as u64), "{:?}", reply.headers());
    ensure!(reply.bytes().await? == image);
    host.entry(ID, |entry| entry.cached).await?;
    let part = good(host.get(&path).header("Range", "bytes=1000-1999")).await?;
    ensure!(part.status() == 206 && part.bytes().await? == image[1000..2000]);
    Ok(())
}

#[tokio::test]
async fn one_wrong_byte_on_the_server_is_refused_and_nothing_is_cached() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::start(&home, &[]).await?;
    let liar = StaticServer::with_one_wrong_byte().await?;
    host.add_server(&liar.url, "Liar").await?;
    let entry = host.entry(ID, |_| true).await?.entry;

    let events = follow(&host, &start_download(&host, &entry).await?).await?;
    let last = events.last().expect("a stream has at least one line");
    let problem = last.problem.clone().expect("a failed download says why");
    ensure!(last.stage == DownloadStage::Failed && problem.code == ProblemCode::HashMismatch, "{last:?}");
    ensure!(problem.to_string().contains(&entry.sha256.to_string()), "it names what was promised: {problem}");
    ensure!(home.cached().is_empty(), "{:?}", home.cached());
    host.entry(ID, |entry| !entry.cached).await?;

    let refused = home.run(&["--json", "boot", &format!("{}/{LINUX}", liar.url), "--serial", "none"]).await?;
    ensure!(refused.code != Some(0), "a URL without a promise is still checked as an image: {refused:?}");
    Ok(())
}
