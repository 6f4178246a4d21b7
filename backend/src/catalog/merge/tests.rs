use super::*;
use crate::catalog::scan::LocalImage;
use crate::remote::catalogs::ServerCatalog;
use crate::remote::servers::Record;
use pixelrts_shared::ServerId;
use pixelrts_shared::catalog::{Broken, Catalog, CatalogCopy, MergedCatalog};
use pixelrts_shared::download::DownloadStage;
use pixelrts_shared::machine::{BootStage, MachineState};
use pixelrts_shared::server::{Health, HealthState};
use proptest::prelude::*;

fn digest(n: u8) -> Digest {
    Digest::new([n; 32])
}

fn entry(id: &str, n: u8) -> Entry {
    let json = format!(r#"{{"id":"{id}","name":"{id}","size":1,"sha256":"{}"}}"#, digest(n));
    serde_json::from_str(&json).unwrap()
}

fn known(name: &str, state: HealthState, entries: Vec<Entry>) -> KnownServer {
    let server = Record {
        id: ServerId::from_name(name),
        name: name.into(),
        url: format!("http://{name}/images/").parse().unwrap(),
        color: None,
        priority: 1,
        enabled: true,
        access: Default::default(),
        configured: None,
    };
    let catalog = Catalog { format: 1, name: name.into(), generated_at: Default::default(), entries };
    KnownServer {
        server,
        catalog: Some(Arc::new(ServerCatalog::new(catalog))),
        health: Health { state, ..Health::default() },
        asking: false,
    }
}

fn folders(entries: Vec<Entry>) -> Arc<Found> {
    let images = entries.into_iter().map(|entry| Arc::new(LocalImage::for_test(entry))).collect();
    Arc::new(Found { scanned_at: "2026-01-01T00:00:00Z".to_owned(), images, ..Found::default() })
}

fn told(entry: Entry) -> Told {
    Told { entry: Arc::new(entry), by_itself: true }
}

/// The whole view of these catalogs.
fn merge(local: Vec<Entry>, servers: Vec<KnownServer>) -> MergedCatalog {
    merge_with(Inputs { local: folders(local), servers, ..Inputs::default() })
}

fn merge_with(inputs: Inputs) -> MergedCatalog {
    let mut merged = Merged::new("e".to_owned());
    merged.update(inputs);
    merged.whole()
}

fn servers(entry: &MergedEntry) -> Vec<&str> {
    entry.sources.iter().map(|source| source.server.as_str()).collect()
}

#[test]
fn the_same_bytes_are_one_entry_with_all_sources_in_order() {
    let known_servers = vec![
        known("dead", HealthState::Down, vec![entry("a", 1)]),
        known("first", HealthState::Up, vec![entry("b", 1)]),
        known("new", HealthState::Unknown, vec![entry("c", 1)]),
    ];
    let merged = merge(vec![entry("mine", 1)], known_servers).entries;
    assert_eq!(merged.len(), 1);
    assert_eq!(servers(&merged[0]), ["local", "first", "new", "dead"]);
    assert_eq!((merged[0].entry.id.as_str(), &merged[0].described_by), ("mine", &None));
    let ids: Vec<_> = merged[0].sources.iter().map(|source| source.id.as_str()).collect();
    assert_eq!(ids, ["mine", "b", "c", "a"], "ids are those of each server");
    let url = merged[0].sources[1].url.as_deref().unwrap();
    assert_eq!(url, format!("http://first/images/api/v1/images/{}.rts.png", digest(1)));
}

#[test]
fn the_same_id_with_other_bytes_stays_two() {
    let known_servers = vec![
        known("a", HealthState::Up, vec![entry("debian", 1)]),
        known("b", HealthState::Up, vec![entry("debian", 2)]),
    ];
    let mut merged = Merged::new(String::new());
    merged.update(Inputs { servers: known_servers, ..Inputs::default() });
    assert_eq!(merged.whole().entries.iter().map(servers).collect::<Vec<_>>(), [["a"], ["b"]]);
    let id = "debian".parse().unwrap();
    assert_eq!(merged.with_id(&id, None), [digest(1), digest(2)]);
    assert_eq!(merged.with_id(&id, Some(&"b".parse().unwrap())), [digest(2)]);
    assert_eq!(merged.with_id(&"other".parse().unwrap(), None), []);
}

#[test]
fn addresses_of_entries_are_relative_to_the_server_and_only_http() {
    let with = |url: &str| Entry { url: Some(url.into()), ..entry("x", 1) };
    for (url, expected) in [
        ("x.rts.png", Some("http://a/images/x.rts.png")),
        ("/x.rts.png", Some("http://a/x.rts.png")),
        ("https://b/x.rts.png", Some("https://b/x.rts.png")),
        ("file:///etc/passwd", None),
        ("ftp://b/x", None),
    ] {
        let merged = merge(vec![], vec![known("a", HealthState::Up, vec![with(url)])]).entries;
        assert_eq!(merged.first().and_then(|entry| entry.sources[0].url.as_deref()), expected, "{url}");
    }
}

#[test]
fn a_lie_of_one_server_stays_its_own() {
    let lie = Entry { size: 7, name: "Lie".into(), memory: Some("64T".into()), ..entry("x", 1) };
    let of = |state, cached| {
        let servers =
            vec![known("liar", state, vec![lie.clone()]), known("honest", HealthState::Up, vec![entry("x", 1)])];
        merge_with(Inputs { servers, cached, ..Inputs::default() }).entries.remove(0)
    };
    let described = |entry: &MergedEntry| {
        let by = entry.described_by.as_ref().map(ToString::to_string).unwrap_or_default();
        (entry.entry.size, by, entry.sources.iter().map(|source| source.size).collect::<Vec<_>>())
    };
    assert_eq!(described(&of(HealthState::Up, HashMap::new())), (7, "liar".to_owned(), vec![7, 1]));
    assert_eq!(described(&of(HealthState::Down, HashMap::new())), (1, "honest".to_owned(), vec![1, 7]));
    // Once the image is here, it speaks for itself. Only its id is of a catalog, and its name where it has none.
    let own = Entry { name: digest(1).to_string().into(), size: 5, ..entry("file", 1) };
    let here = of(HealthState::Up, [(digest(1), Some(told(own)))].into());
    assert_eq!(described(&here), (5, String::new(), vec![7, 1]));
    assert_eq!((here.entry.id.as_str(), &*here.entry.name.to_string(), &here.entry.memory), ("x", "Lie", &None));
}

#[test]
fn a_server_that_somebody_names_describes_the_entry_until_the_image_is_here() {
    let named = |cached| {
        let other = Entry { size: 2, ..entry("y", 1) };
        let servers = vec![known("a", HealthState::Up, vec![entry("x", 1)]), known("b", HealthState::Up, vec![other])];
        let mut merged = Merged::new(String::new());
        merged.update(Inputs { servers, cached, ..Inputs::default() });
        let entry = merged.entry(&digest(1), Some(&"b".parse().unwrap())).unwrap();
        (entry.entry.size, entry.described_by.is_some())
    };
    assert_eq!(named(HashMap::new()), (2, true));
    assert_eq!(named([(digest(1), None)].into()), (2, true), "it was not read yet");
    assert_eq!(named([(digest(1), Some(told(entry("x", 1))))].into()), (1, false));
}

fn download(stage: DownloadStage, attempt: u32) -> Download {
    let json =
        format!(r#"{{"id":"{}","key":"{}","stage":"queued","received":0,"attempt":1}}"#, "0".repeat(16), digest(1));
    Download { stage, attempt, ..serde_json::from_str(&json).unwrap() }
}

fn machine(n: u8, state: MachineState, stage: Option<BootStage>) -> Machine {
    let json = serde_json::json!({
        "id": "m1234567", "key": digest(n), "name": "x", "success": true, "state": state, "stage": stage,
        "memory": "2G", "cpus": 2, "uptime_seconds": 1, "restarts": 0
    });
    serde_json::from_value(json).unwrap()
}

#[test]
fn an_image_in_a_local_folder_is_here_and_needs_no_network() {
    let down = || vec![known("a", HealthState::Down, vec![entry("x", 1), entry("y", 2)])];
    let merged = merge(vec![entry("x", 1)], down()).entries;
    let found: Vec<_> = merged.iter().map(|entry| (entry.cached, entry.status)).collect();
    assert_eq!(found, [(true, Status::Idle), (false, Status::Unavailable)]);
    let cached = [(digest(2), None)].into();
    let merged =
        merge_with(Inputs { local: folders(vec![entry("x", 1)]), servers: down(), cached, ..Inputs::default() });
    assert!(merged.entries.iter().all(|entry| entry.cached && entry.status == Status::Idle), "{merged:?}");
}

#[test]
fn an_image_of_the_cache_stays_until_it_leaves_the_cache() {
    let mut view = Merged::new("e".to_owned());
    let own = Entry { name: "Own".into(), memory: Some("64M".to_owned()), ..entry("x", 1) };
    let mut see = |servers: Vec<KnownServer>, cached: Cached| {
        let before = view.revision();
        view.update(Inputs { servers, cached, ..Inputs::default() });
        (view.whole().entries, view.since(&before))
    };
    let cached = || Cached::from([(digest(1), Some(told(own.clone()))), (digest(3), None)]);
    let servers = || vec![known("a", HealthState::Up, vec![entry("x", 1), entry("y", 2)])];
    assert_eq!(see(servers(), cached()).0.len(), 2);
    let (entries, delta) = see(vec![], cached());
    assert_eq!(entries.len(), 1, "the server is gone, and its other image with it");
    assert_eq!((delta.removed, delta.changed.len()), (vec![digest(2)], 1));
    let kept = &entries[0];
    assert_eq!((kept.entry.sha256, &kept.entry.memory, &kept.described_by), (digest(1), &own.memory, &None));
    assert_eq!((kept.sources.len(), kept.cached, kept.status), (0, true, Status::Idle));
    let unread = Told { by_itself: false, ..told(own.clone()) };
    assert_eq!(see(vec![], [(digest(1), Some(unread))].into()).0.len(), 1, "nobody has hashed it");
    assert_eq!(see(servers(), cached()).0[0].sources.len(), 1, "the server is back");
    see(vec![], cached());
    let (entries, delta) = see(vec![], Cached::new());
    assert_eq!((entries.len(), delta.removed), (0, vec![digest(1)]));
}

#[test]
fn what_is_personal_is_in_the_view_and_in_its_changes() {
    let (mut view, personal) = (Merged::new("e".to_owned()), Personal::default());
    let see = |view: &mut Merged| {
        let before = view.revision();
        view.update(Inputs {
            servers: vec![known("a", HealthState::Up, vec![entry("x", 1), entry("y", 2)])],
            personal: personal.clone(),
            changed: personal.take_changed(),
            now: crate::catalog::personal::Moment::now(),
            ..Inputs::default()
        });
        view.since(&before)
    };
    assert!(see(&mut view).changed.iter().all(|entry| entry.added.is_some() && entry.position.is_none()));
    assert!(see(&mut view).changed.is_empty());
    let position = Some(pixelrts_shared::catalog::Position { x: 1, y: 2 });
    personal.place(&[(digest(1), position)]).unwrap();
    personal.set_favorite(&digest(1), true).unwrap();
    personal.booted(&digest(1));
    let changed = see(&mut view).changed;
    assert_eq!(changed.len(), 1, "the other one has not changed");
    assert_eq!((changed[0].position, changed[0].favorite), (position, true));
    assert!(changed[0].last_used.is_some());
    let written: Vec<u8> = view.written().flatten().collect();
    assert_eq!(serde_json::from_slice::<MergedCatalog>(&written).unwrap(), view.whole());
    personal.clear_places().unwrap();
    assert_eq!(see(&mut view).changed[0].position, None);
}

/// The rule itself is tested where it is. Here is that it gets its facts.
#[test]
fn the_status_follows_machines_downloads_and_what_is_here() {
    let mut view = Merged::new(String::new());
    let servers = vec![known("a", HealthState::Down, vec![entry("x", 1)])];
    let mut state = |cached: HashMap<_, _>, downloads, machines| {
        let changed =
            view.update(Inputs { servers: servers.clone(), cached, downloads, machines, ..Inputs::default() });
        (view.whole().entries[0].status, changed)
    };
    let mut with = |downloads, machines| state(HashMap::new(), downloads, machines);
    assert_eq!(with(vec![], vec![]), (Status::Unavailable, true));
    assert_eq!(with(vec![], vec![]), (Status::Unavailable, false));
    assert_eq!(with(vec![download(DownloadStage::Queued, 2)], vec![]), (Status::Retrying, true));
    assert_eq!(with(vec![download(DownloadStage::Downloading, 2)], vec![]), (Status::Downloading, true));
    assert_eq!(with(vec![download(DownloadStage::Downloading, 3)], vec![]), (Status::Downloading, false));
    let running = |stage| machine(1, MachineState::Running, Some(stage));
    assert_eq!(with(vec![], vec![running(BootStage::Loading)]), (Status::Booting, true));
    let other = machine(2, MachineState::Crashed, None);
    assert_eq!(with(vec![], vec![running(BootStage::Kernel), other]), (Status::Running, true));
    let stopping = machine(1, MachineState::Stopping, Some(BootStage::Kernel));
    assert_eq!(with(vec![], vec![stopping, machine(1, MachineState::Crashed, None)]), (Status::Running, false));
    assert_eq!(with(vec![], vec![]), (Status::Unavailable, true));
    assert_eq!(state([(digest(1), None)].into(), vec![], vec![]), (Status::Idle, true));
}

#[test]
fn pages_follow_each_other_without_gaps() {
    let entries = (0..7).map(|n| Entry { name: format!("n{}", n % 3).into(), ..entry(&format!("e{n}"), n) }).collect();
    let mut view = Merged::new("e".to_owned());
    view.update(Inputs { servers: vec![known("a", HealthState::Up, entries)], ..Inputs::default() });
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = view.page(3, after.take());
        assert_eq!((page.total, page.servers.is_empty()), (7, !seen.is_empty()));
        seen.extend(page.entries.iter().map(|entry| entry.entry.sha256));
        let Some(next) = page.next else { break };
        after = Some(next.parse().unwrap());
    }
    let whole: Vec<_> = view.whole().entries.iter().map(|entry| entry.entry.sha256).collect();
    assert_eq!(seen, whole);
    assert_eq!(view.page(7, None).next, None, "nothing follows a full page that is the last one");
    for text in ["", "x", "e-1~zz~", "e-1~00~", "~~~~"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn changes_since_an_unknown_revision_are_not_told() {
    let mut view = Merged::new("epoch".to_owned());
    view.update(Inputs { servers: vec![known("a", HealthState::Up, vec![entry("x", 1)])], ..Inputs::default() });
    let full = |revision: &str| view.since(revision).full;
    assert!(!full("epoch-0") && !full("epoch-1"));
    for unknown in ["", "epoch", "epoch-", "epoch-2", "epoch--1", "other-1", "epoch-1x"] {
        assert!(full(unknown), "{unknown}");
    }
    let told = view.since("other-1");
    assert!(told.changed.is_empty() && told.removed.is_empty() && !told.servers.is_empty(), "{told:?}");
}

/// What a client has is the same, however it got it.
#[test]
fn what_is_not_repeated_is_not_lost() {
    let odd = Entry { size: 7, url: Some("https://elsewhere/x".into()), ..entry("other", 1) };
    let usual = format!("http://a/images/api/v1/images/{}.rts.png", digest(2));
    let said = Entry { url: Some(usual), ..entry("said", 2) };
    let servers = vec![
        known("a", HealthState::Up, vec![entry("x", 1), said]),
        known("b", HealthState::Down, vec![odd]),
        known("c", HealthState::Unknown, vec![]),
    ];
    let mut view = Merged::new("e".to_owned());
    view.update(Inputs { local: folders(vec![entry("y", 3)]), servers, ..Inputs::default() });
    let page = view.page(10, None);
    let first = serde_json::to_value(&page.entries[0].sources).unwrap();
    assert_eq!(first[0], serde_json::json!({"server": "a"}));
    let mut copy = CatalogCopy::default();
    copy.add(serde_json::from_value(serde_json::to_value(&page).unwrap()).unwrap());
    assert_eq!(copy.whole(), view.whole());
    assert_eq!(written(&view), [serde_json::to_string(&view.whole()).unwrap()]);
}

fn written(view: &Merged) -> Vec<String> {
    view.written().map(|piece| String::from_utf8(piece).unwrap()).collect()
}

/// Each piece is short, and together they are the document, although the view changes while it is written.
#[test]
fn a_large_view_is_written_in_pieces() {
    let entries = |name: &str| -> Vec<_> {
        let digest = |n: u32| Digest::new(std::array::from_fn(|at| n.to_be_bytes()[at % 4]));
        (0..5_000).map(|n| Entry { sha256: digest(n), name: name.into(), ..entry("x", 0) }).collect()
    };
    let inputs = |name: &str| Inputs { servers: vec![known("a", HealthState::Up, entries(name))], ..Inputs::default() };
    let mut view = Merged::new("e".to_owned());
    view.update(inputs("before"));
    let whole = serde_json::to_string(&view.whole()).unwrap();
    let mut pieces = view.written();
    let first = pieces.next().unwrap();
    view.update(inputs("after"));
    let rest: Vec<_> = pieces.collect();
    assert!(rest.len() > 3 && rest.iter().chain([&first]).all(|piece| piece.len() < 300 << 10));
    assert!(whole.as_bytes() == [first, rest.concat()].concat());
    assert!(written(&view).concat() == serde_json::to_string(&view.whole()).unwrap());
}

/// A server as a test imagines it: whether it is there, its state, and what it says of each image.
type Imagined = (bool, u8, Vec<Option<(u8, u8)>>);

fn imagine(n: usize, (_, state, images): &Imagined) -> KnownServer {
    let state = [HealthState::Up, HealthState::Down, HealthState::Unknown][usize::from(*state)];
    let said = images.iter().zip(0..).filter_map(|(said, digest)| {
        let (name, size) = (*said)?;
        Some(Entry { name: format!("n{name}").into(), size: size.into(), ..entry(&format!("e{}", name % 2), digest) })
    });
    known(&format!("s{n}"), state, said.collect())
}

fn imagined() -> impl Strategy<Value = Imagined> {
    let said = prop::option::of((0_u8..3, 0_u8..2));
    (prop::bool::ANY, 0_u8..3, prop::collection::vec(said, 0..5))
}

/// One moment: the servers, the images in folders, those in the cache, and downloads.
type Moment = (Vec<Imagined>, bool, Vec<u8>, Vec<(u8, bool)>, bool);

fn inputs((servers, turned, local, cached, loading): &Moment) -> Inputs {
    let mut servers: Vec<_> =
        servers.iter().enumerate().filter(|(_, server)| server.0).map(|(n, server)| imagine(n, server)).collect();
    if *turned {
        servers.reverse();
    }
    let own = |n: u8| Arc::new(Entry { name: "own".into(), size: 9, ..entry("own", n) });
    Inputs {
        local: folders(local.iter().collect::<BTreeSet<_>>().into_iter().map(|n| entry("mine", *n)).collect()),
        servers,
        cached: cached
            .iter()
            .map(|(n, told)| (digest(*n), told.then(|| Told { entry: own(*n), by_itself: true })))
            .collect(),
        downloads: loading.then(|| download(DownloadStage::Downloading, 1)).into_iter().collect(),
        ..Inputs::default()
    }
}

fn moment() -> impl Strategy<Value = Moment> {
    let servers = prop::collection::vec(imagined(), 3);
    let local = prop::collection::vec(0_u8..5, 0..3);
    let cached = prop::collection::vec((0_u8..5, prop::bool::ANY), 0..3);
    (servers, prop::bool::ANY, local, cached, prop::bool::ANY)
}

proptest! {
    /// A view that was changed step by step is the same as one that is made at once, and so is the copy of a client
    /// that reads pages while the view changes, and then the changes.
    #[test]
    fn steps_pages_and_deltas_give_the_whole(
        moments in prop::collection::vec(moment(), 1..6),
        limit in 1_usize..4,
        read in prop::collection::vec(prop::bool::ANY, 6),
    ) {
        let mut view = Merged::new("e".to_owned());
        let (mut copy, mut after, mut complete) = (CatalogCopy::default(), None, false);
        for (now, reads) in moments.iter().zip(read) {
            view.update(inputs(now));
            let whole = view.whole();
            let written: Vec<u8> = view.written().flatten().collect();
            prop_assert_eq!(String::from_utf8(written).unwrap(), serde_json::to_string(&whole).unwrap());
            let fresh = merge_with(inputs(now));
            prop_assert_eq!(&whole.entries, &fresh.entries);
            prop_assert_eq!(&whole.errors, &fresh.errors);
            for entry in &whole.entries {
                for source in &entry.sources {
                    let found = view.with_id(&source.id, Some(&source.server));
                    prop_assert!(found.contains(&entry.entry.sha256));
                }
            }
            if complete && reads {
                prop_assert_eq!(copy.apply(view.since(copy.revision())), Ok::<_, Broken>(()));
                prop_assert_eq!(copy.whole(), whole);
            } else if !complete {
                let page = view.page(limit, after.take());
                after = page.next.as_deref().map(|next| next.parse::<Cursor>().unwrap());
                complete = page.next.is_none();
                copy.add(page);
            }
        }
        while !complete {
            let page = view.page(limit, after.take());
            after = page.next.as_deref().map(|next| next.parse::<Cursor>().unwrap());
            complete = page.next.is_none();
            copy.add(page);
        }
        prop_assert_eq!(copy.apply(view.since(copy.revision())), Ok::<_, Broken>(()));
        prop_assert_eq!(copy.whole(), view.whole());
    }

    /// Every offered digest is in the result once, with exactly the servers that offer it; the order of servers of
    /// equal health is kept, and those that are down come last.
    #[test]
    fn nothing_is_lost_and_nothing_is_invented(
        catalogs in prop::collection::vec((prop::bool::ANY, prop::collection::hash_set(0_u8..6, 0..6)), 0..6),
        local in prop::collection::hash_set(0_u8..6, 0..6),
    ) {
        let known_servers: Vec<_> = catalogs
            .iter()
            .enumerate()
            .map(|(n, (up, digests))| {
                let state = if *up { HealthState::Up } else { HealthState::Down };
                known(&format!("s{n}"), state, digests.iter().map(|d| entry(&format!("e{d}"), *d)).collect())
            })
            .collect();
        let mine: Vec<_> = local.iter().map(|d| entry("mine", *d)).collect();
        let merged = merge(mine, known_servers).entries;
        for n in 0..6_u8 {
            let up = |wanted: bool| {
                let with = catalogs.iter().enumerate().filter(move |(_, (up, digests))| *up == wanted && digests.contains(&n));
                with.map(|(server, _)| format!("s{server}"))
            };
            let expected: Vec<_> =
                local.contains(&n).then(|| "local".to_owned()).into_iter().chain(up(true)).chain(up(false)).collect();
            let found: Vec<_> = merged.iter().filter(|entry| entry.entry.sha256 == digest(n)).collect();
            prop_assert_eq!(found.len(), usize::from(!expected.is_empty()));
            prop_assert_eq!(found.first().map(|entry| servers(entry)).unwrap_or_default(), expected);
        }
    }
}

/// A server that is asked again and says the same, or only answers slower, changes nothing.
#[test]
fn the_same_again_is_no_change() {
    let mut view = Merged::new("e".to_owned());
    let now = |state, latency_ms| {
        let mut server = known("a", state, vec![entry("x", 1)]);
        server.health.latency_ms = latency_ms;
        Inputs { servers: vec![server], local: folders(vec![entry("y", 2)]), ..Inputs::default() }
    };
    assert!(view.update(now(HealthState::Unknown, None)));
    assert!(!view.update(now(HealthState::Up, Some(3))), "a client is told of it with the servers");
    assert!(!view.update(now(HealthState::Up, Some(4))));
    assert!(view.update(now(HealthState::Down, None)));
    assert_eq!(view.since("e-1").changed.len(), 1, "the other entry has stayed as it was");
    let servers = vec![known("b", HealthState::Up, vec![])];
    assert!(view.update(Inputs { servers, ..Inputs::default() }));
    assert_eq!(view.since("e-1").removed, [digest(1), digest(2)]);
}
