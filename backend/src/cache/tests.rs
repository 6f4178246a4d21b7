use super::*;
use std::time::{Duration, SystemTime};

struct Place {
    _folder: tempfile::TempDir,
    paths: Paths,
    store: Store,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::below(folder.path());
    std::fs::create_dir_all(paths.images()).unwrap();
    std::fs::create_dir(paths.partial()).unwrap();
    let store = Store::new(&paths, Database::in_memory(&crate::cache::SCHEMA).unwrap());
    Place { _folder: folder, paths, store }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::new(Sha256::digest(bytes).into())
}

fn put(store: &Store, bytes: &[u8]) -> Cached {
    let key = digest(bytes);
    let partial = store.begin(&key).unwrap();
    partial.append(bytes, bytes.len() as u64).unwrap();
    partial.commit(Promise::Digest(key), Some("office")).unwrap()
}

fn partials(place: &Place) -> usize {
    fs::read_dir(place.paths.partial()).unwrap().count()
}

#[test]
fn what_is_right_is_found_and_leaves_nothing_behind() {
    let place = place();
    let cached = put(&place.store, b"an image");
    assert_eq!(fs::read(&cached.path).unwrap(), b"an image");
    assert_eq!(place.store.find(&cached.digest).unwrap(), Some(cached.clone()));
    assert_eq!(place.store.digests(), HashSet::from([cached.digest]));
    assert_eq!(partials(&place), 0);
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_kept() {
    let place = place();
    let expected = digest(b"an image");
    let partial = place.store.begin(&expected).unwrap();
    partial.append(b"an imagE", 8).unwrap();
    let error = partial.commit(Promise::Digest(expected), None).unwrap_err();
    assert!(
        matches!(error, CacheError::Mismatch { expected: e, found } if e == expected && found == digest(b"an imagE"))
    );
    assert_eq!(place.store.find(&expected).unwrap(), None);
    assert!(place.store.digests().is_empty());
    assert_eq!(partials(&place), 0);
}

#[test]
fn a_partial_is_continued_where_it_ended() {
    let place = place();
    let key = digest(b"an image");
    let partial = place.store.begin(&key).unwrap();
    partial.append(b"an ", 8).unwrap();
    partial.set_version("http://a/x", "\"1\"").unwrap();
    drop(partial);
    let partial = place.store.begin(&key).unwrap();
    assert_eq!(partial.received(), 3);
    assert_eq!(partial.version("http://a/x").as_deref(), Some("\"1\""));
    assert_eq!(partial.version("http://b/x"), None, "a version is the version of one address");
    partial.append(b"image", 5).unwrap();
    assert_eq!(partial.commit(Promise::Digest(key), None).unwrap().digest, key);
}

#[test]
fn one_writer_at_a_time() {
    let place = place();
    let key = digest(b"x");
    let first = place.store.begin(&key).unwrap();
    assert!(matches!(place.store.begin(&key), Err(CacheError::Locked)));
    drop(first);
    assert!(place.store.begin(&key).is_ok());
}

#[test]
fn a_restart_forgets_everything() {
    let place = place();
    let key = digest(b"image");
    let partial = place.store.begin(&key).unwrap();
    partial.append(b"other bytes", 11).unwrap();
    partial.restart().unwrap();
    partial.append(b"image", 5).unwrap();
    assert_eq!(fs::read(partial.commit(Promise::Digest(key), None).unwrap().path).unwrap(), b"image");
}

#[test]
fn a_file_the_index_does_not_know_is_hashed_before_use() {
    let place = place();
    let right = digest(b"right");
    let wrong = digest(b"wrong");
    fs::write(place.paths.images().join(format!("{right}.rts.png")), b"right").unwrap();
    fs::write(place.paths.images().join(format!("{wrong}.rts.png")), b"other").unwrap();
    assert!(place.store.find(&right).unwrap().is_some());
    assert!(place.store.find(&wrong).unwrap().is_none());
    assert_eq!(place.store.digests(), HashSet::from([right]), "the damaged one is gone");
}

#[test]
fn damage_is_found_by_size_at_once_and_by_hash_on_recheck() {
    let place = place();
    let cached = put(&place.store, b"an image");
    fs::write(&cached.path, b"an imagE").unwrap();
    assert!(place.store.recheck(&cached.digest).unwrap().is_none());
    let cached = put(&place.store, b"an image");
    fs::write(&cached.path, b"an").unwrap();
    assert!(place.store.find(&cached.digest).unwrap().is_none());
    assert!(!cached.path.exists());
}

#[test]
fn bytes_without_a_promised_digest_are_judged_by_the_check() {
    let place = place();
    let key = digest(b"http://a/x");
    let refuse = |_: &Path| -> Result<(), Problem> { Err(Problem::new(ProblemCode::NotAnImage, "", "", "")) };
    let partial = place.store.begin(&key).unwrap();
    partial.append(b"x", 1).unwrap();
    assert!(matches!(partial.commit(Promise::Checked(refuse), None), Err(CacheError::NotAnImage(_))));
    assert_eq!(partials(&place), 0);
    let accept = |path: &Path| -> Result<(), Problem> {
        assert_eq!(fs::read(path).unwrap(), b"x");
        Ok(())
    };
    let partial = place.store.begin(&key).unwrap();
    partial.append(b"x", 1).unwrap();
    assert_eq!(partial.commit(Promise::Checked(accept), None).unwrap().digest, digest(b"x"));
}

#[test]
fn a_full_disk_is_told_with_the_bytes_that_are_missing() {
    let place = place();
    let partial = place.store.begin(&digest(b"x")).unwrap();
    let Err(CacheError::Full { needed, .. }) = partial.reserve(u64::MAX) else { panic!("no disk is that large") };
    let problem = Problem::from(CacheError::Full { path: "/c".into(), needed: 3 << 20 });
    assert!(needed > 0);
    assert_eq!(problem.code, ProblemCode::StorageFull);
    assert!(problem.fix.contains("3 MiB"), "{}", problem.fix);
}

#[test]
fn rows_without_files_and_given_up_downloads_are_orphans() {
    let place = place();
    let (kept, lost) = (put(&place.store, b"kept"), put(&place.store, b"lost"));
    fs::remove_file(&lost.path).unwrap();
    let begin = |name: &[u8], bytes: &[u8]| {
        let partial = place.store.begin(&digest(name)).unwrap();
        partial.append(bytes, 100).unwrap();
        (partial, place.paths.partial().join(digest(name).to_string()))
    };
    let (held, _) = begin(b"held", b"");
    drop(begin(b"recent", b"bytes"));
    let (_, old) = begin(b"old", b"bytes");
    let week = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600);
    File::options().write(true).open(old.join("data")).unwrap().set_modified(week).unwrap();
    let empty = place.paths.partial().join(digest(b"empty").to_string());
    fs::create_dir(&empty).unwrap();

    let mut orphans = place.store.orphans().unwrap();
    orphans.partials.sort();
    let mut expected = vec![empty, old];
    expected.sort();
    assert_eq!((&orphans.rows, &orphans.partials), (&vec![lost.digest], &expected));
    place.store.remove_orphans(&orphans).unwrap();
    assert!(place.store.orphans().unwrap().is_empty());
    assert_eq!(partials(&place), 2, "one is held, one can be continued");
    assert_eq!(place.store.indexed_size(&kept.digest), Some(kept.size));
    drop(held);
}

