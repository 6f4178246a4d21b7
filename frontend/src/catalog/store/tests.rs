//! The catalog between a backend and a browser's storage that are both made up, or fail.

use pixelrts_shared::catalog::ListedEntry;
use rexie::{Rexie, TransactionMode};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::json;
use crate::storage::database::tests::{begin, held_by_another_page, leave, of_another_page};
use crate::storage::database::{CATALOG, ENTRIES};
use crate::testing::{self, Backend};

const FIRST: &str = "GET /api/v1/catalog/remote?limit=500";

/// A page of the browser. Its stores live on, as those of a page do.
fn visit() -> Catalog {
    let owner = Owner::new();
    let catalog = owner.with(Catalog::new);
    std::mem::forget(owner);
    catalog
}

fn digest(n: u32) -> Digest {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Digest::new(bytes)
}

fn entry(n: u32, name: &str) -> Value {
    json!({
        "id": format!("e{n}"), "name": name, "description": "An image that somebody made for a test of many images.",
        "version": "12.5", "distro": "Debian", "architecture": "x86_64", "kernel_version": "6.1.0-37-amd64",
        "size": 268_435_456, "sha256": digest(n), "tags": ["server", "test"], "width": 4096, "height": 2048,
        "segments": [
            {"name": "kernel", "role": "kernel", "size": 8_000_000}, {"name": "initrd", "role": "initrd", "size": 30_000_000},
            {"name": "disk", "role": "disk", "size": 230_000_000}
        ],
        "described_by": "office", "sources": [{"server": "office"}], "status": "idle"
    })
}

fn servers() -> Value {
    json!([{"id": "office", "name": "Office", "url": "http://office/", "health": {"state": "up", "latency_ms": 3}}])
}

fn page(revision: &str, entries: &[Value], next: Option<&str>) -> Value {
    json!({
        "revision": revision, "generated_at": "", "stale": false, "total": entries.len(), "servers": servers(),
        "entries": entries, "next": next
    })
}

fn delta(revision: &str, changed: &[Value], removed: &[Digest]) -> Value {
    json!({
        "revision": revision, "generated_at": "", "stale": false, "servers": servers(), "changed": changed,
        "removed": removed
    })
}

fn since(revision: &str) -> String {
    format!("GET /api/v1/catalog/remote?since={revision}")
}

fn names(catalog: Catalog) -> Vec<String> {
    untrack(|| catalog.keys().iter().map(|key| catalog.name(key)).collect())
}

fn shown(catalog: Catalog, n: u32) -> Option<Arc<MergedEntry>> {
    untrack(|| catalog.entry(&digest(n)))
}

/// The revision that is stored, and the names.
async fn stored() -> Option<(String, Vec<String>)> {
    let stored = memory::read().await?;
    let name = |line: &String| line.split('\n').next().map(|begin| begin[64..].to_owned());
    let mut names: Vec<_> = stored.lines.iter().filter_map(name).collect();
    names.sort();
    Some((stored.head.revision, names))
}

async fn until_stored(revision: &str) {
    let head = async || {
        let head = storage::database::run(3_000, TransactionMode::ReadOnly, &[CATALOG], async |transaction| {
            transaction.store(CATALOG)?.get(JsValue::from_str("head")).await
        });
        json::read::<Head>(&head.await??.as_string()?).ok().map(|head| head.revision)
    };
    for _ in 0..500 {
        if head().await.as_deref() == Some(revision) {
            return;
        }
        TimeoutFuture::new(20).await;
    }
    panic!("{revision} is not stored within 10 s: {:?}", head().await);
}

/// A backend with two entries at e-1, and nothing new since.
fn two() -> Backend {
    let backend = Backend::start();
    backend.reply(FIRST, 200, &page("e-1", &[entry(1, "a"), entry(2, "b")], None)).reply(
        &since("e-1"),
        200,
        &delta("e-1", &[], &[]),
    );
    backend
}

