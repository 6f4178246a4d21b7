use super::*;
use crate::remote::client::{Credentials, Trust};
use pixelrts_shared::text::Text;
use pixelrts_shared::{Problem, ProblemCode};

fn servers() -> Servers {
    Servers::new(Database::in_memory(&SCHEMA).unwrap())
}

fn new(url: &str) -> NewServer {
    NewServer { url: url.to_owned(), ..NewServer::default() }
}

#[test]
fn ids_come_from_name_or_host_and_are_unique() {
    let servers = servers();
    let add = |url: &str, name: Option<&str>| {
        servers.add(NewServer { name: name.map(Text::from), ..new(url) }).unwrap().id.to_string()
    };
    assert_eq!(add("http://a:1", Some("The Office")), "the-office");
    assert_eq!(add("http://a:2", Some("the office")), "the-office-2");
    assert_eq!(add("127.0.0.1:8090", None), "127.0.0.1-8090");
    assert_eq!(add("http://a:3", Some("local")), "local-2", "this name is the backend's own");
}

#[test]
fn one_address_is_one_server() {
    let servers = servers();
    servers.add(new("http://a/images")).unwrap();
    assert!(matches!(servers.add(new("http://A:80/images/")), Err(ServersError::Duplicate { .. })));
    let b = servers.add(new("http://b")).unwrap();
    let change = ServerChange { url: Some("http://a/images".to_owned()), ..ServerChange::default() };
    assert!(matches!(servers.change(&b.id, change), Err(ServersError::Duplicate { .. })));
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let servers = servers();
    let auth = Some("secret".to_owned());
    let id = servers.add(NewServer { auth, color: Some("#00aaff".to_owned()), ..new("http://a") }).unwrap().id;
    let change = ServerChange { enabled: Some(false), priority: Some(1), ..ServerChange::default() };
    servers.change(&id, change).unwrap();
    let found = servers.get(&id).unwrap();
    assert_eq!((found.enabled, found.priority), (false, 1));
    assert_eq!(found.access.credentials, Some(Credentials::Bearer("secret".to_owned())));
    assert!(!format!("{found:?}").contains("secret"));
    let red = ServerChange { color: Some("red".to_owned()), ..ServerChange::default() };
    assert!(matches!(servers.change(&id, red), Err(ServersError::BadColor(_))));
    servers.remove(&id).unwrap();
    assert!(matches!(servers.remove(&id), Err(ServersError::NotFound(_))));
}

#[test]
fn the_remembered_catalog_goes_with_the_address() {
    let servers = servers();
    let record = servers.add(new("http://a")).unwrap();
    let id = record.id.clone();
    servers.keep(&record, &KeptHead::default(), Some(b"x")).unwrap();
    servers.change(&id, ServerChange { priority: Some(3), ..ServerChange::default() }).unwrap();
    assert!(servers.kept(&id).is_some());
    servers.change(&id, ServerChange { url: Some("http://b".to_owned()), ..ServerChange::default() }).unwrap();
    assert!(servers.kept(&id).is_none());
}

fn configured(url: &str, name: Option<&str>) -> Configured {
    let server = NewServer { name: name.map(Text::from), ..new(url) };
    Configured { server, enabled: true, origin: "a.yaml, line 3".to_owned() }
}

#[test]
fn the_configuration_is_one_list_with_what_people_add_and_is_changed_only_there() {
    let servers = servers();
    let mine = servers.add(NewServer { name: Some("office".into()), ..new("http://mine") }).unwrap().id;
    servers.configure(&[configured("http://b", Some("Office")), configured("http://c", None)]).unwrap();
    let ids = || servers.list().unwrap().into_iter().map(|server| server.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(), ["c", "office", "office-2"]);
    assert!(matches!(servers.add(new("http://c")), Err(ServersError::Duplicate { .. })));

    let id: ServerId = "office-2".parse().unwrap();
    for refused in [servers.remove(&id), servers.change(&id, ServerChange::default()).map(drop)] {
        let problem = Problem::from(refused.unwrap_err());
        assert_eq!(problem.code, ProblemCode::Configured);
        assert!(problem.fix.contains("a.yaml, line 3"), "{problem}");
    }
    servers.remove(&mine).unwrap();
    servers.configure(&[configured("http://c", None)]).unwrap();
    assert_eq!(ids(), ["c"], "what the configuration does not say any more is gone");
}

#[test]
fn a_configuration_that_cannot_be_written_changes_nothing() {
    let servers = servers();
    servers.configure(&[configured("http://b", None)]).unwrap();
    let before = servers.list().unwrap();
    let twice = [configured("http://c", None), configured("http://c", Some("again"))];
    assert!(matches!(servers.configure(&twice), Err(ServersError::Database(_))));
    assert_eq!(servers.list().unwrap(), before);
    servers.add(new("http://d")).expect("the transaction has ended");
}

#[test]
fn a_configured_server_keeps_its_catalog_and_takes_over_its_address() {
    let servers = servers();
    servers.add(NewServer { name: Some("mine".into()), ..new("http://a") }).unwrap();
    let all = [configured("http://a", None), configured("http://b", None)];
    servers.configure(&all).unwrap();
    let id: ServerId = "b".parse().unwrap();
    servers.keep(&servers.get(&id).unwrap(), &KeptHead::default(), Some(b"x")).unwrap();
    servers.configure(&all).unwrap();
    assert!(servers.kept(&id).is_some());
    let found = servers.list().unwrap();
    assert_eq!(found.len(), 2, "one address is one server: {found:?}");
    assert!(found.iter().all(|server| server.configured.is_some()));
}

