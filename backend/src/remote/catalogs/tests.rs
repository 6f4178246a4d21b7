use pixelrts_shared::ProblemCode;
use pixelrts_testing::fault_server::{After, FaultServer, Reply};
use serde_json::json;

use super::*;
use crate::database::Database;
use crate::remote::servers::{KeptHead, SCHEMA};
use pixelrts_shared::server::HealthState;

const IMAGE: &[u8] = b"an image";

fn servers() -> Servers {
    Servers::new(Database::in_memory(&SCHEMA).unwrap())
}

fn new(url: &str) -> NewServer {
    NewServer { url: url.to_owned(), ..NewServer::default() }
}

fn catalogs_of(servers: &Servers) -> Catalogs {
    Catalogs::new(servers.clone(), Client::default(), Scope::new())
}

/// The catalogs of one server, after it was asked.
async fn asked(url: &str) -> (Catalogs, ServerId) {
    let servers = servers();
    let id = servers.add(new(url)).unwrap().id;
    let catalogs = catalogs_of(&servers);
    catalogs.refreshed().await;
    (catalogs, id)
}

fn entries(catalogs: &Catalogs, id: &ServerId) -> Vec<Arc<Entry>> {
    let catalog = catalogs.known_server(id).unwrap().catalog;
    catalog.map(|catalog| catalog.entries().to_vec()).unwrap_or_default()
}

fn health(catalogs: &Catalogs, id: &ServerId) -> Health {
    catalogs.list().unwrap().into_iter().find(|server| server.id == *id).unwrap().health
}

fn document(digests: &[u8]) -> String {
    let entries: Vec<_> = digests
        .iter()
        .map(|n| json!({"id": format!("e{n}"), "name": "x", "size": 1, "sha256": hex::encode([*n; 32])}))
        .collect();
    json!({"format": 1, "name": "office", "generated_at": "", "entries": entries}).to_string()
}

#[tokio::test]
async fn a_catalog_is_found_whatever_answers_at_its_first_place() {
    let server = FaultServer::start(IMAGE);
    for fault in ["ok", "cats3", "catspa", "catgz", "catbom", "catnull", "catetag", "catbadentry", "catname"] {
        let (catalogs, id) = asked(&server.base(fault)).await;
        let health = health(&catalogs, &id);
        assert_eq!((entries(&catalogs, &id).len(), &health.last_error), (1, &None), "{fault}");
        assert_eq!(health.left_out.count, usize::from(fault == "catbadentry"), "{fault}");
    }
    let (catalogs, id) = asked(&server.base("catmemint")).await;
    assert_eq!(entries(&catalogs, &id)[0].memory.as_deref(), Some("2048M"));
}

/// Each is what answers at the first place, while the second has the catalog.
#[tokio::test]
async fn anything_but_a_catalog_leads_to_the_second_place() {
    let html = || Reply::with_body(200, "text/html", "<!doctype html><title>Log in</title>");
    let json = |text: &str| Reply::with_body(200, "application/json", text);
    let answers: Vec<(&str, Reply)> = vec![
        ("403", Reply::with_body(403, "application/xml", "<Error/>")),
        ("401", Reply::new(401)),
        ("404", Reply::new(404)),
        ("405", Reply::new(405)),
        ("500", Reply::new(500)),
        ("503", Reply::new(503).with("Retry-After", 1)),
        ("page", html()),
        ("xml", Reply::with_body(200, "application/xml", "<?xml version=\"1.0\"?><ListBucketResult/>")),
        ("login", Reply::new(302).with("Location", "/page/login")),
        ("loop", Reply::new(302).with("Location", "/loop/api/v1/catalog")),
        ("elsewhere", Reply::new(302).with("Location", "file:///etc/passwd")),
        ("json", json("{\"message\": \"ok\"}")),
        ("list", json("[]")),
        ("future", json("{\"format\": 2, \"entries\": []}")),
        ("empty", json("")),
        ("nothing", Reply::new(204)),
        ("unchanged", Reply::new(304)),
        ("brotli", json("\u{b}").with("Content-Encoding", "br")),
        ("cut", json("{\"format\": 1, \"entries\": [")),
        ("long", json(&format!("{{\"format\": 1, \"entries\": [{}]", "[".repeat(1 << 20)))),
    ];
    let names: Vec<_> = answers.iter().map(|(name, _)| (*name).to_owned()).collect();
    let server = FaultServer::deciding(IMAGE, move |request| {
        let path = request.plain_path();
        if path == "/page/login" {
            return Some(Reply::with_body(200, "text/html", "<html>login</html>"));
        }
        let name = path.strip_suffix("/api/v1/catalog")?.trim_start_matches('/');
        answers.iter().find(|(known, _)| *known == name).map(|(_, reply)| reply.clone())
    });
    for name in names {
        let (catalogs, id) = asked(&server.base(&name)).await;
        assert_eq!(entries(&catalogs, &id).len(), 1, "{name}: {:?}", health(&catalogs, &id));
    }
}