#[test]
fn a_download_that_somebody_took_up_again_is_no_orphan_any_more() {
    let place = place();
    let key = digest(b"x");
    let folder = place.paths.partial().join(key.to_string());
    fs::create_dir(&folder).unwrap();
    let orphans = place.store.orphans().unwrap();
    assert_eq!(orphans.partials, std::slice::from_ref(&folder));
    let partial = place.store.begin(&key).unwrap();
    place.store.remove_orphans(&orphans).unwrap();
    assert!(folder.exists());
    drop(partial);
}

const HOUR: Duration = Duration::from_secs(3600);

/// An image that was last used so long ago.
fn idle(place: &Place, bytes: &[u8], since: Duration) -> Cached {
    let cached = put(&place.store, bytes);
    File::open(&cached.path).unwrap().set_modified(SystemTime::now() - since).unwrap();
    cached
}

#[test]
fn what_was_used_longest_ago_goes_first_and_what_was_used_just_now_stays() {
    let place = place();
    let old = idle(&place, b"old.", 9 * HOUR);
    let older = idle(&place, b"older", 10 * HOUR);
    let used = idle(&place, b"used", 11 * HOUR);
    place.store.find(&used.digest).unwrap().unwrap();
    let new = put(&place.store, b"new!");
    let all = Limits { max_size: 17, ttl: 24 * HOUR };
    assert_eq!(place.store.evict(&all), Evicted::default(), "it fits");
    assert_eq!(place.store.evict(&Limits { max_size: 16, ..all }).images, [older.digest]);
    let evicted = place.store.evict(&Limits { max_size: 0, ..all });
    assert_eq!(evicted, Evicted { images: vec![old.digest], bytes: 4 });
    assert_eq!(place.store.digests(), HashSet::from([used.digest, new.digest]), "somebody is about to open them");
}

