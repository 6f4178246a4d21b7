use std::time::Duration;

use super::*;
use crate::cache::CacheError;
use crate::database::Database;
use crate::paths::Paths;
use crate::remote::client::Endpoint;
use crate::remote::faulty_server::{Answer, FaultyServer, unused_address};
use pixelrts_shared::{ProblemCode, ServerId};
use sha2::{Digest as _, Sha256};
use url::Url;

fn soon() -> Backoff {
    Backoff::steps(vec![Duration::from_millis(1)]).retries(3)
}

struct Place {
    _folder: tempfile::TempDir,
    paths: Paths,
    downloads: Downloads,
    store: Store,
    scope: Scope,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::below(folder.path());
    std::fs::create_dir_all(paths.images()).unwrap();
    std::fs::create_dir(paths.partial()).unwrap();
    let store = Store::new(&paths, Database::in_memory(&crate::cache::SCHEMA).unwrap());
    let scope = Scope::new();
    let downloads = Downloads::new(store.clone(), Client::default(), scope.clone(), soon(), Timing::default());
    Place { _folder: folder, paths, downloads, store, scope }
}

/// Larger than any buffer on the way.
fn image() -> Vec<u8> {
    b"\x89PNG\r\n\x1a\n".iter().copied().chain((0..600_000_u32).flat_map(u32::to_le_bytes)).collect()
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

fn mirror(name: &str, url: &Url) -> Mirror {
    let endpoint = Endpoint::new(name.into(), url.clone());
    Mirror { server: ServerId::from_name(name), endpoint, url: url.join("x.rts.png").unwrap(), size: None }
}

fn wanted(image: &[u8], mirrors: Vec<Mirror>) -> FetchRequest {
    let key = digest(image);
    let announced = |mirror| Mirror { size: Some(image.len() as u64), ..mirror };
    FetchRequest {
        key,
        promise: Promise::Digest(key),
        mirrors: mirrors.into_iter().map(announced).collect(),
        listed: Vec::new(),
    }
}

/// The first byte of a `Range: bytes=N-`.
fn range(head: &str) -> Option<usize> {
    head.split("range: bytes=").nth(1)?.split('-').next()?.parse().ok()
}

/// Answers a resume as the standard says, else with everything.
fn proper(image: &[u8], head: &str) -> Answer {
    match range(head) {
        Some(from) => {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", image.len() - 1, image.len());
            Answer::new("206 Partial Content", &range, &image[from..])
        }
        None => Answer::new("200 OK", "ETag: \"one\"\r\n", image),
    }
}

fn nothing_left(place: &Place) -> bool {
    place.store.digests().is_empty() && std::fs::read_dir(place.paths.partial()).unwrap().count() == 0
}

#[tokio::test]
async fn an_image_comes_once_and_is_then_here() {
    let (place, image) = (place(), image());
    let body = image.clone();
    let server = FaultyServer::start(move |_, head| proper(&body, head)).await;
    let wanted = wanted(&image, vec![mirror("office", &server.url)]);
    let (first, second) = tokio::join!(place.downloads.fetch(wanted.clone()), place.downloads.fetch(wanted.clone()));
    assert_eq!(std::fs::read(first.unwrap().path).unwrap(), image);
    assert_eq!(second.unwrap().digest, digest(&image));
    let shown = place.downloads.list();
    assert_eq!((shown.len(), shown[0].stage, shown[0].percent), (1, DownloadStage::Cached, Some(100.0)));
    place.downloads.fetch(wanted).await.unwrap();
    assert_eq!(server.count(), 1, "one transfer for all");
}

#[tokio::test]
async fn a_cut_connection_is_continued_with_a_range() {
    let (place, image) = (place(), image());
    let body = image.clone();
    let server = FaultyServer::start(move |number, head| match number {
        0 => proper(&body, head).cut(1_000_000),
        1 => proper(&body, head).cut(500_000),
        _ => proper(&body, head),
    })
    .await;
    let cached = place.downloads.fetch(wanted(&image, vec![mirror("office", &server.url)])).await.unwrap();
    assert_eq!(std::fs::read(cached.path).unwrap(), image);
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.iter().map(|head| range(head)).collect::<Vec<_>>(), [None, Some(1_000_000), Some(1_500_000)]);
    assert!(!requests[1].contains("if-"), "the digest says whether the bytes are right, not the ETag");
}

