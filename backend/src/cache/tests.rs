use super::*;
use std::time::{Duration, SystemTime};

use pixelrts_shared::{Problem, ProblemCode};

mod file_systems;
mod rooms;

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
    partial.set_validator(Some("\"1\"")).unwrap();
    drop(partial);
    let partial = place.store.begin(&key).unwrap();
    assert_eq!(partial.received(), 3);
    assert_eq!(partial.validator().as_deref(), Some("\"1\""));
    partial.set_validator(None).unwrap();
    assert_eq!(partial.validator(), None);
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
fn what_is_no_file_is_not_hashed() {
    let place = tempfile::tempdir().unwrap();
    let pipe = place.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [pipe.as_path(), std::path::Path::new("/dev/zero"), place.path()] {
        assert_eq!(hash_file(path).unwrap_err().kind(), std::io::ErrorKind::InvalidInput, "{}", path.display());
    }
}

#[test]
fn a_full_disk_is_told_with_the_bytes_that_are_missing() {
    let place = place();
    let partial = place.store.begin(&digest(b"x")).unwrap();
    let Err(CacheError::Full { needed, .. }) = partial.make_room(u64::MAX) else { panic!("no disk is that large") };
    let problem = Problem::from(CacheError::Full { path: "/c".into(), needed: 3_000_000 });
    assert!(needed > 0);
    assert_eq!(problem.code, ProblemCode::StorageFull);
    assert_eq!(problem.why, "3.00 MB are missing on the disk of /c.");
}

#[test]
fn a_cache_that_is_removed_under_a_download_loses_nothing_of_it() {
    let place = place();
    let key = digest(b"an image");
    for again in [false, true] {
        let partial = place.store.begin(&key).unwrap();
        partial.append(b"an image", 8).unwrap();
        fs::remove_dir_all(&place.paths.cache).unwrap();
        // Somebody else may have begun anew meanwhile. That one keeps what is its own.
        let other = again.then(|| place.store.begin(&key).unwrap());
        if let Some(other) = &other {
            other.append(b"an ", 8).unwrap();
        }
        let cached = partial.commit(Promise::Digest(key), None).unwrap();
        drop(partial);
        assert_eq!(fs::read(&cached.path).unwrap(), b"an image");
        assert_eq!(place.store.find(&key).unwrap(), Some(cached));
        if let Some(other) = other {
            other.append(b"image", 5).unwrap();
            other.commit(Promise::Digest(key), None).unwrap();
        }
        assert_eq!(fs::read_dir(place.paths.partial()).into_iter().flatten().count(), 0);
    }
}

#[test]
fn what_servers_called_an_image_is_remembered_as_long_as_it_is_here() {
    let place = place();
    let (old, new) = (put(&place.store, b"old").digest, put(&place.store, b"new").digest);
    let listed = |server: &str, id: &str, name: &str| Listed {
        server: server.parse().unwrap(),
        id: id.parse().unwrap(),
        name: name.into(),
    };
    let called = |word: &str, server: Option<&str>| {
        let server = server.map(|server| server.parse().unwrap());
        let mut found: Vec<_> = place.store.listed_as(word, server.as_ref()).into_iter().map(|(of, _)| of).collect();
        found.sort();
        found
    };
    place.store.remember_listed(&old, &[listed("office", "debian", "Debian 12"), listed("home", "deb", "My Debian")]);
    for (word, server) in [("debian", None), ("Debian 12", Some("office")), ("deb", Some("home"))] {
        assert_eq!(called(word, server), [old], "{word}");
    }
    assert_eq!(called(&old.to_string(), Some("home")), [old]);
    for (word, server) in [("debian", Some("home")), ("Debian", None), ("", None)] {
        assert_eq!(called(word, server), [], "{word}");
    }
    // The server gives the id to another image.
    place.store.remember_listed(&new, &[listed("office", "debian", "Debian 13")]);
    assert_eq!((called("debian", None), called("deb", None)), (vec![new], vec![old]));
    place.store.remove(&new).unwrap();
    assert_eq!(called("debian", None), []);
    let kept = &place.store.inventory().images[0].listed;
    assert_eq!(kept.iter().map(|listed| listed.id.as_str()).collect::<Vec<_>>(), ["deb"]);
}