#[test]
fn what_nobody_uses_goes_after_a_time_and_a_machine_keeps_its_image() {
    let place = place();
    let unused = idle(&place, b"unused", 3 * HOUR);
    let machine = idle(&place, b"machine", 3 * HOUR);
    let fresh = idle(&place, b"fresh", HOUR);
    let held = pin(&machine.path).unwrap().unwrap();
    let limits = Limits { max_size: 1 << 20, ttl: 2 * HOUR };
    assert_eq!(place.store.evict(&limits).images, [unused.digest]);
    assert_eq!(place.store.digests(), HashSet::from([machine.digest, fresh.digest]));
    assert!(place.store.find(&unused.digest).unwrap().is_none());
    drop(held);
    assert_eq!(place.store.evict(&limits).images, [machine.digest]);
}

#[test]
fn an_image_that_is_being_removed_is_not_found() {
    let place = place();
    let cached = put(&place.store, b"an image");
    let evictor = File::open(&cached.path).unwrap();
    evictor.try_lock().unwrap();
    assert!(pin(&cached.path).unwrap().is_none());
    assert!(place.store.find(&cached.digest).unwrap().is_none());
    drop(evictor);
    assert!(place.store.find(&cached.digest).unwrap().is_some());
}

#[test]
fn an_image_that_comes_makes_room_for_itself() {
    let place = place();
    let old = idle(&place, b"old", HOUR);
    place.store.set_limits(Limits { max_size: 4, ttl: 24 * HOUR });
    let mut reading = File::open(&old.path).unwrap();
    let new = put(&place.store, b"new");
    assert_eq!(place.store.digests(), HashSet::from([new.digest]));
    let mut text = String::new();
    reading.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old", "who reads it reads on");
}

#[test]
fn an_image_whose_last_byte_came_long_ago_does_not_leave_as_it_comes() {
    let place = place();
    place.store.set_limits(Limits { max_size: 0, ttl: HOUR });
    let key = digest(b"an image");
    let partial = place.store.begin(&key).unwrap();
    partial.append(b"an image", 8).unwrap();
    let data = place.paths.partial().join(key.to_string()).join("data");
    File::options().write(true).open(data).unwrap().set_modified(SystemTime::now() - 2 * HOUR).unwrap();
    partial.commit(Promise::Digest(key), None).unwrap();
    assert_eq!(place.store.digests(), HashSet::from([key]));
}
