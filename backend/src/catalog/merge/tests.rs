use super::*;
use crate::remote::catalogs::ServerCatalog;
use crate::remote::servers::Record;
use pixelrts_shared::EntryId;
use pixelrts_shared::catalog::Catalog;
use pixelrts_shared::download::DownloadStage;
use pixelrts_shared::machine::{BootStage, MachineState};
use proptest::prelude::*;
use std::sync::Arc;

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
        auth: None,
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

fn servers(entry: &MergedEntry) -> Vec<&str> {
    entry.sources.iter().map(|source| source.server.as_str()).collect()
}

#[test]
fn the_same_bytes_are_one_entry_with_all_sources_in_order() {
    let local = [entry("mine", 1)];
    let known_servers = [
        known("dead", HealthState::Down, vec![entry("a", 1)]),
        known("first", HealthState::Up, vec![entry("b", 1)]),
        known("new", HealthState::Unknown, vec![entry("c", 1)]),
    ];
    let merged = merge(&local, &known_servers, &Facts::default());
    assert_eq!(merged.len(), 1);
    assert_eq!(servers(&merged[0]), ["local", "first", "new", "dead"]);
    assert_eq!(merged[0].entry.id.as_str(), "mine");
    let url = merged[0].sources[1].url.as_deref().unwrap();
    assert_eq!(url, format!("http://first/images/api/v1/images/{}.rts.png", digest(1)));
}

#[test]
fn the_same_id_with_other_bytes_stays_two() {
    let known_servers =
        [known("a", HealthState::Up, vec![entry("debian", 1)]), known("b", HealthState::Up, vec![entry("debian", 2)])];
    let merged = merge([], &known_servers, &Facts::default());
    assert_eq!(merged.iter().map(servers).collect::<Vec<_>>(), [["a"], ["b"]]);
}

#[test]
fn addresses_of_entries_are_relative_to_the_server_and_only_http() {
    let with = |url: &str| Entry { url: Some(url.to_owned()), ..entry("x", 1) };
    for (url, expected) in [
        ("x.rts.png", Some("http://a/images/x.rts.png")),
        ("/x.rts.png", Some("http://a/x.rts.png")),
        ("https://b/x.rts.png", Some("https://b/x.rts.png")),
        ("file:///etc/passwd", None),
        ("ftp://b/x", None),
    ] {
        let merged = merge([], &[known("a", HealthState::Up, vec![with(url)])], &Facts::default());
        assert_eq!(merged.first().and_then(|entry| entry.sources[0].url.as_deref()), expected, "{url}");
    }
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
    let (local, down) = ([entry("x", 1)], [known("a", HealthState::Down, vec![entry("x", 1), entry("y", 2)])]);
    let merged = merge(&local, &down, &Facts::default());
    let found: Vec<_> = merged.iter().map(|entry| (entry.cached, entry.status)).collect();
    assert_eq!(found, [(true, Status::Idle), (false, Status::Unavailable)]);
    let facts = Facts { cached: [digest(2)].into(), ..Facts::default() };
    let merged = merge(&local, &down, &facts);
    assert!(merged.iter().all(|entry| entry.cached && entry.status == Status::Idle), "{merged:?}");
}

/// The rule itself is tested where it is. Here is that it gets its facts.
#[test]
fn the_status_follows_machines_downloads_and_what_is_here() {
    let state = |facts: &Facts<'_>| merge([], &[known("a", HealthState::Down, vec![entry("x", 1)])], facts)[0].status;
    let with = |downloads, machines: &[Machine]| state(&Facts::new(HashSet::new(), downloads, machines));
    assert_eq!(with(vec![], &[]), Status::Unavailable);
    assert_eq!(state(&Facts::new([digest(1)].into(), vec![], &[])), Status::Idle);
    assert_eq!(with(vec![download(DownloadStage::Queued, 2)], &[]), Status::Retrying);
    assert_eq!(with(vec![download(DownloadStage::Downloading, 2)], &[]), Status::Downloading);
    let running = |stage| machine(1, MachineState::Running, Some(stage));
    assert_eq!(with(vec![], &[running(BootStage::Loading)]), Status::Booting);
    let other = machine(2, MachineState::Crashed, None);
    assert_eq!(with(vec![], &[running(BootStage::Kernel), other]), Status::Running);
    let stopping = machine(1, MachineState::Stopping, Some(BootStage::Kernel));
    assert_eq!(with(vec![], &[stopping, machine(1, MachineState::Crashed, None)]), Status::Running);
}

proptest! {
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
        let merged = merge(&mine, &known_servers, &Facts::default());
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

#[test]
fn ids_are_those_of_each_server() {
    let known_servers =
        [known("a", HealthState::Up, vec![entry("x", 1)]), known("b", HealthState::Up, vec![entry("y", 1)])];
    let merged = merge([], &known_servers, &Facts::default());
    let ids: Vec<&EntryId> = merged[0].sources.iter().map(|source| &source.id).collect();
    assert_eq!(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["x", "y"]);
}
