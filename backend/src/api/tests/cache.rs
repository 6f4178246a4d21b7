//! `/cache`, as a person or a program uses it.

use super::*;
use pixelrts_shared::cache::{CacheCleared, CacheContents, CachedImage, RemovedKind};
use reqwest::Method;

impl Instance {
    async fn ask(&self, method: Method, path: &str) -> Response {
        self.http.request(method, self.at(path)).send().await.unwrap()
    }

    /// Downloads an image to its end.
    async fn download(&self, key: &str) {
        let started: Download = self.post(paths::DOWNLOADS, &json!({"key": key})).await.json().await.unwrap();
        let lines = self.get(&paths::download_stream(&started.id)).await.text().await.unwrap();
        let last: Download = serde_json::from_str(lines.lines().rfind(|line| !line.is_empty()).unwrap()).unwrap();
        assert_eq!(last.stage, DownloadStage::Cached, "{last:?}");
    }

    fn file(&self, digest: &Digest) -> std::path::PathBuf {
        self.folder.path().join("c/remote").join(format!("{digest}.rts.png"))
    }
}

/// A catalog server with two images, and a shell that has both in its cache.
async fn with_two() -> (Instance, Instance, [Digest; 2]) {
    let mut digests = Vec::new();
    let office = Instance::with(Role::Catalog, |folder| {
        for (name, seed) in [("debian", 31), ("alpine", 32)] {
            digests.push(super::digest(&pack(folder, name, seed)));
        }
    })
    .await;
    let shell = Instance::start(Role::Shell).await;
    shell.add_server(&office.url, "Office").await;
    shell.merged().await;
    for key in ["debian", "alpine"] {
        shell.download(key).await;
    }
    let [debian, alpine] = digests.try_into().unwrap();
    (office, shell, [debian, alpine])
}

#[tokio::test]
async fn images_are_listed_pinned_removed_and_cleared() {
    let (office, shell, [debian, alpine]) = with_two().await;
    let contents: CacheContents = shell.read(paths::CACHE).await;
    let of =
        |contents: &CacheContents, digest| contents.items.iter().find(|image| image.sha256 == digest).cloned().unwrap();
    let one = of(&contents, debian);
    assert_eq!((one.name.as_str(), one.source.as_deref()), ("Image debian", Some("office")));
    assert_eq!(one.ids[0].as_str(), "debian");
    assert!(one.available && !one.pinned && !one.in_use && one.verified_at.is_some() && one.last_used.is_some());
    assert_eq!(contents.items.iter().map(|image| image.size).sum::<u64>() + contents.pictures, contents.size);
    assert_eq!(contents.limit, 20 << 30);

    let pinned: CachedImage = shell.ask(Method::PUT, &paths::cached_pin(&debian)).await.json().await.unwrap();
    assert!(pinned.pinned);
    let refused = shell.ask(Method::DELETE, "/api/v1/cache/debian").await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let refused: Problem = refused.json().await.unwrap();
    assert!(refused.fix.contains(&format!("pixelrts cache unpin {debian}")), "{refused}");
    assert_eq!(shell.ask(Method::DELETE, "/api/v1/cache/none").await.status(), StatusCode::NOT_FOUND);

    let cleared: CacheCleared = shell.ask(Method::DELETE, paths::CACHE).await.json().await.unwrap();
    let images: Vec<_> =
        cleared.removed.iter().filter(|one| one.what == RemovedKind::Image).map(|one| one.key).collect();
    assert_eq!((images, cleared.kept[0].sha256), (vec![Some(alpine)], debian));
    assert!(shell.file(&debian).exists() && !shell.file(&alpine).exists());

    let gc: CacheCleared = shell.ask(Method::POST, paths::CACHE_GC).await.json().await.unwrap();
    assert_eq!(gc, CacheCleared::default(), "all of it is within the limits");
    let unpinned: CachedImage = shell.ask(Method::DELETE, &paths::cached_pin(&debian)).await.json().await.unwrap();
    assert!(!unpinned.pinned);
    let prefix = &debian.to_string()[..8];
    let removed: CacheCleared =
        shell.ask(Method::DELETE, &format!("/api/v1/cache/{prefix}")).await.json().await.unwrap();
    assert_eq!((removed.removed[0].key, shell.cached()), (Some(debian), 0));
    drop(office);
}

#[tokio::test]
async fn what_has_arrived_is_discarded_unless_a_download_works_on_it() {
    let (_office, shell, [debian, _]) = with_two().await;
    let (idle, busy) = (digest(b"idle"), digest(b"busy"));
    let partial = |key: &Digest| shell.folder.path().join(format!("c/partial/{key}"));
    assert_eq!(shell.ask(Method::DELETE, &paths::cached(&debian)).await.status(), StatusCode::OK);
    for key in [&idle, &busy, &debian] {
        std::fs::create_dir_all(partial(key)).unwrap();
        std::fs::write(partial(key).join("data"), b"12345").unwrap();
        std::fs::write(partial(key).join("lock"), b"").unwrap();
    }
    let lock = std::fs::File::open(partial(&busy).join("lock")).unwrap();
    lock.lock().unwrap();
    let remove = |key: String| {
        let shell = &shell;
        async move { shell.ask(Method::DELETE, &format!("{}/{key}", paths::CACHE)).await }
    };
    assert_eq!(remove(busy.to_string()).await.status(), StatusCode::CONFLICT);
    let removed: CacheCleared = remove(idle.to_string()[..8].to_owned()).await.json().await.unwrap();
    assert_eq!(
        (removed.freed, removed.removed[0].key, removed.removed[0].what),
        (5, Some(idle), RemovedKind::Incomplete)
    );
    assert!(!partial(&idle).exists() && partial(&busy).join("data").exists());
    assert_eq!(remove(idle.to_string()).await.status(), StatusCode::NOT_FOUND);
    let removed: CacheCleared = remove("debian".to_owned()).await.json().await.unwrap();
    assert_eq!(removed.removed[0].key, Some(debian), "by the id that its server gives it");
    assert!(!partial(&debian).exists());
}

#[tokio::test]
async fn wrong_bytes_and_lost_folders_are_fetched_again() {
    let (_office, shell, [debian, alpine]) = with_two().await;
    let right = std::fs::read(shell.file(&debian)).unwrap();
    let mut wrong = right.clone();
    wrong[right.len() / 2] ^= 1;
    std::fs::write(shell.file(&debian), wrong).unwrap();
    let contents: CacheContents = shell.read(paths::CACHE).await;
    let one = contents.items.iter().find(|image| image.sha256 == debian).unwrap();
    assert_eq!(one.verified_at, None, "it is not what was hashed");
    let bytes = shell.get(&format!("{}?id=debian&server=office", paths::REMOTE_FETCH)).await.bytes().await.unwrap();
    assert!(bytes == right && std::fs::read(shell.file(&debian)).unwrap() == right);

    std::fs::remove_dir_all(shell.folder.path().join("c")).unwrap();
    let contents: CacheContents = shell.read(paths::CACHE).await;
    assert_eq!(contents.items, []);
    shell.download("debian").await;
    shell.download("alpine").await;
    assert!(std::fs::read(shell.file(&debian)).unwrap() == right && shell.file(&alpine).exists());
}