#[wasm_bindgen_test]
async fn the_next_visit_paints_before_any_reply_and_asks_only_for_what_has_changed() {
    begin().await;
    let backend = Backend::start();
    backend
        .reply(FIRST, 200, &page("e-1", &[entry(1, "a"), entry(2, "b")], Some("more")))
        .reply(&format!("{FIRST}&after=more"), 200, &page("e-1", &[entry(3, "c")], None))
        .reply(&since("e-1"), 200, &delta("e-1", &[], &[]));
    let first = visit();
    first.recall().await;
    assert!(!untrack(|| first.is_known()));
    first.revalidate().await;
    assert_eq!(names(first), ["a", "b", "c"]);
    assert_eq!(backend.calls().len(), 3);
    until_stored("e-1").await;
    drop(backend);
    leave();

    let backend = Backend::start();
    backend.reply(&since("e-1"), 200, &delta("e-4", &[entry(2, "z")], &[digest(1)]));
    backend.hold();
    let next = visit();
    next.recall().await;
    assert_eq!((names(next), backend.calls().len()), (vec!["a".to_owned(), "b".into(), "c".into()], 0));
    assert_eq!(untrack(|| next.confirmed_at()), untrack(|| first.confirmed_at()));
    let entry = shown(next, 3).unwrap();
    assert_eq!((entry.sources[0].name.as_str(), &*entry), ("Office", &*shown(first, 3).unwrap()));
    backend.release();
    next.revalidate().await;
    assert_eq!(names(next), ["c", "z"]);
    assert!(Arc::ptr_eq(&entry, &shown(next, 3).unwrap()), "what did not change is the same object");
    assert_eq!(backend.calls(), [since("e-1")]);
    until_stored("e-4").await;
    assert_eq!(stored().await.unwrap().1, ["c", "z"]);
}

#[wasm_bindgen_test]
async fn nothing_is_painted_again_when_nothing_has_changed() {
    begin().await;
    let backend = two();
    let catalog = visit();
    catalog.revalidate().await;
    let painted = StoredValue::new(0);
    let owner = Owner::new();
    let paints = owner.with(|| {
        Memo::new(move |_| {
            catalog.with_keys(<[Digest]>::len);
            catalog.entry(&digest(1));
            painted.update_value(|times| *times += 1);
            painted.get_value()
        })
    });
    assert_eq!(paints.get_untracked(), 1);
    catalog.revalidate().await;
    assert_eq!(paints.get_untracked(), 1);
    let latency = json!([{"id": "office", "name": "Office", "url": "http://office/", "health": {"state": "up", "latency_ms": 9}}]);
    let mut news = delta("e-1", &[], &[]);
    news["servers"] = latency;
    drop(backend);
    let backend = Backend::start();
    backend.reply(&since("e-1"), 200, &news);
    catalog.revalidate().await;
    assert_eq!(paints.get_untracked(), 1, "the health of a server is no part of an entry");
    let source = shown(catalog, 1).unwrap().sources[0].clone();
    assert_eq!(untrack(|| catalog.health(&source).latency_ms), Some(9));
}

/// What another page of this browser stores, through a connection of its own.
async fn store(database: &Rexie, revision: &str, entries: &[Value]) {
    let transaction = database.transaction(&[CATALOG, ENTRIES], TransactionMode::ReadWrite).unwrap();
    let rows = transaction.store(ENTRIES).unwrap();
    rows.clear().await.unwrap();
    for entry in entries {
        let listed: ListedEntry = serde_json::from_value(entry.clone()).unwrap();
        let (key, json) = (listed.entry.sha256, serde_json::to_string(&listed).unwrap());
        let line = format!("{key}{}\n{json}", listed.entry.name);
        rows.put(&line.into(), Some(&listed.entry.sha256.to_string().into())).await.unwrap();
    }
    let head = json!({"revision": revision, "servers": servers()}).to_string();
    transaction.store(CATALOG).unwrap().put(&head.into(), Some(&"head".into())).await.unwrap();
    assert!(storage::database::is_committed(transaction).await);
}

#[wasm_bindgen_test]
async fn of_two_pages_that_write_the_newer_revision_stays_whole() {
    begin().await;
    let backend = two();
    let catalog = visit();
    catalog.revalidate().await;
    until_stored("e-1").await;
    let other = of_another_page().await;
    store(&other, "e-3", &[entry(2, "b3"), entry(3, "c3")]).await;

    // This page hears of e-2 only, which is older than what is stored.
    drop(backend);
    let backend = Backend::start();
    backend.reply(&since("e-1"), 200, &delta("e-2", &[entry(1, "a2")], &[])).reply(
        &since("e-2"),
        200,
        &delta("e-5", &[entry(1, "a5"), entry(3, "c5")], &[digest(2)]),
    );
    catalog.revalidate().await;
    TimeoutFuture::new(300).await;
    assert_eq!(stored().await.unwrap(), ("e-3".to_owned(), vec!["b3".to_owned(), "c3".into()]));
    // What is stored is between two revisions that this page knows.
    catalog.revalidate().await;
    until_stored("e-5").await;
    assert_eq!(stored().await.unwrap().1, ["a5", "c5"]);
}