#[tokio::test]
async fn a_resume_that_does_not_fit_begins_again() {
    let image = image();
    let total = image.len();
    let wrong = [
        ("206 Partial Content", format!("Content-Range: bytes 0-{}/{total}\r\n", total - 1)),
        ("206 Partial Content", format!("Content-Range: bytes 1000000-{}/*\r\n", total - 1)),
        ("206 Partial Content", format!("Content-Range: bytes 1000000-{}/{}\r\n", total - 1, total + 1)),
        ("206 Partial Content", String::new()),
        ("412 Precondition Failed", String::new()),
        ("416 Range Not Satisfiable", format!("Content-Range: bytes */{total}\r\n")),
        // Ignores the range.
        ("200 OK", String::new()),
    ];
    for (status, headers) in wrong {
        let place = place();
        let body = image.clone();
        let server = FaultyServer::start(move |number, _| match number {
            0 => proper(&body, "").cut(1_000_000),
            1 => Answer::new(status, &headers, &body),
            _ => proper(&body, ""),
        })
        .await;
        let cached = place.downloads.fetch(wanted(&image, vec![mirror("office", &server.url)])).await.unwrap();
        assert_eq!(std::fs::read(cached.path).unwrap(), image, "{status}");
    }
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_nothing_is_kept() {
    let (place, image) = (place(), image());
    let mut evil = image.clone();
    evil[700_000] ^= 1;
    let found = digest(&evil);
    let server = FaultyServer::start(move |_, head| proper(&evil, head)).await;
    let problem = place.downloads.fetch(wanted(&image, vec![mirror("evil", &server.url)])).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::HashMismatch);
    let text = problem.to_string();
    for part in [&digest(&image).to_string(), &found.to_string(), "evil"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(nothing_left(&place));
    assert_eq!(place.downloads.list()[0].received, 0, "nothing is shown as kept");
    assert_eq!(server.count(), 1, "no second try of what will not get better");
}

#[tokio::test]
async fn a_bad_server_does_not_keep_a_good_one_from_serving() {
    let (place, image) = (place(), image());
    let (mut evil, good) = (image.clone(), image.clone());
    evil[100] ^= 1;
    let evil = FaultyServer::start(move |_, head| proper(&evil, head)).await;
    let missing = FaultyServer::start(|_, _| Answer::new("404 Not Found", "", b"no")).await;
    let good = FaultyServer::start(move |_, head| proper(&good, head)).await;
    let mirrors = vec![
        mirror("evil", &evil.url),
        mirror("missing", &missing.url),
        mirror("dead", &unused_address().await),
        mirror("good", &good.url),
    ];
    let cached = place.downloads.fetch(wanted(&image, mirrors)).await.unwrap();
    assert_eq!(std::fs::read(cached.path).unwrap(), image);
    assert_eq!(place.downloads.list()[0].source, Some(ServerId::from_name("good")));
    assert_eq!((evil.count(), missing.count(), good.count()), (1, 1, 1));
}

#[tokio::test]
async fn wrong_bytes_from_before_cost_one_clean_try() {
    let (place, image) = (place(), image());
    let partial = place.store.begin(&digest(&image)).unwrap();
    partial.append(&[7; 1000], 1000).unwrap();
    drop(partial);
    let body = image.clone();
    let server = FaultyServer::start(move |_, head| proper(&body, head)).await;
    place.downloads.fetch(wanted(&image, vec![mirror("office", &server.url)])).await.unwrap();
    assert_eq!(server.requests.lock().unwrap().iter().map(|head| range(head)).collect::<Vec<_>>(), [Some(1000), None]);
}

#[tokio::test]
async fn nothing_is_taken_beyond_the_announced_size() {
    let (place, image) = (place(), image());
    let mut body = image.clone();
    body.extend([0; 100_000]);
    let endless = FaultyServer::start(move |_, _| Answer {
        head: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned(),
        body: body.clone(),
        hang: true,
    })
    .await;
    let cached = place.downloads.fetch(wanted(&image, vec![mirror("endless", &endless.url)])).await.unwrap();
    assert_eq!(std::fs::read(cached.path).unwrap(), image);
}

#[tokio::test]
async fn what_may_pass_is_tried_four_times_and_told_apart() {
    let image = image();
    for (status, code, tries) in [
        ("500 Oops", ProblemCode::RemoteFailed, 4),
        ("503 Busy", ProblemCode::RemoteFailed, 4),
        ("404 Not Found", ProblemCode::RemoteNotFound, 1),
        ("403 Forbidden", ProblemCode::RemoteDenied, 1),
        ("401 Unauthorized", ProblemCode::RemoteDenied, 1),
    ] {
        let place = place();
        let server = FaultyServer::start(move |_, _| Answer::new(status, "", b"")).await;
        let problem = place.downloads.fetch(wanted(&image, vec![mirror("office", &server.url)])).await.unwrap_err();
        assert_eq!((problem.code, server.count()), (code, tries), "{status}");
        assert_eq!(place.downloads.list()[0].problem.as_ref(), Some(&problem));
    }
    let place = place();
    let problem =
        place.downloads.fetch(wanted(&image, vec![mirror("dead", &unused_address().await)])).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::NetworkRefused);
}

