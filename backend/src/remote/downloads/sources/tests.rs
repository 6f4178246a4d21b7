use super::*;
use pixelrts_shared::ServerId;
use proptest::prelude::*;

use crate::remote::client::Endpoint;
use crate::remote::error::RemoteError;

fn sources(count: usize) -> Sources {
    let mirror = |number: usize| {
        let url: url::Url = format!("http://127.0.0.1:{}/x", 1000 + number).parse().unwrap();
        let name = format!("s{number}");
        let endpoint = Endpoint::new(name.as_str().into(), url.clone());
        Mirror { server: ServerId::from_name(&name), endpoint, url, size: None }
    };
    Sources::new((0..count).map(mirror).collect(), &backoff().without_jitter(), false)
}

fn tried(id: usize, brought: u64, answers: u32, at: Instant) -> Tried {
    Tried { id, brought, answers, at }
}

fn error(kind: Kind) -> Failure {
    Failure::Error(RemoteError::new("office", kind))
}

fn broken() -> Failure {
    error(Kind::Interrupted("on purpose".into()))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_source_that_fails_waits_longer_each_time_and_the_others_go_on() {
    let (mut sources, start) = (sources(2), Instant::now());
    assert_eq!(sources.next(start), Next::Try(0));
    assert_eq!(sources.failed(&broken(), tried(0, 0, 0, start), 0), After::GoOn);
    assert_eq!(sources.next(start), Next::Try(1), "the other one need not wait");
    sources.failed(&broken(), tried(1, 0, 0, start), 0);
    assert_eq!(sources.next(start), Next::WaitUntil(start + seconds(2)));
    let mut now = start;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let Next::WaitUntil(until) = sources.next(now) else { panic!("both wait") };
        waits.push(until - now);
        now = until;
        while let Next::Try(id) = sources.next(now) {
            sources.failed(&broken(), tried(id, 100, 1, now), 0);
        }
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60].map(seconds), "a few bytes are no progress, and it never gives up");
    sources.failed(&broken(), tried(0, LEAST_PROGRESS, 1, now), 0);
    assert_eq!(sources.next(now), Next::WaitUntil(now + seconds(2)), "progress begins the waits again");
    sources.failed(&broken(), tried(0, PLENTY, 1, now), 0);
    assert_eq!(sources.next(now), Next::Try(0), "a connection that breaks is only a new request");
}

#[test]
fn a_server_decides_when_it_is_asked_again_within_a_bound() {
    let (mut sources, start) = (sources(1), Instant::now());
    let mut busy = |wait| {
        sources.failed(&error(Kind::Busy { status: 429, wait }), tried(0, 0, 0, start), 0);
        sources.next(start)
    };
    assert_eq!(busy(Some(seconds(4))), Next::WaitUntil(start + seconds(4)));
    assert_eq!(busy(Some(seconds(1_000_000))), Next::WaitUntil(start + seconds(300)));
    assert_eq!(busy(None), Next::WaitUntil(start + seconds(2)));
}

#[test]
fn a_source_that_cannot_have_the_image_is_not_asked_again() {
    for kind in [Kind::Denied(403), Kind::AnotherPicture("a WebP picture"), Kind::Status(400)] {
        let (mut sources, start) = (sources(2), Instant::now());
        sources.failed(&error(kind), tried(0, 0, 0, start), 0);
        assert_eq!(sources.next(start + seconds(1000)), Next::Try(1));
        sources.refused(tried(1, 9, 1, start));
        assert_eq!(sources.next(start), Next::Nobody);
    }
}

#[test]
fn a_slow_source_comes_last() {
    let (mut sources, start) = (sources(2), Instant::now());
    let slow = error(Kind::TooSlow { bytes_per_second: 100, over: seconds(30) });
    assert!(sources.has_other_than(0));
    sources.failed(&slow, tried(0, 3000, 1, start), 0);
    assert_eq!(sources.next(start), Next::Try(1));
    assert!(!sources.has_other_than(1), "the slow one is no reason to leave another one");
    sources.failed(&error(Kind::Denied(403)), tried(1, 0, 0, start), 0);
    assert_eq!(sources.next(start), Next::Try(0));
}

#[test]
fn a_full_disk_is_waited_for_and_a_broken_one_is_not() {
    let (mut sources, now) = (sources(1), Instant::now());
    let full = crate::cache::CacheError::Full { path: "/".into(), needed: 5 };
    let after = sources.failed(&error(Kind::Cache(full)), tried(0, 0, 1, now), 0);
    assert!(matches!(after, After::WaitForRoom(wait) if wait > Duration::ZERO), "{after:?}");
    let broken = crate::cache::CacheError::Io { path: "/".into(), error: std::io::ErrorKind::Other.into() };
    assert_eq!(sources.failed(&error(Kind::Cache(broken)), tried(0, 0, 1, now), 0), After::GiveUp);
}

