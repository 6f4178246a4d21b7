//! What leaves the cache and what stays, with files, processes and clocks.

use super::*;
use crate::cache::eviction::JUST_NOW;

const HOUR: u64 = 3600;
const LIMITS: Limits = Limits { max_size: 1 << 20, ttl: Duration::from_secs(2 * HOUR) };

/// An image of which the last use was so many seconds of life ago, as far as life goes back.
fn idle(place: &Place, bytes: &[u8], seconds: u64) -> Cached {
    let cached = put(&place.store, bytes);
    used(place, &cached.digest, seconds);
    cached
}

fn used(place: &Place, name: &Digest, seconds: u64) {
    let now = place.store.shared.life.now();
    fs::write(place.paths.cache.join("uses").join(name.to_string()), format!("{}\n", now - seconds)).unwrap();
}

/// A store on a computer that has run for a year, whose servers offer everything.
fn old_place() -> Place {
    let place = place();
    fs::write(place.paths.cache.join("lived"), "31536000 1 another-run\n").unwrap();
    place.store.ask_servers(|_| true);
    place.store.set_limits(LIMITS);
    place
}

/// The same when no server answers.
fn offline_place() -> Place {
    let place = place();
    fs::write(place.paths.cache.join("lived"), "31536000 1 another-run\n").unwrap();
    place.store.set_limits(LIMITS);
    place
}

fn here(place: &Place) -> HashSet<Digest> {
    place.store.digests()
}

fn limited(place: &Place, max_size: u64) -> Vec<Item> {
    place.store.set_limits(Limits { max_size, ..LIMITS });
    place.store.keep_within_limits().into_iter().map(|removal| removal.item).collect()
}

#[test]
fn what_was_used_longest_ago_goes_first_and_what_was_used_just_now_stays() {
    let place = old_place();
    let old = idle(&place, b"old.", HOUR);
    let older = idle(&place, b"older", HOUR + 100);
    let used = idle(&place, b"used", HOUR + 200);
    place.store.find(&used.digest).unwrap().unwrap();
    let new = put(&place.store, b"new!");
    assert_eq!(limited(&place, 17), [], "it fits");
    assert_eq!(limited(&place, 16), [Item::Image(older.digest)]);
    assert_eq!(limited(&place, 0), [Item::Image(old.digest)]);
    assert_eq!(here(&place), HashSet::from([used.digest, new.digest]), "somebody is about to open them");
}

#[test]
fn a_start_with_the_server_gone_empties_nothing() {
    let place = offline_place();
    let old = idle(&place, b"an image", 365 * 24 * HOUR);
    let file = File::open(&old.path).unwrap();
    for modified in [SystemTime::now() - Duration::from_secs(8 * 24 * HOUR), SystemTime::UNIX_EPOCH] {
        file.set_modified(modified).unwrap();
        assert_eq!(limited(&place, LIMITS.max_size), []);
        assert_eq!(limited(&place, 0), [], "nor does the limit of size");
    }
    place.store.ask_servers(|_| true);
    assert_eq!(limited(&place, LIMITS.max_size), [Item::Image(old.digest)]);
}

