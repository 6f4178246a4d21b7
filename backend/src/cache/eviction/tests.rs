use super::*;
use proptest::prelude::*;

const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Limits = Limits { max_size: 100, ttl: Duration::from_secs(7 * 24 * 3600) };

fn digest(number: u8) -> Digest {
    Digest::new([number; 32])
}

fn used(idle: Duration) -> LastUse {
    LastUse { idle, clock: SystemTime::UNIX_EPOCH }
}

/// An image that a server offers, and that nothing keeps here.
fn image(number: u8, size: u64, idle: Duration) -> Image {
    let digest = digest(number);
    Image { digest, size, used: used(idle), pinned: false, in_use: false, last_booted: false, can_be_had: true }
}

fn incomplete(number: u8, size: u64, idle: Duration) -> Incomplete {
    Incomplete { key: digest(number), size, reserved: 0, used: used(idle), held: false, can_be_had: true }
}

fn removed(decision: &Decision) -> Vec<Item> {
    decision.removals.iter().map(|removal| removal.item.clone()).collect()
}

#[test]
fn age_removes_only_what_a_server_can_give_again() {
    let old = image(1, 1, 8 * DAY);
    let images = vec![
        old.clone(),
        Image { can_be_had: false, ..image(2, 1, 400 * DAY) },
        Image { pinned: true, ..image(3, 1, 400 * DAY) },
        Image { last_booted: true, ..image(4, 1, 400 * DAY) },
        Image { in_use: true, ..image(5, 1, 400 * DAY) },
        image(6, 1, 6 * DAY),
    ];
    let incomplete = vec![
        incomplete(7, 1, 8 * DAY),
        Incomplete { can_be_had: false, ..incomplete(8, 1, 400 * DAY) },
        Incomplete { held: true, ..incomplete(9, 1, 400 * DAY) },
    ];
    let contents = Contents { images, incomplete, pictures: Vec::new() };
    let decision = decide(&contents, &WEEK, 1000, false);
    assert_eq!(removed(&decision), [Item::Image(old.digest), Item::Incomplete(digest(7))]);
    assert_eq!(decision.removals[0].reason, Reason::Unused(WEEK.ttl));
    assert_eq!(decision.removals[0].reason.to_string(), "it was not used for 7d, and a server can give it again");
}

#[test]
fn room_is_made_by_incomplete_downloads_first_then_by_the_oldest_images() {
    let contents = Contents {
        images: vec![image(1, 40, DAY), image(2, 40, 2 * DAY)],
        incomplete: vec![
            incomplete(3, 20, DAY),
            incomplete(4, 20, 2 * DAY),
            // To come: 60 bytes, of which 10 are here.
            Incomplete { reserved: 60, held: true, ..incomplete(5, 10, Duration::ZERO) },
        ],
        pictures: vec![Picture { path: "p".into(), size: 5, clock: SystemTime::UNIX_EPOCH }],
    };
    assert_eq!(contents.size(), 185);
    let decision = decide(&contents, &WEEK, 1000, true);
    let expected =
        [Item::Incomplete(digest(4)), Item::Incomplete(digest(3)), Item::Image(digest(2)), Item::Image(digest(1))];
    assert_eq!(removed(&decision), expected);
    assert_eq!(decision.short, Short::default());
    assert!(decision.removals.iter().all(|removal| removal.reason == Reason::Limit(100)));
}

#[test]
fn the_clock_only_orders_what_was_idle_for_equally_long() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let with = |number, idle, clock| Image { used: LastUse { idle, clock: at(clock) }, ..image(number, 60, idle) };
    let contents =
        Contents { images: vec![with(1, DAY, 9), with(2, DAY, 5), with(3, 2 * DAY, 7)], ..Contents::default() };
    assert_eq!(removed(&decide(&contents, &WEEK, 1000, false)), [Item::Image(digest(3)), Item::Image(digest(2))]);
}

#[test]
fn a_disk_that_is_full_counts_as_the_limit_does() {
    let coming = Incomplete { reserved: 50, held: true, ..incomplete(2, 10, Duration::ZERO) };
    let contents = Contents {
        images: vec![image(1, 20, DAY)],
        incomplete: vec![coming, incomplete(3, 5, DAY)],
        pictures: Vec::new(),
    };
    assert_eq!(removed(&decide(&contents, &WEEK, 40, true)), []);
    let decision = decide(&contents, &WEEK, 30, true);
    assert_eq!(removed(&decision), [Item::Incomplete(digest(3)), Item::Image(digest(1))]);
    assert_eq!(decision.removals[0].reason, Reason::Disk(10));
    let decision = decide(&contents, &WEEK, 0, true);
    assert_eq!((removed(&decision), decision.short.disk), (vec![], 15), "too little for it, so all of it stays");
}