#[test]
fn a_source_that_contradicts_its_catalog_may_do_so_a_few_times() {
    let (mut sources, now) = (sources(1), Instant::now());
    for _ in 1..CONTRADICTIONS {
        sources.failed(&error(Kind::Length { expected: 7, found: 9 }), tried(0, 0, 0, now), 0);
        assert!(matches!(sources.next(now), Next::WaitUntil(_)));
    }
    sources.failed(&error(Kind::Length { expected: 7, found: 9 }), tried(0, 0, 0, now), 0);
    assert_eq!(sources.next(now), Next::Nobody);
}

#[test]
fn wrong_bytes_from_one_answer_are_blamed_at_once_and_others_after_a_clean_try() {
    let now = Instant::now();
    let mut alone = sources(1);
    alone.mismatched(tried(0, 100, 1, now));
    assert_eq!(alone.next(now), Next::Nobody, "what came in one piece will not get better");

    let mut in_pieces = sources(1);
    in_pieces.failed(&broken(), tried(0, PLENTY, 1, now), 0);
    in_pieces.mismatched(tried(0, 100, 1, now));
    assert_eq!(in_pieces.next(now), Next::Try(0), "the file may have changed in between");
    in_pieces.failed(&broken(), tried(0, PLENTY, 1, now), 0);
    in_pieces.mismatched(tried(0, 100, 1, now));
    assert_eq!(in_pieces.next(now), Next::Nobody);

    let mut mixed = sources(2);
    mixed.failed(&broken(), tried(0, PLENTY, 1, now), 0);
    mixed.mismatched(tried(1, 100, 1, now));
    assert_eq!(mixed.next(now), Next::Try(0));
    assert!(!mixed.must_be_clean_for(0), "nothing is here");
    mixed.failed(&broken(), tried(0, 100, 1, now), 0);
    assert!(matches!(mixed.next(now), Next::WaitUntil(_)), "bytes of two are not mixed again");
    mixed.failed(&broken(), tried(0, 0, 1, now), 0);
    mixed.failed(&broken(), tried(0, 0, 1, now), 0);
    assert_eq!(mixed.next(now), Next::Try(1), "but the image does not depend on one that brings nothing");
    assert!(mixed.must_be_clean_for(1));
    mixed.mismatched(tried(1, 100, 2, now));
    assert_eq!(mixed.next(now + seconds(600)), Next::Try(0), "only the liar is dropped");
}

#[test]
fn a_shorter_file_costs_nothing_until_every_source_has_it() {
    let (mut sources, now) = (sources(2), Instant::now());
    let shorter = || Failure::Shorter(RemoteError::new("s", Kind::Length { expected: 50, found: 7 }));
    assert_eq!(sources.failed(&shorter(), tried(0, 0, 0, now), 0), After::GoOn);
    assert_eq!(sources.next(now), Next::Try(1));
    assert_eq!(sources.failed(&shorter(), tried(1, 0, 0, now), 0), After::Discard);
    assert!(sources.clean && sources.writers == Writers::Nobody);
}

/// What a source does in one try.
#[derive(Clone, Copy, Debug)]
enum Act {
    Break { brought: u64 },
    Shorter,
    Lie,
}

proptest! {
    /// The first source is honest: it breaks now and then, and in the end it gives the rest. The others do as they like.
    #[test]
    fn one_honest_source_is_enough(
        acts in prop::collection::vec(
            prop_oneof![
                (0_u64..4 << 20).prop_map(|brought| Act::Break { brought }),
                Just(Act::Shorter),
                Just(Act::Lie),
            ],
            0..60,
        ),
        honest_last: bool, others in 0_usize..4,
    ) {
        let mut sources = sources(others + 1);
        let honest = if honest_last { others } else { 0 };
        let (mut now, mut acts) = (Instant::now(), acts.into_iter());
        // Wrong bytes are here; they were thrown away so often.
        let (mut spoiled, mut mismatches) = (false, 0);
        let mut done = false;
        for _ in 0..1000 {
            match sources.next(now) {
                Next::Nobody => break,
                Next::WaitUntil(until) => now = until,
                Next::Try(id) => {
                    if sources.must_be_clean_for(id) {
                        spoiled = false;
                    }
                    let act = acts.next();
                    match (id == honest, act) {
                        (true, Some(Act::Break { brought })) | (false, Some(Act::Break { brought })) => {
                            spoiled |= id != honest && brought > 0;
                            sources.failed(&broken(), tried(id, brought, 1, now), 0);
                        }
                        (false, Some(Act::Shorter)) => {
                            let shorter = Failure::Shorter(RemoteError::new("s", Kind::Length { expected: 9, found: 7 }));
                            if sources.failed(&shorter, tried(id, 0, 0, now), 0) == After::Discard {
                                spoiled = false;
                            }
                        }
                        (true, _) if !spoiled => {
                            done = true;
                            break;
                        }
                        _ => {
                            sources.mismatched(tried(id, 100, 1, now));
                            (spoiled, mismatches) = (false, mismatches + 1);
                        }
                    }
                }
            }
        }
        prop_assert!(done, "the honest source was given up");
        prop_assert!(mismatches <= others + 2, "{mismatches} transfers for nothing");
    }
}