#[test]
fn a_clock_that_jumps_makes_nothing_old() {
    let place = old_place();
    let image = put(&place.store, b"an image");
    let year = Duration::from_secs(365 * 24 * HOUR);
    // As if the clock had been a year ahead, or had stood at its beginning, when the image came and was used.
    for time in [SystemTime::now() + year, SystemTime::UNIX_EPOCH, SystemTime::now() - 60 * year] {
        for file in [image.path.clone(), place.paths.cache.join("uses").join(image.digest.to_string())] {
            File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(limited(&place, LIMITS.max_size), []);
    }
    // Only what somebody has set back, by a time that is possible, is as old as that.
    let file = File::options().write(true).open(&image.path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(8 * 24 * HOUR)).unwrap();
    assert_eq!(limited(&place, LIMITS.max_size), [Item::Image(image.digest)]);
}

#[test]
fn what_a_person_pinned_and_the_image_of_the_last_boot_stay() {
    let place = old_place();
    let pinned = idle(&place, b"pinned", HOUR);
    let first = idle(&place, b"first boot", HOUR);
    let last = idle(&place, b"last boot", HOUR);
    place.store.pin(&pinned.digest).unwrap();
    place.store.booted(&first.digest);
    place.store.booted(&last.digest);
    place.store.booted(&digest(b"an image of a folder"));
    assert_eq!(limited(&place, 0), [Item::Image(first.digest)]);
    // Another process, whose index was lost, keeps them too.
    let other = Store::new(&place.paths, Database::in_memory(&SCHEMA).unwrap());
    other.ask_servers(|_| true);
    other.set_limits(Limits { max_size: 0, ..LIMITS });
    assert_eq!(other.keep_within_limits(), []);
    assert!(place.store.unpin(&pinned.digest).unwrap() && !place.store.unpin(&pinned.digest).unwrap());
    assert_eq!(limited(&place, 0), [Item::Image(pinned.digest)]);
    assert!(matches!(place.store.pin(&pinned.digest), Err(CacheError::NotHere(_))));
}

#[test]
fn a_machine_keeps_its_image() {
    let place = old_place();
    let machine = idle(&place, b"machine", 3 * HOUR);
    let held = hold(&machine.path).unwrap().unwrap();
    assert_eq!(limited(&place, 0), []);
    drop(held);
    assert_eq!(limited(&place, LIMITS.max_size), [Item::Image(machine.digest)]);
}

#[test]
fn an_image_that_is_being_removed_is_not_found() {
    let place = place();
    let cached = put(&place.store, b"an image");
    let evictor = File::open(&cached.path).unwrap();
    evictor.try_lock().unwrap();
    assert!(hold(&cached.path).unwrap().is_none());
    assert!(place.store.find(&cached.digest).unwrap().is_none());
    drop(evictor);
    assert!(place.store.find(&cached.digest).unwrap().is_some());
}

#[test]
fn who_only_looks_whether_an_image_is_in_use_keeps_nobody_from_it() {
    let place = place();
    let cached = put(&place.store, b"an image");
    let looks = File::open(&cached.path).unwrap();
    looks.try_lock().unwrap();
    std::thread::scope(|scope| {
        let held = scope.spawn(|| hold(&cached.path).unwrap().is_some());
        std::thread::sleep(Duration::from_millis(20));
        drop(looks);
        assert!(held.join().unwrap());
    });
}

#[test]
fn an_image_that_comes_makes_room_for_itself() {
    let place = old_place();
    let old = idle(&place, b"old", HOUR);
    place.store.set_limits(Limits { max_size: 4, ..LIMITS });
    let mut reading = File::open(&old.path).unwrap();
    let room = place.store.make_room(&digest(b"new"), 3).unwrap();
    let new = put(&place.store, b"new");
    drop(room);
    assert_eq!(here(&place), HashSet::from([new.digest]));
    let mut text = String::new();
    reading.read_to_string(&mut text).unwrap();
    assert_eq!(text, "old", "who reads it reads on");
}

#[test]
fn an_image_that_does_not_fit_is_refused_in_words_and_nothing_is_removed_for_it() {
    let place = offline_place();
    let only = idle(&place, b"only copy", 9 * HOUR);
    let pinned = idle(&place, b"pinned", 9 * HOUR);
    place.store.pin(&pinned.digest).unwrap();
    place.store.set_limits(Limits { max_size: 20, ..LIMITS });
    assert!(place.store.make_room(&digest(b"x"), 5).is_ok());
    let refused = place.store.make_room(&digest(b"x"), 6).unwrap_err();
    assert_eq!(refused.passes_after(), None);
    let problem = Problem::from(refused);
    assert_eq!(problem.code, ProblemCode::CacheFull);
    assert_eq!(
        problem.why,
        "1 B are missing: the cache may have 20 B (cache.max_size), and these images stay: 1 pinned (6 B), 1 offered by \
         no server that answers (9 B)."
    );
    assert!(problem.fix.contains("pixelrts cache ls"), "{}", problem.fix);
    assert_eq!(here(&place), HashSet::from([only.digest, pinned.digest]));
}

#[test]
fn an_image_that_was_used_a_moment_ago_is_waited_for() {
    let place = old_place();
    put(&place.store, b"a moment");
    place.store.set_limits(Limits { max_size: 10, ..LIMITS });
    assert_eq!(place.store.make_room(&digest(b"x"), 8).unwrap_err().passes_after(), Some(JUST_NOW));
}

#[test]
fn incomplete_downloads_count_and_make_room_for_others_but_not_while_somebody_continues_them() {
    let place = old_place();
    let begin = |name: &[u8], bytes: &[u8], seconds| {
        let partial = place.store.begin(&digest(name)).unwrap();
        partial.append(bytes, 100).unwrap();
        used(&place, &digest(name), seconds);
        partial
    };
    let held = begin(b"held", b"0123", 9);
    drop(begin(b"old", b"0123", 100));
    drop(begin(b"older", b"0123", 200));
    let image = idle(&place, b"image", HOUR);
    place.store.set_limits(Limits { max_size: 20, ..LIMITS });
    let new = place.store.begin(&digest(b"new")).unwrap();
    let room = place.store.make_room(&digest(b"new"), 4).unwrap();
    let left = |name: &[u8]| place.paths.partial().join(digest(name).to_string()).exists();
    assert!(left(b"held") && left(b"old") && !left(b"older"));
    // What is reserved cannot be given to another one: 4 are held, 4 old, 5 an image, 4 promised.
    assert!(place.store.make_room(&digest(b"third"), 13).is_err());
    let third = place.store.make_room(&digest(b"third"), 12).unwrap();
    assert!(left(b"held") && !left(b"old") && here(&place).is_empty(), "{image:?}");
    // A body that grows asks again for itself.
    drop(third);
    assert!(place.store.make_room(&digest(b"new"), 16).is_ok());
    assert!(place.store.make_room(&digest(b"new"), 17).is_err());
    drop((room, new, held));
}

#[test]
fn small_pictures_count_and_go_last() {
    let place = old_place();
    let server = place.paths.thumbnails().join("office");
    fs::create_dir_all(&server).unwrap();
    fs::write(server.join("a.png"), b"picture").unwrap();
    let image = idle(&place, b"image", HOUR);
    assert_eq!(limited(&place, 11), [Item::Image(image.digest)]);
    assert_eq!(limited(&place, 6), [Item::Picture(server.join("a.png"))]);
}

#[test]
fn rows_without_files_downloads_without_bytes_and_lost_uses_are_leftovers() {
    let place = place();
    let (kept, lost) = (put(&place.store, b"kept"), put(&place.store, b"lost"));
    fs::remove_file(&lost.path).unwrap();
    let held = place.store.begin(&digest(b"held")).unwrap();
    let old = place.store.begin(&digest(b"old")).unwrap();
    old.append(b"bytes", 100).unwrap();
    drop(old);
    let data = place.paths.partial().join(digest(b"old").to_string()).join("data");
    let year = Duration::from_secs(365 * 24 * HOUR);
    File::options().write(true).open(data).unwrap().set_modified(SystemTime::now() - year).unwrap();
    fs::create_dir(place.paths.partial().join(digest(b"empty").to_string())).unwrap();

    let orphans = place.store.orphans().unwrap();
    let expected = Orphans { rows: vec![lost.digest], partials: vec![digest(b"empty")], uses: vec![lost.digest] };
    assert_eq!(orphans, expected);
    place.store.remove_orphans(&orphans).unwrap();
    assert!(place.store.orphans().unwrap().is_empty());
    assert_eq!(partials(&place), 2, "one is held, one can be continued, however old it is");
    assert!(place.store.index.get(&kept.digest).is_some() && place.store.index.get(&lost.digest).is_none());
    drop(held);
}

#[test]
fn a_download_that_somebody_took_up_again_is_no_leftover_any_more() {
    let place = place();
    let key = digest(b"x");
    let folder = place.paths.partial().join(key.to_string());
    fs::create_dir(&folder).unwrap();
    let orphans = place.store.orphans().unwrap();
    assert_eq!(orphans.partials, [key]);
    let partial = place.store.begin(&key).unwrap();
    place.store.remove_orphans(&orphans).unwrap();
    assert!(folder.exists());
    drop(partial);
}