#[tokio::test]
async fn the_failure_that_says_more_is_told() {
    let page = || Reply::with_body(200, "text/html", "<html><title>Log in</title>");
    let reply = move |name: &str| match name {
        "page" => page(),
        "catalog" => Reply::with_body(200, "application/json", "{\"format\": 7}"),
        "cut" => {
            Reply::with_body(200, "application/json", "{\"format\": 1, \"entries\": []}").cut(9).then(After::Reset)
        }
        status => Reply::new(status.parse().unwrap()),
    };
    let server = FaultServer::deciding(IMAGE, move |request| {
        let (place, path) = request.plain_path().trim_start_matches('/').split_once('/')?;
        let (first, second) = place.split_once('-')?;
        Some(reply(if path == "catalog.json" { second } else { first }))
    });
    for (both, code) in [
        ("404-404", ProblemCode::RemoteNotFound),
        ("403-404", ProblemCode::RemoteDenied),
        ("404-401", ProblemCode::RemoteDenied),
        ("500-404", ProblemCode::RemoteFailed),
        ("page-page", ProblemCode::RemoteWebPage),
        ("page-404", ProblemCode::RemoteWebPage),
        ("page-403", ProblemCode::RemoteDenied),
        ("404-page", ProblemCode::RemoteWebPage),
        ("catalog-404", ProblemCode::CatalogVersion),
        ("404-catalog", ProblemCode::CatalogVersion),
        ("404-cut", ProblemCode::NetworkInterrupted),
    ] {
        let (catalogs, id) = asked(&server.base(both)).await;
        assert_eq!(health(&catalogs, &id).last_error.unwrap().code, code, "{both}");
    }
}

#[tokio::test]
async fn floods_of_a_server_cost_it_its_catalog_and_nothing_else() {
    let server = FaultServer::start(IMAGE);
    for (fault, left_out, code) in [
        ("catsevens", 4_000_000, None),
        ("catdeep", 1, None),
        ("cat100m", 0, Some(ProblemCode::BadCatalog)),
        ("catgarbage", 0, Some(ProblemCode::BadCatalog)),
    ] {
        let (catalogs, id) = asked(&server.base(fault)).await;
        let health = health(&catalogs, &id);
        assert_eq!(health.last_error.map(|problem| problem.code), code, "{fault}");
        assert_eq!(health.left_out.count, left_out, "{fault}");
        assert!(health.left_out.first.len() <= 20);
    }
}

#[tokio::test]
async fn an_unchanged_catalog_is_not_sent_again_and_stays_the_same_in_memory() {
    let server = FaultServer::start(IMAGE);
    let servers = servers();
    let id = servers.add(new(&server.base("catetag"))).unwrap().id;
    let first = catalogs_of(&servers);
    first.refreshed().await;
    let before = first.known_server(&id).unwrap().catalog.unwrap();
    first.refreshed().await;
    assert!(Arc::ptr_eq(&before, &first.known_server(&id).unwrap().catalog.unwrap()));
    assert_eq!(health(&first, &id).state, HealthState::Up);
    // So it is after a start.
    let second = catalogs_of(&servers);
    second.refreshed().await;
    assert_eq!(entries(&second, &id), before.entries());
    let sent: Vec<_> = server.requests().iter().map(|logged| logged.sent > 0).collect();
    assert_eq!(sent, [true, false, false], "{:?}", server.requests());
}

