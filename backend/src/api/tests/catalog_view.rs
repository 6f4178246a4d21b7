//! The merged view on the wire: whole, in pages, and what has changed since; compressed.

use std::io::Read;
use std::time::Instant;

use pixelrts_shared::catalog::{CatalogCopy, CatalogDelta, CatalogPage};
use pixelrts_testing::fault_server::FaultServer;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, IF_NONE_MATCH, RETRY_AFTER, VARY};

use super::*;

/// A server that lists this many images.
async fn many(count: usize) -> FaultyServer {
    let entry = |n: usize| {
        let digest = Digest::new(Sha256::digest(n.to_le_bytes()).into());
        json!({
            "id": format!("image-{n}"), "name": format!("Image number {n}"), "size": 100_000_000 + n, "sha256": digest,
            "distro": "Debian", "architecture": "x86_64", "kernel_version": "6.1.0-37-amd64", "width": 4096, "height": 4096,
            "segments": [{"name": "kernel", "role": "kernel", "size": 8_000_000 + n}]
        })
    };
    let entries: Vec<_> = (0..count).map(entry).collect();
    let catalog = json!({"format": 1, "name": "many", "generated_at": "", "entries": entries}).to_string();
    FaultyServer::start(move |_, _| Answer::new("200 OK", "Content-Type: application/json\r\n", catalog.as_bytes()))
        .await
}

impl Instance {
    /// Sent as for a browser: the bytes on the wire, and what they say.
    async fn compressed(&self, path: &str) -> (usize, Response, Vec<u8>) {
        let reply = self.http.get(self.at(path)).header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
        let head = self.http.get(self.at(path)).header(ACCEPT_ENCODING, "gzip").send().await.unwrap();
        let body = reply.bytes().await.unwrap();
        let mut plain = Vec::new();
        if head.headers().contains_key(CONTENT_ENCODING) {
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        } else {
            plain.extend_from_slice(&body);
        }
        (body.len(), head, plain)
    }
}

#[tokio::test]
async fn pages_and_changes_give_the_whole_and_a_warm_load_is_small() {
    let (first, second) = (many(10_000).await, many(3).await);
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(first.url.as_str(), "first").await;
    let whole = shell.merged().await;
    assert_eq!(whole.entries.len(), 10_000);

    let (mut copy, mut path, mut bytes) = (CatalogCopy::default(), format!("{}?limit=1000", paths::CATALOG_REMOTE), 0);
    loop {
        let (sent, _, page) = shell.compressed(&path).await;
        bytes += sent;
        let page: CatalogPage = serde_json::from_slice(&page).unwrap();
        assert_eq!((page.entries.len(), page.total), (1_000, 10_000));
        let next = page.next.clone();
        copy.add(page);
        let Some(next) = next else { break };
        path = format!("{}?limit=1000&after={next}", paths::CATALOG_REMOTE);
    }
    assert!(bytes < 1_500_000, "all pages have {bytes} bytes");
    assert_eq!(copy.whole().entries, shell.merged().await.entries);

    let since = |copy: &CatalogCopy| format!("{}?since={}", paths::CATALOG_REMOTE, copy.revision());
    let (bytes, _, delta) = shell.compressed(&since(&copy)).await;
    assert!(bytes < 2_000, "nothing has changed, and that takes {bytes} bytes");
    copy.apply(serde_json::from_slice(&delta).unwrap()).unwrap();

    // Three entries get a second source.
    shell.add_server(second.url.as_str(), "second").await;
    let whole = shell.merged().await;
    let (bytes, _, delta) = shell.compressed(&since(&copy)).await;
    let delta: CatalogDelta = serde_json::from_slice(&delta).unwrap();
    assert!(bytes < 3_000 && !delta.full && delta.changed.len() == 3, "{bytes} bytes: {delta:?}");
    copy.apply(delta).unwrap();
    assert_eq!(copy.whole().entries, whole.entries);

    shell.http.delete(shell.at(&paths::server(&"second".parse().unwrap()))).send().await.unwrap();
    copy.apply(shell.read(&since(&copy)).await).unwrap();
    assert!(copy.whole().entries.iter().all(|entry| entry.sources.len() == 1));
    shell.http.delete(shell.at(&paths::server(&"first".parse().unwrap()))).send().await.unwrap();
    copy.apply(shell.read(&since(&copy)).await).unwrap();
    assert!(copy.is_empty());

    let unknown: CatalogDelta = shell.read(&format!("{}?since=before-7", paths::CATALOG_REMOTE)).await;
    assert!(unknown.full && unknown.changed.is_empty());
    for query in ["after=x", "since=a&limit=1", "server=local&since=a", "server=local&limit=5"] {
        let refused = problem(shell.get(&format!("{}?{query}", paths::CATALOG_REMOTE)).await).await;
        assert_eq!(refused.code, ProblemCode::Usage, "{query}");
    }
}