/// What version 0.1 has written is still there after the migration, and old addresses are not mixed up.
#[test]
fn a_catalog_of_an_earlier_version_is_taken_over() {
    use rusqlite_migration::Migrations;
    let mut sql = rusqlite::Connection::open_in_memory().unwrap();
    Migrations::from_slice(&SCHEMA.migrations[..1]).to_latest(&mut sql).unwrap();
    let insert = "INSERT INTO servers (id, name, url, priority, enabled, auth, catalog)
        VALUES ('a', 'A', 'http://a/', 1, 1, 'secret', '{\"format\":1}'), ('b', 'B', 'http://b/', 2, 0, NULL, NULL)";
    sql.execute(insert, ()).unwrap();
    Migrations::from_slice(SCHEMA.migrations).to_latest(&mut sql).unwrap();
    let records = table::list(&sql).unwrap();
    assert_eq!(
        records.iter().map(|record| record.access.credentials.clone()).collect::<Vec<_>>(),
        [Some(Credentials::Bearer("secret".to_owned())), None]
    );
    let kept = |id: &str| kept::read(&sql, &id.parse().unwrap()).unwrap().map(|kept| kept.entries);
    assert_eq!((kept("a"), kept("b")), (Some(b"{\"format\":1}".to_vec()), None));
    assert_eq!(kept::read(&sql, &"a".parse().unwrap()).unwrap().unwrap().head, KeptHead::default());
}

#[test]
fn a_secret_stays_with_its_address() {
    let servers = servers();
    let pin = "ab".repeat(32);
    let new = NewServer {
        user: Some("alice".to_owned()),
        password: Some("hunter2".to_owned()),
        allow: Some(vec!["http://10.0.0.5:9000".to_owned()]),
        pin: Some(pin.clone()),
        ..new("https://a")
    };
    let id = servers.add(new).unwrap().id;
    let at = |url: &str| ServerChange { url: Some(url.to_owned()), ..ServerChange::default() };
    let same = servers.change(&id, at("https://a")).unwrap();
    assert_eq!(same, servers.get(&id).unwrap(), "it is read as it was written");
    assert_eq!(same.access.trust, Trust::Pin(pin.parse().unwrap()));
    assert!(same.access.credentials.is_some() && same.access.allow.len() == 1);
    assert!(!format!("{same:?} {:?}", same.endpoint()).contains("hunter2"));

    let given_anew = ServerChange { auth: Some("token".to_owned()), ..at("https://b") };
    let moved = servers.change(&id, given_anew).unwrap();
    assert_eq!(moved.access.credentials, Some(Credentials::Bearer("token".to_owned())));
    assert_eq!((moved.access.trust, moved.access.allow.len()), (Trust::System, 0));
    assert_eq!(servers.change(&id, at("http://b")).unwrap().access, Access::default());

    let both = ServerChange { auth: Some("x".to_owned()), user: Some("y".to_owned()), ..ServerChange::default() };
    assert!(matches!(servers.change(&id, both), Err(ServersError::Access(BadAccess::TwoCredentials))));
}

/// Otherwise this test would not end.
#[test]
fn the_list_is_known_while_the_database_is_busy() {
    let servers = servers();
    servers.add(new("http://a")).unwrap();
    let before = servers.list().unwrap();
    let listed = servers.database.with(|_| Ok(servers.list().unwrap())).unwrap();
    assert_eq!(listed, before);
    servers.add(new("http://b")).unwrap();
    assert_eq!(servers.list().unwrap().len(), 2, "a change is seen");
}

#[test]
fn a_command_keeps_what_servers_answer_and_leaves_the_list_alone() {
    let (copy, file) = (Database::in_memory(&SCHEMA).unwrap(), Database::in_memory(&SCHEMA).unwrap());
    let kept_in_file = Servers::new(file.clone());
    let office = kept_in_file.add(NewServer { name: Some("office".into()), ..new("http://a") }).unwrap();
    for database in [&copy, &file] {
        database.with(|sql| table::write(sql, &office)).unwrap();
    }
    let borrowed = Servers::borrowed(copy, file);
    borrowed.keep(&office, &KeptHead::default(), Some(b"a")).unwrap();
    assert_eq!(kept_in_file.kept(&office.id).unwrap().entries, b"a");

    // The command's configuration is another one than the backend's.
    borrowed.configure(&[configured("http://b", None), configured("http://a", Some("other"))]).unwrap();
    assert_eq!(kept_in_file.list().unwrap(), std::slice::from_ref(&office));
    for server in borrowed.list().unwrap() {
        borrowed.keep(&server, &KeptHead::default(), Some(server.id.as_str().as_bytes())).unwrap();
    }
    let after = Servers::new(kept_in_file.database.clone());
    let ids: Vec<_> = after.list().unwrap().into_iter().map(|server| server.id.to_string()).collect();
    assert_eq!(ids, ["b", "office"], "one that only the configuration names is written down, and nothing is replaced");
    assert_eq!(after.kept(&"b".parse().unwrap()).unwrap().entries, b"b");
    assert_eq!(after.kept(&office.id).unwrap().entries, b"a");
}