#[tokio::test]
async fn entries_that_stay_are_shared_and_nothing_is_written_when_nothing_changed() {
    let server = FaultServer::start(IMAGE);
    server.offer_catalog(document(&[1, 2]));
    let servers = servers();
    let record = servers.add(new(&server.base("ok"))).unwrap();
    let catalogs = catalogs_of(&servers);
    catalogs.refreshed().await;
    let before = entries(&catalogs, &record.id);
    let kept = servers.kept(&record.id).unwrap();
    // What is written again would be found.
    servers.keep(&record, &KeptHead { name: "mark".into(), ..kept.head.clone() }, None).unwrap();
    server.offer_catalog(document(&[1, 2]).replace("\"generated_at\":\"\"", "\"generated_at\":\"later\""));
    catalogs.refreshed().await;
    assert_eq!(servers.kept(&record.id).unwrap().head.name.as_str(), "mark");
    server.offer_catalog(document(&[3, 2]));
    catalogs.refreshed().await;
    let after = entries(&catalogs, &record.id);
    assert_eq!((after.len(), after[0].id.as_str()), (2, "e3"));
    assert!(Arc::ptr_eq(&before[1], &after[1]) && !Arc::ptr_eq(&before[0], &after[0]));
    assert_eq!(servers.kept(&record.id).unwrap().head.name.as_str(), "office");
}

#[tokio::test]
async fn a_start_without_a_network_knows_what_was_there_and_why_it_is_old() {
    let servers = servers();
    let server = FaultServer::start(IMAGE);
    server.offer_catalog(document(&[1, 2, 3]));
    let id = servers.add(new(&server.base("ok"))).unwrap().id;
    catalogs_of(&servers).refreshed().await;
    drop(server);
    let next = catalogs_of(&servers);
    let state = next.known_server(&id).unwrap().health.state;
    assert_eq!((entries(&next, &id).len(), state), (3, HealthState::Unknown));
    next.refreshed().await;
    assert_eq!(entries(&next, &id).len(), 3);
    let health = health(&next, &id);
    assert_eq!(health.last_error.unwrap().code, ProblemCode::NetworkRefused);
    assert!(health.next_check_seconds.is_some());
}

#[tokio::test]
async fn a_failure_keeps_the_last_good_catalog_also_when_the_next_one_is_broken() {
    let server = FaultServer::start(IMAGE);
    server.offer_catalog(document(&[1]));
    let (catalogs, id) = asked(&server.base("ok")).await;
    server.offer_catalog("<html>");
    catalogs.refreshed().await;
    assert_eq!((entries(&catalogs, &id).len(), health(&catalogs, &id).state), (1, HealthState::Down));
}

#[tokio::test]
async fn what_is_known_goes_with_the_address() {
    let server = FaultServer::start(IMAGE);
    let (catalogs, id) = asked(&server.base("ok")).await;
    assert_eq!(entries(&catalogs, &id).len(), 1);
    let url = Some(server.base("cathead"));
    catalogs.change(&id, ServerChange { url, ..ServerChange::default() }).unwrap();
    let known = catalogs.known_server(&id).unwrap();
    assert_eq!((known.catalog, known.health.state), (None, HealthState::Unknown));
    assert!(catalogs.0.servers.kept(&id).is_none());
    catalogs.remove(&id).unwrap();
    assert!(catalogs.known().is_empty());
}

#[tokio::test]
async fn an_answer_of_the_old_address_is_dropped() {
    let server = FaultServer::start(IMAGE);
    let servers = servers();
    let before = servers.add(new(&server.base("ok"))).unwrap();
    let catalogs = catalogs_of(&servers);
    let answer = catalogs.0.asker.ask(&before.endpoint(), None).await;
    let url = Some(server.base("cathead"));
    catalogs.change(&before.id, ServerChange { url, ..ServerChange::default() }).unwrap();
    catalogs.learn(&before, None, answer).await;
    let known = catalogs.known_server(&before.id).unwrap();
    assert_eq!((known.catalog, known.health.state, known.asking), (None, HealthState::Unknown, true));
    assert!(servers.kept(&before.id).is_none());
}