#[wasm_bindgen_test]
async fn a_full_disk_keeps_what_was_stored_and_the_page_goes_on() {
    begin().await;
    let backend = two();
    let first = visit();
    first.revalidate().await;
    until_stored("e-1").await;
    drop(backend);
    let backend = Backend::start();
    backend.reply(&since("e-1"), 200, &delta("e-2", &[entry(3, "c")], &[digest(1)]));
    testing::fill_disk(true);
    first.revalidate().await;
    TimeoutFuture::new(300).await;
    testing::fill_disk(false);
    assert_eq!(names(first), ["b", "c"]);
    assert_eq!(stored().await.unwrap(), ("e-1".to_owned(), vec!["a".to_owned(), "b".into()]));
}

#[wasm_bindgen_test]
async fn a_database_that_never_answers_holds_up_nothing_for_long() {
    begin().await;
    let other = held_by_another_page(1).await;
    let (backend, catalog, began) = (two(), visit(), clock::now());
    spawn_local(catalog.recall());
    TimeoutFuture::new(0).await;
    catalog.revalidate().await;
    assert_eq!(names(catalog), ["a", "b"]);
    let waited = clock::now() - began;
    assert!(waited < u64::from(MEMORY_MS) + 1_000, "{waited} ms");
    catalog.revalidate().await;
    assert!(untrack(|| catalog.confirmed_at()).is_some() && backend.calls().len() == 3);
    other.close();
    TimeoutFuture::new(3_000).await;
    begin().await;
}

#[wasm_bindgen_test]
async fn a_lost_reply_is_asked_for_again_and_a_refused_question_begins_anew() {
    begin().await;
    let backend = Backend::start();
    backend.reply(FIRST, 200, &page("e-1", &[entry(1, "a")], Some("more")));
    let catalog = visit();
    catalog.revalidate().await;
    assert_eq!((names(catalog), backend.calls().len()), (vec!["a".to_owned()], 2));
    assert_eq!(untrack(|| catalog.confirmed_at()), None, "it is not complete");
    let refused = Problem::new(ProblemCode::Usage, "what", "why", "fix");
    backend.reply(&format!("{FIRST}&after=more"), 400, &serde_json::to_value(&refused).unwrap());
    catalog.revalidate().await;
    assert_eq!(backend.calls().last().unwrap(), &format!("{FIRST}&after=more"));
    drop(backend);
    let _backend = two();
    catalog.revalidate().await;
    assert_eq!(names(catalog), ["a", "b"]);
}

/// Ten thousand entries: what the browser needs to store them, and until the next visit knows their order.
#[wasm_bindgen_test]
async fn ten_thousand_entries_are_known_at_once() {
    begin().await;
    let entries: Vec<_> = (0..10_000).map(|n| entry(n, &format!("Image number {n}"))).collect();
    let backend = Backend::start();
    for (at, entries) in entries.chunks(500).enumerate() {
        let call = if at == 0 { FIRST.to_owned() } else { format!("{FIRST}&after={at}") };
        let next = (at < 19).then(|| (at + 1).to_string());
        backend.reply(&call, 200, &page("e-1", entries, next.as_deref()));
    }
    let nothing_new = delta("e-1", &[], &[]);
    backend.reply(&since("e-1"), 200, &nothing_new);
    let (first, began) = (visit(), now());
    first.revalidate().await;
    let read = now() - began;
    until_stored("e-1").await;
    let kept = now() - began;
    leave();
    let (next, began) = (visit(), now());
    next.recall().await;
    let known = now() - began;
    assert_eq!(next.with_keys(<[Digest]>::len), 10_000);
    let began = now();
    assert!((0..40).all(|n| shown(next, n).is_some()));
    let screen = now() - began;
    let began = now();
    assert!((0..10_000).all(|n| shown(next, n).is_some()));
    let all = now() - began;
    let began = now();
    next.revalidate().await;
    let fresh = now() - began;
    let bytes = nothing_new.to_string().len();
    let text = format!(
        "10,000 entries: read in {read} ms, stored after {kept} ms; known {known} ms after recall, a screen of 40 read in \
        {screen} ms, all in {all} ms; confirmed in {fresh} ms and {bytes} bytes"
    );
    wasm_bindgen_test::console_log!("{text}");
    assert!(known < 3_000.0 && bytes < 30_000, "{text}");
    // Storing goes on for a moment.
    TimeoutFuture::new(500).await;
}

fn now() -> f64 {
    js_sys::Date::now()
}