#[tokio::test]
async fn a_cancel_keeps_what_is_there_for_the_next_start() {
    let (place, image) = (place(), image());
    let body = image.clone();
    let server = FaultyServer::start(move |number, head| match number {
        0 => proper(&body, head).cut(1_000_000).hanging(),
        _ => proper(&body, head),
    })
    .await;
    let wanted = wanted(&image, vec![mirror("office", &server.url)]);
    let id = place.downloads.start(wanted.clone()).id;
    let mut shown = place.downloads.watch(&id).unwrap();
    shown.wait_for(|now| now.received >= 500_000).await.unwrap();
    let kept = shown.borrow().received;
    place.downloads.cancel(&id).unwrap();
    shown.wait_for(|now| now.stage == DownloadStage::Cancelled).await.unwrap();
    let cached = place.downloads.fetch(wanted).await.unwrap();
    assert_eq!(std::fs::read(cached.path).unwrap(), image);
    assert!(range(&server.requests.lock().unwrap()[1]).is_some_and(|from| from as u64 >= kept));
}

#[tokio::test]
async fn a_shutdown_ends_the_wait() {
    let (place, image) = (place(), image());
    let server = FaultyServer::start(|_, _| Answer::new("200 OK", "", b"").hanging()).await;
    let fetching = place.downloads.fetch(wanted(&image, vec![mirror("office", &server.url)]));
    place.scope.token().cancel();
    assert_eq!(fetching.await.unwrap_err().code, ProblemCode::Interrupted);
}

/// A server that sends a part of the image and then nothing more, and an interest in its download, which has begun.
async fn begun(place: &Place, image: &[u8]) -> (FaultyServer, FetchRequest, Interest) {
    let body = image.to_owned();
    let server = FaultyServer::start(move |_, head| proper(&body, head).cut(1_000_000).hanging()).await;
    let wanted = wanted(image, vec![mirror("office", &server.url)]);
    let interest = place.downloads.join(wanted.clone());
    interest.watch().wait_for(|now| now.received >= 500_000).await.unwrap();
    (server, wanted, interest)
}

#[tokio::test]
async fn a_download_ends_with_the_last_who_wants_it_and_keeps_its_bytes() {
    let (place, image) = (place(), image());
    let (server, wanted, first) = begun(&place, &image).await;
    let mut shown = first.watch();
    let waiting = place.downloads.clone();
    let second = place.scope.spawn(async move { waiting.fetch(wanted).await });
    while first.count() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!shown.borrow().stage.is_over(), "another one still wants it");
    second.abort();
    shown.wait_for(|now| now.stage == DownloadStage::Cancelled).await.unwrap();
    assert_eq!(server.count(), 1);
    // The thread that writes may hold the lock for a moment longer.
    let begun = async {
        loop {
            match place.store.begin(&digest(&image)) {
                Err(CacheError::Locked) => tokio::time::sleep(Duration::from_millis(10)).await,
                begun => return begun.unwrap(),
            }
        }
    };
    let partial = tokio::time::timeout(Duration::from_secs(10), begun).await.expect("the lock ends with the download");
    assert!(partial.received() >= 500_000);
}

#[tokio::test]
async fn what_a_person_started_goes_on_until_somebody_cancels_it() {
    let (place, image) = (place(), image());
    let (_server, wanted, first) = begun(&place, &image).await;
    let mut shown = first.watch();
    let id = place.downloads.start(wanted).id;
    drop(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!shown.borrow().stage.is_over());
    place.downloads.cancel(&id).unwrap();
    shown.wait_for(|now| now.stage == DownloadStage::Cancelled).await.unwrap();
}

mod trials;