#[tokio::test]
async fn a_catalog_that_an_earlier_version_kept_is_read() {
    let database = Database::in_memory(&SCHEMA).unwrap();
    let servers = Servers::new(database.clone());
    let record = servers.add(new("http://127.0.0.1:9")).unwrap();
    servers.keep(&record, &KeptHead::default(), Some(document(&[1, 2]).as_bytes())).unwrap();
    assert_eq!(entries(&catalogs_of(&servers), &record.id).len(), 2);
    for damaged in [b"{\"format\"".as_slice(), &[0, 0, 0, 9], &[0, 0, 0, 1, 7], &[7]] {
        servers.keep(&record, &KeptHead::default(), Some(damaged)).unwrap();
        assert!(entries(&catalogs_of(&servers), &record.id).is_empty());
    }
}

#[tokio::test]
async fn a_check_stores_nothing() {
    let server = FaultServer::start(IMAGE);
    server.offer_catalog(document(&[1, 2]));
    let catalogs = catalogs_of(&servers());
    let found = catalogs.check(&server.base("ok")).await.unwrap();
    assert_eq!((found.name.as_str(), found.entries), ("office", 2));
    assert!(catalogs.list().unwrap().is_empty() && catalogs.known().is_empty());
    assert_eq!(catalogs.check(&server.base("cathtml")).await.unwrap_err().code, ProblemCode::RemoteWebPage);
}

/// What our own server writes for more than 10,000 images.
#[tokio::test]
async fn a_large_catalog_is_read() {
    let server = FaultServer::start(IMAGE);
    let (catalogs, id) = asked(&server.base("entries/10600/1/0")).await;
    assert_eq!(entries(&catalogs, &id).len(), 10_600, "{:?}", health(&catalogs, &id));
    let kept = catalogs.0.servers.kept(&id).unwrap().entries;
    let again = catalogs_of(&catalogs.0.servers);
    assert_eq!(entries(&again, &id), entries(&catalogs, &id));
    assert!(kept.len() < 4 << 20, "{}", kept.len());
}

/// One server that hangs, one that sends garbage, and one that never ends delay nobody.
#[tokio::test]
async fn a_bad_server_delays_no_other() {
    let server = FaultServer::start(IMAGE);
    let servers = servers();
    let bad = ["cathead", "catdrip", "catgarbage", "cat100m", "catsevens", "cathtml"];
    for (priority, fault) in bad.iter().chain(&["ok/1", "ok/2"]).enumerate() {
        let priority = u32::try_from(priority).ok();
        servers.add(NewServer { priority, ..new(&server.base(fault)) }).unwrap();
    }
    let catalogs = catalogs_of(&servers);
    catalogs.refresh();
    let mut changes = catalogs.changes();
    let honest = || {
        let known = catalogs.known_servers().unwrap().into_iter();
        known.filter(|known| known.catalog.as_ref().is_some_and(|catalog| !catalog.entries().is_empty())).count()
    };
    let both = changes.wait_for(|_| honest() == 2);
    tokio::time::timeout(std::time::Duration::from_secs(10), both).await.unwrap().unwrap();
    // They have the same image under the same id, and each has its own entry of it.
    let digest = entries(&catalogs, &servers.list().unwrap()[6].id)[0].sha256;
    let offering = catalogs.known_servers().unwrap().into_iter();
    let offering =
        offering.filter(|known| known.catalog.as_ref().is_some_and(|catalog| catalog.find(&digest).is_some()));
    assert_eq!(offering.count(), 2);
}

