//! The router on a real listener, with a second instance as catalog server.

mod catalog_view;

use std::path::Path;
use std::time::Duration;

use pixelrts_shared::boot_decision::ShellSettings;
use pixelrts_shared::catalog::{Catalog, MergedCatalog, Role as SegmentRole};
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::emblem::{Emblem, Part};
use pixelrts_shared::health::{BackendHealth, HealthStatus};
use pixelrts_shared::image_status::Status;
use pixelrts_shared::machine::{BootAccepted, Machine, Net};
use pixelrts_shared::server::{Server, ServerFound};
use pixelrts_shared::{Digest, Problem, ProblemCode, Size, paths};
use reqwest::header::{CONTENT_TYPE, HOST, ORIGIN};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use crate::app::{self, BackendSettings, Live, Role};
use crate::bootstrap;
use crate::config::Loaded;
use crate::image::{Metadata, Pack, SegmentFile};
use crate::paths::Paths;
use crate::remote::faulty_server::{Answer, FaultyServer, unused_address};
use crate::remote::{Client, Proxies};
use crate::task::Scope;

mod arranged;
mod cache;
mod import;

/// A backend of its own, with folders of its own.
struct Instance {
    url: String,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    _scope: Running,
}

/// Stops it when the test ends.
struct Running(Scope);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.token().cancel();
    }
}

impl Instance {
    async fn start(role: Role) -> Self {
        Self::with(role, |_| {}).await
    }

    async fn with(role: Role, fill: impl FnOnce(&Path)) -> Self {
        Self::set(role, fill, |_| {}).await
    }

