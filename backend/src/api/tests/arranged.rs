//! What people do with images on the wall, and images that nobody offers any more.

use pixelrts_shared::catalog::{CatalogDelta, CatalogPage, MergedEntry, Moved, Position};

use super::*;

async fn placed(shell: &Instance, key: &str, position: Value) -> Response {
    shell.post(paths::CATALOG_LAYOUT, &json!({"entry_id": key, "position": position})).await
}

async fn two_images() -> (Instance, Vec<MergedEntry>) {
    let shell = Instance::with(Role::Shell, |images| {
        pack(images, "one", 1);
        pack(images, "two", 2);
    })
    .await;
    let _: Catalog = shell.read(paths::CATALOG).await;
    let entries = shell.merged().await.entries;
    (shell, entries)
}

#[tokio::test]
async fn places_are_swapped_told_and_forgotten() {
    let (shell, entries) = two_images().await;
    assert!(entries.iter().all(|entry| entry.added.is_some() && entry.position.is_none() && !entry.favorite));
    let page: CatalogPage = shell.read(&format!("{}?limit=9", paths::CATALOG_REMOTE)).await;
    let here = Position { x: 1, y: 2 };
    let moved: Moved = placed(&shell, "one", json!(here)).await.json().await.unwrap();
    assert_eq!((moved.changed.len(), moved.changed[0].position), (1, Some(here)));
    let batch = json!({"entries": [{"entry_id": "two", "position": {"x": 7, "y": 0}},
                                   {"entry_id": entries[0].entry.sha256, "position": {"x": 7, "y": 0}}]});
    let refused = shell.post(paths::CATALOG_LAYOUT_BATCH, &batch).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "two images at one place");
    let batch = json!({"entries": [{"entry_id": "two", "position": {"x": 7, "y": 0}},
                                   {"entry_id": "two", "position": here}]});
    assert_eq!(shell.post(paths::CATALOG_LAYOUT_BATCH, &batch).await.status(), StatusCode::BAD_REQUEST);
    let batch = json!({"entries": [{"entry_id": "two", "position": {"x": 7, "y": 0}},
                                   {"entry_id": "three", "position": {"x": 8, "y": 0}}]});
    assert_eq!(shell.post(paths::CATALOG_LAYOUT_BATCH, &batch).await.status(), StatusCode::NOT_FOUND);
    let delta: CatalogDelta = shell.read(&format!("{}?since={}", paths::CATALOG_REMOTE, page.revision)).await;
    let changed: Vec<_> = delta.changed.iter().map(|entry| (entry.entry.id.as_str(), entry.position)).collect();
    assert_eq!(changed, [("one", Some(here))], "nothing of a batch that was refused counts");
    let moved: Moved = placed(&shell, "two", json!(here)).await.json().await.unwrap();
    assert_eq!(moved.changed.len(), 2, "the first one has to make way");
    let reply = shell.http.put(shell.at(&paths::entry_favorite(&entries[0].entry.sha256))).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    let entry: MergedEntry = shell.read("/api/v1/catalog/one").await;
    assert_eq!((entry.favorite, entry.position), (true, None));
    let reply = shell.http.delete(shell.at(paths::CATALOG_LAYOUT)).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    let reply = shell.http.delete(shell.at("/api/v1/catalog/one/favorite")).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    assert!(shell.merged().await.entries.iter().all(|entry| entry.position.is_none() && !entry.favorite));
}

#[tokio::test]
async fn places_that_nobody_can_mean_are_refused() {
    let (shell, _) = two_images().await;
    for position in [
        json!({"x": 100_000, "y": 0}),
        json!({"x": 0, "y": u64::MAX}),
        json!({"x": -1, "y": 0}),
        json!({"x": 0.5, "y": 0}),
        json!({"x": 0}),
        json!("1,2"),
    ] {
        assert_eq!(placed(&shell, "one", position.clone()).await.status(), StatusCode::BAD_REQUEST, "{position}");
    }
    for key in ["", "../one", "three", "one\u{0}"] {
        assert_eq!(placed(&shell, key, json!({"x": 0, "y": 0})).await.status(), StatusCode::NOT_FOUND, "{key:?}");
    }
    let many: Vec<_> = (0..1001).map(|x| json!({"entry_id": "one", "position": {"x": x, "y": 0}})).collect();
    let refused = shell.post(paths::CATALOG_LAYOUT_BATCH, &json!({"entries": many})).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let huge = json!({"entries": [], "x": "x".repeat(300 << 10)});
    assert_eq!(shell.post(paths::CATALOG_LAYOUT_BATCH, &huge).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(shell.merged().await.entries.iter().all(|entry| entry.position.is_none()));
}

#[tokio::test]
async fn an_image_of_the_cache_outlives_its_server_in_the_view() {
    let shell = Instance::start(Role::Shell).await;
    let office = Instance::with(Role::Catalog, |images| drop(pack(images, "one", 1))).await;
    let server = shell.add_server(&office.url, "Office").await;
    let entry = shell.merged().await.entries.remove(0);
    let download: Download = shell.post(paths::DOWNLOADS, &json!({"key": "one"})).await.json().await.unwrap();
    let ended = async {
        while !shell.read::<Vec<Download>>(paths::DOWNLOADS).await.iter().all(|one| one.stage.is_over()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    assert_eq!(download.key, entry.entry.sha256);
    let removed = shell.http.delete(shell.at(&paths::server(&server.id))).send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
    // Its own words are read in the background.
    let found = async {
        loop {
            let entries = shell.merged().await.entries;
            if entries.len() == 1 && entries[0].entry.id.as_str() == "one" {
                return entries;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let kept = tokio::time::timeout(Duration::from_secs(20), found).await.unwrap().remove(0);
    assert_eq!((kept.cached, kept.sources.len(), kept.status), (true, 0, Status::Idle));
    assert_eq!((&kept.entry.name, &kept.added), (&entry.entry.name, &entry.added));
    let reply = shell.http.delete(shell.at(&paths::cached(&download.key))).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    assert!(shell.merged().await.entries.is_empty());
}