#[tokio::test]
async fn documents_are_compressed_for_those_who_take_it_and_not_sent_twice() {
    let server = many(100).await;
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(server.url.as_str(), "first").await;
    shell.merged().await;
    let office = Instance::with(Role::Catalog, |folder| drop(pack(folder, "debian", 40))).await;
    for (instance, path) in [(&shell, paths::CATALOG_REMOTE), (&office, paths::CATALOG)] {
        let plain = instance.get(path).await;
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(plain.headers()[VARY], "accept-encoding");
        let etag = plain.headers()[ETAG].clone();
        let plain = plain.bytes().await.unwrap();
        let (bytes, head, unpacked) = instance.compressed(path).await;
        assert_eq!((&unpacked[..], &head.headers()[ETAG]), (&plain[..], &etag), "{path}");
        assert_eq!(bytes < plain.len(), head.headers().contains_key(CONTENT_ENCODING));
        for taken in ["gzip", "identity"] {
            let request = instance.http.get(instance.at(path)).header(ACCEPT_ENCODING, taken);
            let again = request.header(IF_NONE_MATCH, &etag).send().await.unwrap();
            assert_eq!((again.status(), again.bytes().await.unwrap().len()), (StatusCode::NOT_MODIFIED, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_boot_in_the_first_moment_waits_for_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let image = pack(folder.path(), "debian", 41);
    let (key, size) = (digest(&image), image.len());
    let slow = FaultyServer::start(move |_, head| {
        if head.starts_with("get /api/v1/catalog") {
            std::thread::sleep(Duration::from_millis(500));
            let entry = json!({"id": "debian", "name": "D", "size": size, "sha256": key});
            let catalog = json!({"format": 1, "name": "x", "generated_at": "", "entries": [entry]});
            return Answer::new("200 OK", "Content-Type: application/json\r\n", catalog.to_string().as_bytes());
        }
        Answer::new("200 OK", "", &image)
    })
    .await;
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(slow.url.as_str(), "slow").await;
    let entry = shell.get(&format!("{}/debian", paths::CATALOG)).await;
    assert_eq!(entry.status(), StatusCode::OK);
    assert_eq!(shell.post(paths::DOWNLOADS, &json!({"key": "debian"})).await.status(), StatusCode::ACCEPTED);

    // One that says nothing for long: the client is told when to ask again.
    let silent = FaultyServer::start(|_, _| Answer { head: String::new(), body: Vec::new(), hang: true }).await;
    shell.add_server(silent.url.as_str(), "silent").await;
    let reply = shell.get(&format!("{}/other", paths::CATALOG)).await;
    assert_eq!(reply.headers()[RETRY_AFTER], "2");
    assert_eq!(problem(reply).await.code, ProblemCode::NotReady);
}

/// Catalogs are read and put together away from the threads that answer.
#[tokio::test]
async fn huge_catalogs_delay_neither_an_honest_server_nor_other_requests() {
    let server = FaultServer::start(b"an image".as_slice());
    let shell = Instance::start(Role::Shell).await;
    for seed in 1..=3 {
        shell.add_server(&server.base(&format!("entries/50000/{seed}")), &format!("huge {seed}")).await;
    }
    let began = Instant::now();
    shell.add_server(&server.base("entries/2/4"), "honest").await;
    let all = async {
        let entry = shell.get(&format!("{}/e1@honest", paths::CATALOG)).await;
        assert_eq!(entry.status(), StatusCode::OK);
        let found = began.elapsed();
        while shell.read::<CatalogPage>(&format!("{}?limit=1", paths::CATALOG_REMOTE)).await.stale {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (found, began.elapsed())
    };
    let mut slowest = Duration::ZERO;
    let health = async {
        loop {
            let asked = Instant::now();
            assert_eq!(shell.get(paths::HEALTH).await.status(), StatusCode::OK);
            slowest = slowest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (found, all) = tokio::select! { all = all => all, () = health => unreachable!("it goes on") };
    // However slow this computer is: whoever waited for one of the huge catalogs waits for a third of the whole time.
    assert!(found * 10 < all * 9 && slowest * 4 < all, "{found:?} of {all:?}, health {slowest:?}");
}