    async fn set(role: Role, fill: impl FnOnce(&Path), change: impl FnOnce(&mut BackendSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        let images = folder.path().join("images");
        std::fs::create_dir(&images).unwrap();
        fill(&images);
        let mut settings = BackendSettings {
            role,
            name: "test".to_owned(),
            catalogs: vec![images],
            named: true,
            allowed_hosts: Vec::new(),
            insecure_http: false,
            tls: None,
            token: paths.token(),
            private: false,
            bootstrap: bootstrap::BootstrapSettings::default(),
            live: watch::channel(Live::of(&Loaded::default())).1,
            published: None,
            proxies: Proxies::default(),
            paths,
        };
        change(&mut settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scope = Scope::new();
        let (told, url) = oneshot::channel();
        let ready = |ready: &app::Ready| told.send(ready.url.clone()).unwrap();
        scope.spawn_careful(app::run(settings, listener, ready, scope.token().clone()));
        // Installs what TLS needs, once.
        drop(Client::default());
        Self { url: url.await.unwrap(), folder, http: reqwest::Client::new(), _scope: Running(scope) }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn get(&self, path: &str) -> Response {
        self.http.get(self.at(path)).send().await.unwrap()
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        self.get(path).await.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.http.post(self.at(path)).json(body).send().await.unwrap()
    }

    async fn add_server(&self, url: &str, name: &str) -> Server {
        let reply = self.post(paths::SERVERS, &json!({"url": url, "name": name})).await;
        assert_eq!(reply.status(), StatusCode::CREATED);
        reply.json().await.unwrap()
    }

    /// The merged catalog once all servers have answered or failed.
    async fn merged(&self) -> MergedCatalog {
        let settled = async {
            loop {
                let merged: MergedCatalog = self.read(paths::CATALOG_REMOTE).await;
                if !merged.stale {
                    return merged;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settled).await.expect("servers answer or fail in time")
    }

    fn cached(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("c/remote")).unwrap().count()
    }
}

/// A real image of some strips; another `seed` gives another one.
fn pack(folder: &Path, name: &str, seed: u32) -> Vec<u8> {
    let metadata =
        Metadata { name: Some(format!("Image {name}")), distro: Some("testos".to_owned()), ..Metadata::default() };
    pack_as(folder, name, seed, metadata)
}

fn pack_as(folder: &Path, name: &str, seed: u32, metadata: Metadata) -> Vec<u8> {
    let kernel = folder.join(format!(".{name}.kernel"));
    let mut state = seed;
    let noise = (0..900_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    std::fs::write(&kernel, noise.collect::<Vec<u8>>()).unwrap();
    let pack = Pack {
        metadata,
        segments: vec![SegmentFile { name: "kernel".to_owned(), role: SegmentRole::Kernel, path: kernel.clone() }],
        ..Pack::default()
    };
    let path = folder.join(format!("{name}.rts.png"));
    pack.write(&path, &mut |_, _| {}).unwrap();
    std::fs::remove_file(kernel).unwrap();
    std::fs::read(path).unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

async fn problem(reply: Response) -> Problem {
    assert_eq!(reply.headers()[CONTENT_TYPE], "application/problem+json");
    let id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
    let status = reply.status().as_u16();
    let problem: Problem = reply.json().await.unwrap();
    assert_eq!(problem.request_id.as_ref(), Some(&id));
    assert_eq!(problem.code.status(), status);
    problem
}

#[tokio::test]
async fn an_image_goes_from_a_catalog_server_through_the_cache() {
    let mut image = Vec::new();
    let office = Instance::with(Role::Catalog, |folder| image = pack(folder, "debian", 1)).await;
    let shell = Instance::start(Role::Shell).await;
    let key = digest(&image);

    let own: Catalog = office.read(paths::CATALOG).await;
    assert_eq!((own.entries.len(), own.entries[0].sha256, own.entries[0].size), (1, key, image.len() as u64));
    assert_eq!(own.entries[0].segments[0].role, SegmentRole::Kernel);
    let found: ServerFound = shell.post(paths::SERVERS_CHECK, &json!({"url": office.url})).await.json().await.unwrap();
    assert_eq!((found.name.as_str(), found.entries), ("test", 1));
    let server = shell.add_server(&office.url, "Office").await;
    let merged = shell.merged().await;
    let entry = &merged.entries[0];
    assert_eq!((entry.entry.sha256, entry.cached, entry.status), (key, false, Status::Idle));
    assert_eq!(entry.sources[0].server, server.id);

    let picture = shell.get(&paths::thumbnail(&key, Some(&server.id))).await;
    assert_eq!(picture.headers()[CONTENT_TYPE], "image/png");

    let started = shell.post(paths::DOWNLOADS, &json!({"key": "debian"})).await;
    assert_eq!(started.status(), StatusCode::ACCEPTED);
    let started: Download = started.json().await.unwrap();
    let lines = shell.get(&paths::download_stream(&started.id)).await.text().await.unwrap();
    let states: Vec<Download> =
        lines.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = states.last().unwrap();
    assert_eq!((last.stage, last.received, last.percent), (DownloadStage::Cached, image.len() as u64, Some(100.0)));
    assert!(states.is_sorted_by_key(|state| state.received), "progress never goes back");

    assert!(shell.merged().await.entries[0].cached);
    drop(office);
    let bytes = shell.get(&format!("{}?id=debian&server=office", paths::REMOTE_FETCH)).await.bytes().await.unwrap();
    assert_eq!(bytes, image, "a hit needs no server");
}

#[tokio::test]
async fn fetching_streams_the_bytes_while_they_are_stored() {
    let mut image = Vec::new();
    let office = Instance::with(Role::Catalog, |folder| image = pack(folder, "debian", 2)).await;
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(&office.url, "Office").await;
    shell.merged().await;
    let reply = shell.get(&format!("{}?id=debian", paths::REMOTE_FETCH)).await;
    assert_eq!(reply.content_length(), Some(image.len() as u64));
    assert_eq!(reply.headers()["etag"], format!("\"{}\"", digest(&image)));
    assert_eq!(reply.bytes().await.unwrap(), image);
    assert_eq!(shell.cached(), 1);
}

#[tokio::test]
async fn a_flipped_byte_is_refused_and_nothing_is_cached() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack(folder.path(), "debian", 3);
    let key = digest(&image);
    let size = image.len();
    let evil = FaultyServer::start(move |_, head| {
        if head.starts_with("get /api/v1/catalog") {
            let entry = json!({"id": "debian", "name": "D", "size": size, "sha256": key});
            let catalog = json!({"format": 1, "name": "x", "generated_at": "", "entries": [entry]});
            return Answer::new("200 OK", "Content-Type: application/json\r\n", catalog.to_string().as_bytes());
        }
        let mut flipped = image.clone();
        flipped[size / 2] ^= 1;
        Answer::new("200 OK", "", &flipped)
    })
    .await;
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(evil.url.as_str(), "Evil").await;
    shell.merged().await;
    // The answer is a refusal, or breaks before its end: while its head is sent or later.
    let bytes = async {
        let reply = shell.http.get(shell.at(&format!("{}?id=debian", paths::REMOTE_FETCH))).send().await?;
        reply.error_for_status()?.bytes().await
    };
    bytes.await.expect_err("an answer with wrong bytes never ends well");
    let downloads: Vec<Download> = shell.read(paths::DOWNLOADS).await;
    let problem = downloads[0].problem.as_ref().unwrap();
    assert_eq!((downloads[0].stage, problem.code), (DownloadStage::Failed, ProblemCode::HashMismatch));
    assert!(problem.to_string().contains(&key.to_string()) && problem.to_string().contains("Evil"));
    assert_eq!(shell.cached(), 0);
    assert_eq!(shell.merged().await.entries[0].status, Status::Error);
}

#[tokio::test]
async fn dead_and_broken_servers_do_not_hide_a_good_one() {
    let office = Instance::with(Role::Catalog, |folder| drop(pack(folder, "debian", 4))).await;
    let garbage = FaultyServer::start(|_, _| Answer::new("200 OK", "Content-Type: application/json\r\n", b"{]")).await;
    let page = FaultyServer::start(|_, _| Answer::new("200 OK", "Content-Type: text/html\r\n", b"<p>hello")).await;
    let huge = FaultyServer::start(|_, _| Answer::new("200 OK", "", &vec![b' '; 9 << 20])).await;
    let denied = FaultyServer::start(|_, _| Answer::new("403 Forbidden", "", b"")).await;
    let slow = FaultyServer::start(|_, _| Answer { head: String::new(), body: Vec::new(), hang: true }).await;
    let shell = Instance::start(Role::Shell).await;
    let dead = unused_address().await;
    for (name, url) in [("dead", &dead), ("garbage", &garbage.url), ("page", &page.url), ("huge", &huge.url)] {
        shell.add_server(url.as_str(), name).await;
    }
    shell.add_server(denied.url.as_str(), "denied").await;
    shell.add_server("http://name.invalid", "unknown").await;
    shell.add_server(&office.url, "office").await;
    let merged = shell.merged().await;
    let mut codes: Vec<_> = merged.errors.iter().map(|e| (e.server.to_string(), e.problem.code)).collect();
    codes.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("dead", ProblemCode::NetworkRefused),
        ("denied", ProblemCode::RemoteDenied),
        ("garbage", ProblemCode::BadCatalog),
        ("huge", ProblemCode::BadCatalog),
        ("page", ProblemCode::RemoteWebPage),
        ("unknown", ProblemCode::NetworkDns),
    ];
    assert_eq!(codes, expected.map(|(name, code)| (name.to_owned(), code)));
    assert_eq!(merged.entries.len(), 1);
    // One that says nothing is waited for by nobody.
    shell.add_server(slow.url.as_str(), "slow").await;
    let merged: MergedCatalog = shell.read(paths::CATALOG_REMOTE).await;
    assert!(merged.stale && merged.entries.len() == 1);
}

#[tokio::test]
async fn entries_that_are_left_out_stand_in_the_health_of_their_server() {
    let server = pixelrts_testing::fault_server::FaultServer::start(*b"an image");
    let shell = Instance::start(Role::Shell).await;
    let added = shell.add_server(&server.base("catbadentry"), "office").await;
    let found = shell.post(&paths::server_check(&added.id), &json!(null)).await;
    let found: ServerFound = found.json().await.unwrap();
    assert_eq!((found.entries, found.left_out.count), (1, 1));
    let listed: Vec<Server> = shell.read(paths::SERVERS).await;
    let left_out = &listed[0].health.left_out;
    assert_eq!((left_out.first[0].id.as_str(), left_out.first[0].reason.as_str()), ("nothing", "its size is missing"));
    assert_eq!(found.left_out, *left_out);
    let unknown = shell.post(&paths::server_check(&"nobody".parse().unwrap()), &json!(null)).await;
    assert_eq!(problem(unknown).await.code, ProblemCode::ServerNotFound);
}

#[tokio::test]
async fn a_static_catalog_below_a_path_is_a_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack(folder.path(), "debian", 5);
    let (key, size) = (digest(&image), image.len());
    let server = FaultyServer::start(move |_, head| match head.split(' ').nth(1) {
        Some("/pub/catalog.json") => {
            let entry = json!({"id": "debian", "name": "D", "size": size, "sha256": key, "url": "files/d.rts.png"});
            let catalog = json!({"format": 1, "name": "x", "generated_at": "", "entries": [entry]});
            Answer::new("200 OK", "", catalog.to_string().as_bytes())
        }
        Some("/pub/files/d.rts.png") => Answer::new("200 OK", "", &image),
        _ => Answer::new("404 Not Found", "Content-Type: text/html\r\n", b"no"),
    })
    .await;
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(server.url.join("pub").unwrap().as_str(), "static").await;
    assert_eq!(shell.merged().await.entries.len(), 1);
    let reply = shell.get(&format!("{}?id={key}", paths::REMOTE_FETCH)).await;
    assert_eq!(reply.bytes().await.unwrap().len(), size);
}

#[tokio::test]
async fn images_are_served_in_ranges_and_under_conditions() {
    let mut image = Vec::new();
    let office = Instance::with(Role::Catalog, |folder| image = pack(folder, "debian", 6)).await;
    let _: Catalog = office.read(paths::CATALOG).await;
    let key = digest(&image);
    let (etag, other) = (format!("\"{key}\""), "\"other\"");
    let path = paths::image(&key);
    let ask = |pairs: &[(&str, &str)]| {
        let request = office.http.get(office.at(&path));
        pairs.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    for (pairs, status, body) in [
        (vec![], 200, &image[..]),
        (vec![("range", "bytes=10-19")], 206, &image[10..20]),
        (vec![("range", "bytes=-5")], 206, &image[image.len() - 5..]),
        (vec![("range", "bytes=10-19"), ("if-range", etag.as_str())], 206, &image[10..20]),
        (vec![("range", "bytes=10-19"), ("if-range", other)], 200, &image[..]),
        (vec![("if-none-match", etag.as_str())], 304, &[]),
        (vec![("if-match", etag.as_str())], 200, &image[..]),
    ] {
        let reply = ask(&pairs).await.unwrap();
        assert_eq!(reply.status(), status, "{pairs:?}");
        assert!(reply.headers()["repr-digest"].to_str().unwrap().starts_with("sha-256=:"));
        assert_eq!(reply.bytes().await.unwrap(), body, "{pairs:?}");
    }
    assert_eq!(problem(ask(&[("if-match", other)]).await.unwrap()).await.code, ProblemCode::PreconditionFailed);
    let outside = ask(&[("range", "bytes=99999999-")]).await.unwrap();
    assert_eq!(problem(outside).await.code, ProblemCode::RangeNotSatisfiable);
    let head = office.http.head(office.at(&path)).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], image.len().to_string());
    assert!(office.get(&paths::thumbnail(&key, None)).await.bytes().await.unwrap().starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn lists_answer_304_until_they_change() {
    let shell = Instance::start(Role::Shell).await;
    let first = shell.get(paths::SERVERS).await;
    let etag = first.headers()["etag"].clone();
    let again = || shell.http.get(shell.at(paths::SERVERS)).header("if-none-match", etag.clone()).send();
    assert_eq!(again().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let added = shell
        .http
        .post(shell.at(paths::SERVERS))
        .json(&json!({"url": unused_address().await.as_str(), "auth": "secret"}));
    let text = added.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("\"auth\":true") && !text.contains("secret"));
    assert_eq!(again().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn refusals_are_problems_with_the_requests_id() {
    let shell = Instance::start(Role::Shell).await;
    assert_eq!(problem(shell.get("/api/v1/nothing").await).await.code, ProblemCode::RouteNotFound);
    assert_eq!(problem(shell.get("/no-such-file.js").await).await.code, ProblemCode::RouteNotFound);
    let put = shell.http.put(shell.at(paths::SERVERS)).send().await.unwrap();
    assert_eq!(problem(put).await.code, ProblemCode::MethodNotAllowed);
    assert_eq!(problem(shell.post(paths::SERVERS, &json!({"link": 1})).await).await.code, ProblemCode::Usage);
    assert_eq!(problem(shell.post(paths::SERVERS, &json!({"url": "ftp://a"})).await).await.code, ProblemCode::Usage);
    assert_eq!(problem(shell.get("/api/v1/catalog/none").await).await.code, ProblemCode::EntryNotFound);
    let large = shell.post(paths::SERVERS, &json!({"url": "a".repeat(300 << 10)})).await;
    assert_eq!(problem(large).await.code, ProblemCode::GuardTooLarge);
    let plain = shell.http.post(shell.at(paths::SERVERS)).body("{}").send().await.unwrap();
    assert_eq!(problem(plain).await.code, ProblemCode::GuardContentType);
    let rebound = shell.http.get(shell.at(paths::HEALTH)).header(HOST, "evil.example").send().await.unwrap();
    assert_eq!(problem(rebound).await.code, ProblemCode::GuardHost);
    let foreign = shell.http.post(shell.at(paths::CATALOG_REFRESH)).header(ORIGIN, "http://evil.example");
    assert_eq!(problem(foreign.send().await.unwrap()).await.code, ProblemCode::GuardOrigin);
}

#[tokio::test]
async fn role_catalog_has_no_other_routes() {
    let office = Instance::start(Role::Catalog).await;
    for path in [paths::SERVERS, paths::DOWNLOADS, paths::CATALOG_REMOTE, paths::REMOTE_FETCH, "/x"] {
        assert_eq!(problem(office.get(path).await).await.code, ProblemCode::RouteNotFound, "{path}");
    }
    assert_eq!(problem(office.post(paths::CATALOG, &json!({})).await).await.code, ProblemCode::MethodNotAllowed);
}

#[tokio::test]
async fn a_person_who_opens_a_catalog_server_sees_what_it_has() {
    let office = Instance::with(Role::Catalog, |folder| drop(pack(folder, "debian", 50))).await;
    let page = office.get("/?q=image").await;
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("script-src"), "{policy}");
    let page = page.text().await.unwrap();
    assert!(page.contains("Image debian") && page.contains(&format!("pixelrts servers add {}", office.url)), "{page}");
    assert!(page.contains(&Emblem::new(Some("testos"), "Image debian").svg(Part::Plate)));
}

#[tokio::test]
async fn a_broken_file_is_left_out_and_health_says_why() {
    let office = Instance::with(Role::Catalog, |folder| {
        pack(folder, "good", 7);
        std::fs::write(folder.join("bad.rts.png"), b"not a picture").unwrap();
    })
    .await;
    let catalog: Catalog = office.read(paths::CATALOG).await;
    assert_eq!(catalog.entries.len(), 1);
    let health: BackendHealth = office.read(paths::HEALTH).await;
    let problem = health.modules[0].problem.as_ref().unwrap();
    assert_eq!(problem.code, ProblemCode::NotAnImage);
    assert!(problem.context.as_ref().unwrap().contains("bad.rts.png"));
}

#[tokio::test]
async fn the_same_id_with_other_bytes_must_be_told_apart() {
    let a = Instance::with(Role::Catalog, |folder| drop(pack(folder, "debian", 8))).await;
    let b = Instance::with(Role::Catalog, |folder| drop(pack(folder, "debian", 9))).await;
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(&a.url, "a").await;
    shell.add_server(&b.url, "b").await;
    assert_eq!(shell.merged().await.entries.len(), 2);
    let ambiguous = problem(shell.get("/api/v1/catalog/debian").await).await;
    assert_eq!(ambiguous.code, ProblemCode::Ambiguous);
    for entry in shell.merged().await.entries {
        assert!(ambiguous.context.as_ref().unwrap().contains(&entry.entry.sha256.to_string()));
    }
    assert_eq!(shell.get("/api/v1/catalog/debian@a").await.status(), StatusCode::OK);
    assert_eq!(shell.get("/api/v1/catalog/debian?server=b").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn events_begin_with_what_there_is_and_end_at_shutdown() {
    let shell = Instance::start(Role::Shell).await;
    let mut events = shell.get(paths::EVENTS).await;
    let mut seen = String::new();
    while !["servers", "entries"].iter().all(|kind| seen.contains(&format!("event: {kind}"))) {
        let piece = tokio::time::timeout(Duration::from_secs(30), events.chunk()).await;
        seen += std::str::from_utf8(&piece.expect("an event in time").unwrap().unwrap()).unwrap();
    }
    drop(shell);
    let end = async { while events.chunk().await.is_ok_and(|piece| piece.is_some()) {} };
    tokio::time::timeout(Duration::from_secs(30), end).await.expect("the stream ends with the backend");
}

/// The events that come within a moment: id and kind of each.
async fn events(shell: &Instance, last: Option<&str>) -> Vec<(String, String)> {
    let request = shell.http.get(shell.at(paths::EVENTS));
    let request = last.iter().fold(request, |request, last| request.header("Last-Event-ID", *last));
    let (mut response, mut text) = (request.send().await.unwrap(), String::new());
    while let Ok(piece) = tokio::time::timeout(Duration::from_secs(1), response.chunk()).await {
        text += std::str::from_utf8(&piece.unwrap().unwrap()).unwrap();
    }
    let event = |event: &str| {
        let field = |name| event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        Some((field("id:")?, field("event:")?))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[tokio::test]
async fn a_client_gets_after_a_gap_what_it_has_missed() {
    let (shell, other) = (Instance::start(Role::Shell).await, Instance::start(Role::Shell).await);
    let _: Catalog = shell.read(paths::CATALOG).await;
    let first = events(&shell, None).await;
    for kind in ["servers", "entries", "machines"] {
        assert!(first.iter().any(|(_, other)| other == kind), "{kind}: {first:?}");
    }
    let last = first.last().unwrap().0.as_str();
    assert_eq!(events(&shell, Some(last)).await, [], "nothing has happened");
    shell.add_server(&other.url, "Other").await;
    shell.merged().await;
    let missed = events(&shell, Some(last)).await;
    assert!(missed.iter().any(|(_, kind)| kind == "servers"), "{missed:?}");
    assert!(missed.iter().all(|(id, _)| first.iter().all(|(before, _)| before != id)));
    let restarted = events(&other, Some(last)).await;
    assert_eq!(restarted[0].1, "reset", "{restarted:?}");
}

#[tokio::test]
async fn machines_and_boots_of_what_does_not_exist_are_refused() {
    let shell = Instance::start(Role::Shell).await;
    assert!(shell.read::<Vec<Machine>>(paths::MACHINES).await.is_empty());
    let id = "m7k2p9qa".parse().unwrap();
    assert_eq!(problem(shell.get(&paths::machine(&id)).await).await.code, ProblemCode::MachineNotFound);
    let stop = shell.http.post(shell.at(&paths::machine_stop(&id))).send().await.unwrap();
    assert_eq!(problem(stop).await.code, ProblemCode::MachineNotFound);
    assert_eq!(problem(shell.get(&paths::machine_serial(&id)).await).await.code, ProblemCode::Usage);
    let boot = shell.http.post(shell.at(&paths::entry_boot(&digest(b"")))).send().await.unwrap();
    assert_eq!(problem(boot).await.code, ProblemCode::EntryNotFound);
    for (source, code) in
        [("no-such@local", ProblemCode::EntryNotFound), ("no-such@office", ProblemCode::ServerNotFound)]
    {
        let boot = shell.post(paths::BOOT, &json!({"source": source, "memory": "1G"})).await;
        assert_eq!(problem(boot).await.code, code, "{source}");
    }
}

#[tokio::test]
async fn the_settings_say_what_a_machine_gets_and_what_the_computer_has() {
    let shell = Instance::start(Role::Shell).await;
    let ShellSettings { boot, .. } = shell.read(paths::SETTINGS).await;
    assert_eq!(
        (boot.defaults.memory.to_string().as_str(), boot.defaults.cpus, boot.defaults.net),
        ("2G", 2, Net::Restricted)
    );
    assert!(boot.defaults.cmdline.starts_with("console=tty"), "{}", boot.defaults.cmdline);
    assert!(boot.limits.cpus >= 1 && boot.limits.memory.bytes() > 64 << 20, "{:?}", boot.limits);
}

#[tokio::test]
async fn new_defaults_are_announced_to_pages_that_are_open() {
    let (config, live) = watch::channel(Live::of(&Loaded::default()));
    let shell = Instance::set(Role::Shell, |_| {}, |settings| settings.live = live).await;
    let mut events = shell.get(paths::EVENTS).await;
    config.send_modify(|live| live.boot.memory = Size::from_mebibytes(384));
    let announced = async {
        let mut said = String::new();
        while !said.contains("event: settings") {
            said += &String::from_utf8_lossy(&events.chunk().await.unwrap().expect("the stream goes on"));
        }
    };
    tokio::time::timeout(Duration::from_secs(30), announced).await.expect("an event follows the change");
    let ShellSettings { boot, .. } = shell.read(paths::SETTINGS).await;
    assert_eq!(boot.defaults.memory, Size::from_mebibytes(384));
}

#[tokio::test]
async fn a_request_is_an_object() {
    let shell = Instance::start(Role::Shell).await;
    for body in [json!([]), json!(["small"]), json!(7), json!(null)] {
        let refused = problem(shell.post(&paths::entry_boot(&digest(b"")), &body).await).await;
        assert_eq!(refused.code, ProblemCode::Usage, "{body}");
    }
}

#[tokio::test]
async fn a_machine_gets_what_its_image_asks_for_and_a_note_says_where_not() {
    let asks = |memory: &str, cpus: &str, net: &str| Metadata {
        memory: Some(memory.to_owned()),
        cpus: Some(cpus.to_owned()),
        net: Some(net.to_owned()),
        ..Metadata::default()
    };
    let shell = Instance::with(Role::Shell, |folder| {
        pack_as(folder, "small", 11, asks("64M", "1", "none"));
        pack_as(folder, "odd", 12, asks("lots", "many", "internet"));
    })
    .await;
    shell.merged().await;
    let boot = async |key: &str, body: Value| -> Machine {
        let reply = shell.post(&format!("{}/{key}/boot", paths::CATALOG), &body).await;
        assert_eq!(reply.status(), StatusCode::ACCEPTED);
        let accepted: BootAccepted = reply.json().await.unwrap();
        let machine = shell.read(&paths::machine(&accepted.machine_id)).await;
        shell.http.delete(shell.at(&paths::machine(&accepted.machine_id))).send().await.unwrap();
        machine
    };
    let machine = boot("small", json!({})).await;
    assert_eq!((machine.memory.to_string().as_str(), machine.cpus, machine.notes), ("64M", 1, vec![]));
    let machine = boot("small", json!({"memory": "96M"})).await;
    assert_eq!((machine.memory.to_string().as_str(), machine.cpus), ("96M", 1));
    let machine = boot("odd", json!({})).await;
    assert_eq!(
        (machine.memory.to_string().as_str(), machine.cpus, machine.notes.len()),
        ("2G", 2, 3),
        "{:?}",
        machine.notes
    );
    assert!(machine.notes[2].contains("may not ask for more than the default"), "{:?}", machine.notes);
}

#[tokio::test]
async fn a_shell_is_not_offered_to_the_network_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let settings = BackendSettings {
        role: Role::Shell,
        name: "test".to_owned(),
        catalogs: Vec::new(),
        named: true,
        allowed_hosts: Vec::new(),
        insecure_http: false,
        tls: None,
        token: folder.path().join("token"),
        private: false,
        bootstrap: bootstrap::BootstrapSettings::default(),
        live: watch::channel(Live::of(&Loaded::default())).1,
        published: None,
        proxies: Proxies::default(),
        paths: Paths::below(folder.path()),
    };
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let problem =
        app::run(settings, listener, |_| panic!("it serves"), Scope::new().token().clone()).await.unwrap_err();
    assert_eq!((problem.code, problem.code.exit_code()), (ProblemCode::ConfigExposed, 78));
}

#[tokio::test]
async fn without_the_bootstrap_phase_modules_are_left_out_and_the_others_run() {
    let unprepared = |settings: &mut BackendSettings| {
        settings.bootstrap.enabled = false;
        std::fs::create_dir(&settings.paths.runtime).unwrap();
    };
    let shell = Instance::set(Role::Shell, |folder| drop(pack(folder, "debian", 10)), unprepared).await;
    assert_eq!(shell.merged().await.entries.len(), 1);
    let health: BackendHealth = shell.read(paths::HEALTH).await;
    let state = |name: &str| health.modules.iter().find(|module| module.name == name).unwrap().state;
    assert_eq!(health.status, HealthStatus::Degraded);
    // Indexes are in memory then; servers, which are no index, are not there, nor is a place for machines.
    let states = ["cache", "catalog", "servers", "machines"].map(state);
    use HealthStatus::{Degraded, Excluded};
    assert_eq!(states, [Degraded, Degraded, Excluded, Excluded]);
    for path in [paths::SERVERS, paths::DOWNLOADS, paths::MACHINES] {
        assert_eq!(problem(shell.get(path).await).await.code, ProblemCode::ModuleExcluded, "{path}");
    }
    let boot = problem(shell.post(paths::BOOT, &json!({"source": "debian"})).await).await;
    assert!(boot.code == ProblemCode::ModuleExcluded && boot.what.contains("machines"), "{boot}");
    let mut events = shell.get(paths::EVENTS).await;
    assert!(events.chunk().await.unwrap().is_some());
}
