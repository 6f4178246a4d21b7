//! The cache and its database on file systems that lack something, that are full, or that lose their power.

use nix::libc::{EIO, ENOLCK, ENOSPC, ENOSYS, EOPNOTSUPP};
use pixelrts_shared::ServerId;
use pixelrts_shared::backoff::Backoff;
use pixelrts_testing::fault_server::FaultServer;
use pixelrts_testing::limited_fs::{Lacks, LimitedFs};
use pixelrts_testing::skip;

use super::*;
use crate::remote::client::Endpoint;
use crate::remote::{Client, Downloads, FetchRequest, Mirror};
use crate::task::Scope;

/// `None` where this user cannot mount.
fn mounted(lacks: Lacks) -> Option<LimitedFs> {
    // All tests of this process have the same folder for locks.
    static LOCKS: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    crate::files::stand_ins(LOCKS.get_or_init(|| tempfile::tempdir().unwrap()).path().join("locks"));
    LimitedFs::mount(lacks).inspect_err(|error| skip("fuse", &format!("nothing can be mounted: {error}"))).ok()
}

/// Cache and state below one folder, as the bootstrap phase makes them.
fn prepared(root: &Path) -> Paths {
    let paths = Paths::below(root);
    for folder in [paths.images(), paths.partial(), paths.state.clone()] {
        fs::create_dir_all(folder).unwrap();
    }
    SCHEMA.make(&paths.database(SCHEMA.name)).unwrap();
    paths
}

fn opened(paths: &Paths) -> Store {
    Store::new(paths, Database::open(&paths.database(SCHEMA.name)).unwrap())
}

const LACKING: [Lacks; 4] = [
    Lacks { locks: Some(ENOLCK), shared_memory: true },
    Lacks { locks: Some(EOPNOTSUPP), shared_memory: false },
    Lacks { locks: Some(ENOSYS), shared_memory: true },
    Lacks { locks: None, shared_memory: true },
];

#[test]
fn a_file_system_without_locks_or_shared_memory_is_enough() {
    for lacks in LACKING {
        let Some(fs) = mounted(lacks) else { return };
        let paths = prepared(fs.path());
        let (store, other) = (opened(&paths), opened(&paths));
        let probe = File::create(paths.cache.join("probe")).unwrap();
        assert_eq!(probe.try_lock().is_err(), lacks.locks.is_some(), "{lacks:?}: the file system is as it should be");
        let database = Database::open(&paths.database(SCHEMA.name)).unwrap();
        let mode = |sql: &rusqlite::Connection| sql.query_row("PRAGMA journal_mode", (), |row| row.get::<_, String>(0));
        assert_ne!(database.with(mode).unwrap(), "wal", "{lacks:?}");
        let cached = put(&store, b"an image");
        assert!(other.index.get(&cached.digest).is_some(), "{lacks:?}: another process reads what this one wrote");
        assert_eq!(other.find(&cached.digest).unwrap().unwrap(), cached);
        assert_eq!(other.index.all().unwrap().len(), 1);
        // One writer at a time, and what is in use stays.
        let key = digest(b"x");
        let partial = store.begin(&key).unwrap();
        assert!(matches!(other.begin(&key), Err(CacheError::Locked)), "{lacks:?}");
        drop(partial);
        assert!(other.begin(&key).is_ok(), "{lacks:?}");
        let held = hold(&cached.path).unwrap().unwrap();
        assert!(uses::is_held(&cached.path), "{lacks:?}");
        assert!(matches!(other.discard(&cached.digest), Err(CacheError::InUse(_))), "{lacks:?}");
        drop(held);
        other.discard(&cached.digest).unwrap();
        assert_eq!(store.find(&cached.digest).unwrap(), None);
        // A command beside it copies the index.
        let again = put(&store, b"an image");
        let copy = Store::new(&paths, Database::copy(&SCHEMA, &paths.database(SCHEMA.name)).unwrap());
        assert!(copy.index.get(&again.digest).is_some(), "{lacks:?}");
    }
}

#[test]
fn limits_hold_on_a_file_system_without_locks() {
    let Some(fs) = mounted(LACKING[0]) else { return };
    let paths = prepared(fs.path());
    let store = opened(&paths);
    fs::write(paths.cache.join("lived"), "31536000 1 another-run\n").unwrap();
    let images = [put(&store, b"first"), put(&store, b"second"), put(&store, b"third")];
    let now = store.shared.life.now();
    for (image, idle) in images.iter().zip([300, 200, 100]) {
        fs::write(paths.cache.join("uses").join(image.digest.to_string()), format!("{}\n", now - idle)).unwrap();
    }
    store.ask_servers(|_| true);
    store.set_limits(Limits { max_size: 10, ttl: Duration::from_secs(3600) });
    let held = hold(&images[0].path).unwrap().unwrap();
    let removed: Vec<_> = store.keep_within_limits().into_iter().map(|removal| removal.item).collect();
    assert_eq!(removed, [Item::Image(images[1].digest)], "the oldest that nobody uses");
    drop(held);
}