#[test]
fn a_refusal_says_what_stays_and_whether_it_stays_for_long() {
    let contents = Contents {
        images: vec![
            Image { pinned: true, in_use: true, ..image(1, 30_000_000, DAY) },
            Image { in_use: true, ..image(2, 1000, DAY) },
            Image { last_booted: true, ..image(3, 1000, DAY) },
            Image { can_be_had: false, ..image(4, 1000, DAY) },
            Image { can_be_had: false, ..image(5, 1000, DAY) },
        ],
        incomplete: vec![Incomplete { held: true, ..incomplete(6, 4000, Duration::ZERO) }],
        pictures: Vec::new(),
    };
    let refusal = contents.refusal(5000, 20_000_000);
    assert_eq!(
        refusal.to_string(),
        "5.00 KB are missing: the cache may have 20.0 MB (cache.max_size), and these images stay: 1 pinned (30.0 MB), \
         1 used by machines (1.00 KB), 1 the one that was booted last (1.00 KB), 2 offered by no server that answers \
         (2.00 KB), 1 being downloaded (4.00 KB)"
    );
    assert_eq!(refusal.soon, None);
    let fresh = Contents { images: vec![image(1, 5000, Duration::ZERO)], ..Contents::default() };
    assert_eq!(fresh.refusal(5000, 1).soon, Some(JUST_NOW));
    assert_eq!(fresh.refusal(5001, 1).soon, None);
}

fn last_use() -> impl Strategy<Value = LastUse> {
    (0..20 * 24 * 3600_u64, 0..4_000_000_000_u64).prop_map(|(idle, clock)| LastUse {
        idle: Duration::from_secs(idle),
        clock: SystemTime::UNIX_EPOCH + Duration::from_secs(clock),
    })
}

prop_compose! {
    fn any_image()(
        number in any::<[u8; 32]>(), size in 0..60_u64, used in last_use(), pinned: bool, in_use: bool, last_booted: bool,
        can_be_had: bool,
    ) -> Image {
        Image { digest: Digest::new(number), size, used, pinned, in_use, last_booted, can_be_had }
    }
}

prop_compose! {
    fn any_incomplete()(
        number in any::<[u8; 32]>(), size in 0..60_u64, reserved in 0..60_u64, used in last_use(), held: bool,
        can_be_had: bool,
    ) -> Incomplete {
        let reserved = if held { reserved } else { 0 };
        Incomplete { key: Digest::new(number), size, reserved, used, held, can_be_had }
    }
}

prop_compose! {
    fn any_contents()(
        images in proptest::collection::vec(any_image(), 0..8),
        incomplete in proptest::collection::vec(any_incomplete(), 0..4),
        pictures in proptest::collection::vec(0..5_u64, 0..3),
    ) -> Contents {
        let picture = |(number, size): (usize, u64)| {
            Picture { path: number.to_string().into(), size, clock: SystemTime::UNIX_EPOCH }
        };
        Contents { images, incomplete, pictures: pictures.into_iter().enumerate().map(picture).collect() }
    }
}

proptest! {
    #[test]
    fn whatever_is_here_the_rules_hold(contents in any_contents(), max_size in 0..400_u64, free in 0..400_u64, whole: bool) {
        let limits = Limits { max_size, ..WEEK };
        let decision = decide(&contents, &limits, free, whole);
        let gone = removed(&decision);
        let size: u64 = decision.removals.iter().map(|removal| removal.size).sum();
        let left = contents.size() - size;
        for (at, removal) in decision.removals.iter().enumerate() {
            prop_assert!(!gone[..at].contains(&removal.item), "nothing is removed twice");
            let (had, idle) = match &removal.item {
                Item::Image(digest) => {
                    let image = contents.images.iter().find(|image| image.digest == *digest).unwrap();
                    prop_assert_eq!(image.kept(), None);
                    (image.can_be_had, image.used.idle)
                }
                Item::Incomplete(key) => {
                    let one = contents.incomplete.iter().find(|one| one.key == *key).unwrap();
                    prop_assert!(!one.held);
                    (one.can_be_had, one.used.idle)
                }
                Item::Picture(_) => (true, Duration::MAX),
            };
            prop_assert!(!matches!(removal.reason, Reason::Unused(_)) || had && idle > limits.ttl);
        }
        // The limits hold, or nothing that may leave is left, or nothing was removed for an image that is refused.
        let left_over = contents.candidates().iter().any(|(item, _)| !gone.contains(item));
        let for_room = decision.removals.iter().any(|removal| !matches!(removal.reason, Reason::Unused(_)));
        if decision.short == Short::default() {
            prop_assert!(left <= max_size);
        } else {
            let holds = if whole { !for_room } else { !left_over };
            prop_assert!(holds);
        }
        // The oldest go first.
        let evicted = |image: &&Image| gone.contains(&Item::Image(image.digest));
        let youngest_gone = decision.removals.iter().filter(|removal| matches!(removal.reason, Reason::Limit(_)))
            .filter_map(|removal| contents.images.iter().find(|image| removal.item == Item::Image(image.digest)))
            .map(|image| image.used.idle).min();
        let oldest_left = contents.images.iter().filter(|image| image.kept().is_none() && !evicted(image))
            .map(|image| image.used.idle).max();
        if let (Some(gone), Some(left)) = (youngest_gone, oldest_left) {
            prop_assert!(gone >= left);
        }
    }
}