/// Three servers that want much more than there is, and one that wants little.
#[tokio::test]
async fn huge_catalogs_share_the_memory_and_cost_an_honest_server_nothing() {
    const MEMORY: usize = 1 << 20;
    let server = FaultServer::start(IMAGE);
    let servers = servers();
    let add = |path: &str| servers.add(new(&server.base(path))).unwrap().id;
    let huge = [add("entries/6000/1"), add("entries/6000/2"), add("entries/6000/3")];
    let honest = add("entries/50/4");
    let kept = |catalogs: &Catalogs| {
        let all = catalogs.known_servers().unwrap().into_iter().filter_map(|known| known.catalog);
        let weight =
            |catalog: &ServerCatalog| catalog.entries().iter().map(|entry| budget::weight(entry)).sum::<usize>();
        all.map(|catalog| weight(&catalog)).sum::<usize>()
    };
    let check = async |catalogs: &Catalogs| {
        // Catalogs are cut right after the one has arrived that makes all of them too large.
        let mut changes = catalogs.changes();
        let within = changes.wait_for(|_| kept(catalogs) <= MEMORY);
        tokio::time::timeout(Duration::from_secs(10), within).await.unwrap().unwrap();
        assert!(kept(catalogs) > MEMORY / 10 * 9, "{}", kept(catalogs));
        assert_eq!(entries(catalogs, &honest).len(), 50);
        assert!(health(catalogs, &honest).left_out.is_empty());
        huge.each_ref().map(|id| entries(catalogs, id).len())
    };
    let catalogs = Catalogs::within(MEMORY, servers.clone(), Client::default(), Scope::new());
    catalogs.refreshed().await;
    let counts = check(&catalogs).await;
    assert!(counts.iter().all(|count| count.abs_diff(counts[0]) < 5), "{counts:?}");
    let left_out = health(&catalogs, &huge[0]).left_out;
    assert_eq!(left_out.count, 6000 - counts[0]);
    let reason = left_out.first[0].reason.as_str();
    assert!(reason.contains("too much memory") && reason.contains(&counts[0].to_string()), "{reason}");
    // The same is sent again, and read again at the next start.
    catalogs.refreshed().await;
    assert_eq!(check(&catalogs).await, counts);
    let next = Catalogs::within(MEMORY, servers.clone(), Client::default(), Scope::new());
    assert_eq!(check(&next).await, counts);
    // What one gives up is for the others.
    catalogs.remove(&huge[2]).unwrap();
    catalogs.refreshed().await;
    assert!(entries(&catalogs, &huge[0]).len() > counts[0] * 5 / 4, "{:?}", health(&catalogs, &huge[0]));
}

#[tokio::test]
async fn a_page_that_reads_does_not_ask_a_server_that_asked_to_wait() {
    let server = FaultServer::deciding(IMAGE, |_| Some(Reply::new(503).with("Retry-After", 100)));
    let (catalogs, id) = asked(&server.base("busy")).await;
    let next = health(&catalogs, &id).next_check_seconds;
    assert!(next.is_some_and(|seconds| (98..=100).contains(&seconds)), "{next:?}");
    let asked = server.requests().len();
    *catalogs.asked() = None;
    catalogs.refresh_old();
    assert!(!catalogs.known_server(&id).unwrap().asking);
    assert_eq!(server.requests().len(), asked);
    catalogs.refresh();
    assert!(catalogs.known_server(&id).unwrap().asking, "a person may ask at any time");
}

#[tokio::test]
async fn how_a_server_was_is_shown_after_a_start_and_decides_nothing() {
    let server = FaultServer::start(IMAGE);
    let servers = servers();
    let works = servers.add(new(&server.base("ok"))).unwrap().id;
    let fails = servers.add(new("http://127.0.0.1:9")).unwrap().id;
    catalogs_of(&servers).refreshed().await;
    let after = catalogs_of(&servers);
    let (up, down) = (health(&after, &works), health(&after, &fails));
    assert_eq!((up.state, down.state), (HealthState::Up, HealthState::Down));
    assert!(up.latency_ms.is_some() && up.checked_at.is_some() && down.last_error.is_some(), "{up:?} {down:?}");
    assert_eq!(after.known_server(&works).unwrap().health.state, HealthState::Unknown);
    let moved = ServerChange { url: Some("http://127.0.0.1:10".to_owned()), ..ServerChange::default() };
    servers.change(&works, moved).unwrap();
    assert_eq!(health(&catalogs_of(&servers), &works).state, HealthState::Unknown, "it was of another address");
}