#[test]
fn many_processes_use_a_database_without_locks_at_once() {
    let Some(fs) = mounted(LACKING[0]) else { return };
    let paths = prepared(fs.path());
    std::thread::scope(|scope| {
        for worker in 0..4_u8 {
            let paths = &paths;
            scope.spawn(move || {
                let store = opened(paths);
                for number in 0..10_u8 {
                    put(&store, &[worker, number]);
                }
            });
        }
    });
    assert_eq!(opened(&paths).index.all().unwrap().len(), 40, "nothing was lost");
    let check = |sql: &rusqlite::Connection| sql.query_row("PRAGMA integrity_check", (), |row| row.get::<_, String>(0));
    assert_eq!(Database::open(&paths.database(SCHEMA.name)).unwrap().with(check).unwrap(), "ok");
}

#[test]
fn a_database_that_was_made_elsewhere_opens_without_shared_memory_too() {
    let elsewhere = tempfile::tempdir().unwrap();
    let from = prepared(elsewhere.path());
    let cached = put(&opened(&from), b"an image");
    for lacks in LACKING {
        let Some(fs) = mounted(lacks) else { return };
        let to = Paths::below(fs.path());
        for folder in [&to.state, &to.cache] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::copy(from.database(SCHEMA.name), to.database(SCHEMA.name)).unwrap();
        assert_eq!(SCHEMA.condition(&to.database(SCHEMA.name)).unwrap(), crate::database::Condition::Current);
        assert!(opened(&to).index.get(&cached.digest).is_some(), "{lacks:?}");
    }
}

#[tokio::test]
async fn an_image_is_fetched_onto_a_file_system_without_locks() {
    for lacks in LACKING {
        let Some(fs) = mounted(lacks) else { return };
        let (paths, image) = (prepared(fs.path()), [&b"\x89PNG\r\n\x1a\n"[..], &[7; 700_000]].concat());
        let server = FaultServer::start(image.clone());
        let scope = Scope::new();
        let backoff = Backoff::exponential(Duration::from_millis(1), 2, Duration::from_millis(5));
        let downloads =
            Downloads::new(opened(&paths), Client::default(), scope.clone(), backoff, crate::remote::Timing::default());
        let url = url::Url::parse(&server.image("reset")).unwrap();
        let endpoint = Endpoint::new("office".into(), url.clone());
        let size = Some(image.len() as u64);
        let mirrors = vec![Mirror { server: ServerId::from_name("office"), endpoint, url, size }];
        let key = digest(&image);
        let cached = downloads
            .fetch(FetchRequest { key, promise: Promise::Digest(key), mirrors, listed: Vec::new() })
            .await
            .unwrap();
        assert_eq!(fs::read(cached.path).unwrap(), image);
        assert_eq!(scope.shutdown(Duration::from_secs(5)).await, Ok(()));
    }
}

/// What a file system sees of an image that comes, without what is only a hint or an index.
fn coming(store: &Store, image: &[u8]) -> Result<Cached, CacheError> {
    let key = digest(image);
    let partial = store.begin(&key)?;
    let here = usize::try_from(partial.received()).unwrap();
    partial.append(&image[here..], (image.len() - here) as u64)?;
    partial.commit(Promise::Digest(key), None)
}

#[test]
fn an_image_is_written_synced_named_and_its_folder_synced_in_this_order() {
    let Some(fs) = mounted(Lacks { shared_memory: true, ..Lacks::default() }) else { return };
    let paths = prepared(fs.path());
    let store = Store::new(&paths, Database::in_memory(&SCHEMA).unwrap());
    let _ = fs.changes();
    let cached = coming(&store, b"an image").unwrap();
    let name = format!("{}.rts.png", cached.digest);
    let changes = fs.changes();
    let last = |what: &str| {
        changes.iter().rposition(|change| *change == what).unwrap_or_else(|| panic!("{what}: {changes:?}"))
    };
    let order = [last("write data"), last("fsync data"), last(&format!("rename data {name}")), last("fsyncdir remote")];
    assert!(order.is_sorted(), "{changes:?}");
}

