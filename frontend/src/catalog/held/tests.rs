use super::*;
use serde_json::json;

fn listed(n: u8, name: &str) -> ListedEntry {
    serde_json::from_value(json!({
        "id": "e", "name": name, "size": 1, "sha256": Digest::new([n; 32]), "segments": [],
        "sources": [{"server": "office"}], "status": "idle"
    }))
    .unwrap()
}

fn office(name: &str, latency: u8) -> Vec<CatalogServer> {
    let health = json!({"state": "up", "latency_ms": latency});
    vec![serde_json::from_value(json!({"id": "office", "name": name, "url": "http://o/", "health": health})).unwrap()]
}

/// What earlier versions have stored must be readable, or the schema of the storage gets a new version.
#[test]
fn a_stored_entry_is_still_readable() {
    let line = "abababababababababababababababababababababababababababababababab\
        Debian 12\n{\"id\":\"debian-12\",\"name\":\"Debian 12\",\"description\":\"d\",\"version\":\"12\",\
        \"distro\":\"Debian\",\"architecture\":\"x86_64\",\"kernel_version\":\"6.1\",\"cmdline\":\"quiet\",\"tags\":[\"t\"],\
        \"size\":7,\"sha256\":\"abababababababababababababababababababababababababababababababab\",\"index_sha256\":\
        \"abababababababababababababababababababababababababababababababab\",\"segments\":[{\"name\":\"k\",\"role\":\
        \"kernel\",\"size\":5}],\"width\":64,\"height\":64,\"memory\":\"2G\",\"cpus\":2,\"net\":\"none\",\
        \"described_by\":\"office\",\"sources\":[{\"server\":\"office\",\"id\":\"other\",\"size\":8,\"url\":\"http://x/\",\
        \"state\":\"down\"}],\"cached\":true,\"status\":\"idle\"}";
    let key = Digest::new([0xab; 32]);
    let mut held = Held::default();
    held.recall(office("Office", 1), vec![line.to_owned()]);
    let entry = held.entry(&key).expect("it is readable");
    let source = &entry.sources[0];
    assert_eq!((entry.entry.size, entry.cached, source.name.as_str(), source.size), (7, true, "Office", 8));
    let listed: ListedEntry = json::read(line.split_once('\n').unwrap().1).unwrap();
    assert_eq!(&*Row::of(&listed).line, line, "it is written as before");
}

#[test]
fn what_is_no_entry_is_not_listed() {
    let mut held = Held::default();
    let digits = Digest::new([1; 32]).to_string();
    let lines =
        [String::new(), "ab".repeat(31) + "é\n{}", digits.clone() + "no end of the line", "x".repeat(64) + "\n"];
    held.recall(Vec::new(), lines.to_vec());
    assert!(held.keys().is_empty() && !held.is_unreadable());
}

#[test]
fn the_health_of_a_server_changes_no_entry_and_its_name_does() {
    let (mut held, key) = (Held::default(), Digest::new([1; 32]));
    held.set_servers(office("Office", 1));
    assert!(held.change(vec![listed(1, "a")], [], |_| {}));
    let before = held.entry(&key).unwrap();
    assert_eq!(held.set_servers(office("Office", 2)), Servers::Health);
    assert_eq!(held.set_servers(office("Office", 2)), Servers::Same);
    assert!(Arc::ptr_eq(&before, &held.entry(&key).unwrap()));
    assert_eq!(held.set_servers(office("Study", 2)), Servers::Description);
    assert_eq!(held.entry(&key).unwrap().sources[0].name.as_str(), "Study");
}

#[test]
fn entries_are_in_the_order_of_their_names() {
    let mut held = Held::default();
    let mut differ = Vec::new();
    held.change(vec![listed(1, "b"), listed(2, "c"), listed(3, "a"), listed(4, "a")], [], |_| {});
    let order = |held: &Held| held.keys().iter().map(|key| key.as_bytes()[0]).collect::<Vec<_>>();
    assert_eq!(order(&held), [3, 4, 1, 2]);
    let keys = held.keys().clone();
    assert!(!held.change(vec![listed(1, "b")], [Digest::new([9; 32])], |key| differ.push(key)));
    assert!(Arc::ptr_eq(&keys, held.keys()) && differ.is_empty(), "nothing has changed");
    assert!(held.change(vec![listed(2, "aa")], [Digest::new([3; 32])], |key| differ.push(key)));
    assert_eq!((order(&held), differ.len()), (vec![4, 2, 1], 2));
}