#[test]
fn a_power_cut_at_any_change_leaves_a_whole_image_or_none_and_a_database_that_opens() {
    let mut changes = 0;
    for cut in 0.. {
        let Some(fs) = mounted(Lacks { shared_memory: true, ..Lacks::default() }) else { return };
        let paths = prepared(fs.path());
        let store = opened(&paths);
        fs.fail_after(Some((cut, EIO)));
        let came = coming(&store, b"an image");
        fs.fail_after(None);
        drop(store);
        let left = Paths::below(fs.below());
        for file in fs::read_dir(left.images()).unwrap() {
            assert_eq!(fs::read(file.unwrap().path()).unwrap(), b"an image", "cut after {cut} changes");
        }
        assert_eq!(
            SCHEMA.condition(&left.database(SCHEMA.name)).unwrap(),
            crate::database::Condition::Current,
            "{cut}"
        );
        let again = Store::new(&left, Database::open(&left.database(SCHEMA.name)).unwrap());
        if again.find(&digest(b"an image")).unwrap().is_none() {
            coming(&again, b"an image").unwrap();
        }
        if came.is_ok() {
            changes = cut;
            break;
        }
    }
    assert!(changes > 5, "the cuts were tried: {changes}");
}

#[test]
fn a_full_disk_is_told_in_words_and_the_download_goes_on_when_there_is_room() {
    let Some(fs) = mounted(Lacks::default()) else { return };
    let paths = prepared(fs.path());
    let store = Store::new(&paths, Database::in_memory(&SCHEMA).unwrap());
    let key = digest(b"an image");
    let partial = store.begin(&key).unwrap();
    partial.append(b"an ", 8).unwrap();
    for (free, words) in [((0, 1000), "are missing on the disk"), ((1 << 30, 0), "can hold no more files")] {
        fs.report_free(Some(free));
        fs.fail_after(Some((0, ENOSPC)));
        let written = partial.append(b"image", 5).unwrap_err();
        let begun = store.begin(&digest(b"another")).unwrap_err();
        let committed = partial.commit(Promise::Digest(digest(b"an ")), None).unwrap_err();
        for error in [written, begun, committed] {
            assert!(error.passes_after().is_some(), "{error}");
            let problem = Problem::from(error);
            assert!(problem.code == ProblemCode::StorageFull && problem.why.contains(words), "{problem}");
            assert!(problem.fix.contains("the download continues"), "{problem}");
        }
    }
    assert!(store.make_room(&key, 100).is_ok(), "files, not bytes, were missing last");
    fs.report_free(Some((50, 1000)));
    assert!(matches!(store.make_room(&key, 100), Err(CacheError::Full { needed: 50.., .. })));
    fs.report_free(None);
    fs.fail_after(None);
    assert!(
        store.digests().is_empty() && partial.received() == 3,
        "nothing is lost, and nothing half done is an image"
    );
    partial.append(b"image", 5).unwrap();
    assert_eq!(partial.commit(Promise::Digest(key), None).unwrap().digest, key);
}

#[test]
fn a_full_disk_is_emptied_of_incomplete_downloads_that_nobody_continues() {
    let Some(fs) = mounted(Lacks::default()) else { return };
    let paths = prepared(fs.path());
    let store = Store::new(&paths, Database::in_memory(&SCHEMA).unwrap());
    let given_up = store.begin(&digest(b"endless")).unwrap();
    given_up.append(&[0; 50_000], 50_000).unwrap();
    drop(given_up);
    let only_copy = put(&store, b"an image");
    fs.report_free(Some((8192, 1000)));
    assert!(matches!(store.make_room(&digest(b"good"), 100_000), Err(CacheError::Full { .. })));
    assert_eq!(fs::read_dir(paths.partial()).unwrap().count(), 1, "nothing is removed when it is not enough");
    let room = store.make_room(&digest(b"good"), 50_000).unwrap();
    assert_eq!(fs::read_dir(paths.partial()).unwrap().count(), 0);
    assert!(store.find(&only_copy.digest).unwrap().is_some());
    drop(room);
}

#[test]
fn an_index_that_can_only_be_read_or_is_lost_costs_a_hash_and_nothing_else() {
    let Some(state) = mounted(Lacks::default()) else { return };
    let cache = tempfile::tempdir().unwrap();
    let paths = Paths { state: state.path().to_owned(), ..Paths::below(cache.path()) };
    for folder in [paths.images(), paths.partial()] {
        fs::create_dir_all(folder).unwrap();
    }
    SCHEMA.make(&paths.database(SCHEMA.name)).unwrap();
    let store = opened(&paths);
    let known = put(&store, b"known");
    state.fail_after(Some((0, nix::libc::EROFS)));
    let new = put(&store, b"new");
    for image in [&known, &new] {
        assert_eq!(store.find(&image.digest).unwrap().as_ref(), Some(image));
    }
    assert!(store.index.get(&new.digest).is_none(), "it cannot be noted");
    fs::write(&new.path, b"neW").unwrap();
    assert_eq!(store.find(&new.digest).unwrap(), None, "so its bytes are looked at each time");
    store.pin(&known.digest).unwrap();
    let without = Store::new(&paths, Database::in_memory(&SCHEMA).unwrap());
    assert!(without.find(&known.digest).unwrap().is_some() && without.inventory().images[0].pinned);
}
