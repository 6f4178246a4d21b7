use std::path::Path;

use super::*;
use crate::cache;
use crate::catalog::SCHEMA;
use crate::database::Database;
use crate::image::{Metadata, Pack, SegmentFile};
use crate::paths::Paths;
use crate::remote::{Catalogs, Client, Downloads, Servers, Timing, downloads, servers};
use crate::task::Scope;
use pixelrts_shared::catalog::Role;
use pixelrts_shared::server::NewServer;
use pixelrts_testing::fault_server::FaultServer;

fn pack(folder: &Path, name: &str) -> Digest {
    let kernel = folder.join(".kernel");
    std::fs::write(&kernel, name).unwrap();
    let pack = Pack {
        metadata: Metadata { name: Some(name.to_owned()), memory: Some("64M".to_owned()), ..Metadata::default() },
        segments: vec![SegmentFile { name: "kernel".to_owned(), role: Role::Kernel, path: kernel }],
        ..Pack::default()
    };
    let path = folder.join(format!("{name}.rts.png"));
    pack.write(&path, &mut |_, _| {}).unwrap();
    cache::hash_file(&path).unwrap().0
}

/// A library of this folder, and of one server that nobody has asked yet.
fn library(folder: &Path) -> Library {
    library_with(folder, "http://127.0.0.1:9")
}

fn library_with(folder: &Path, server: &str) -> Library {
    let paths = Paths::below(folder);
    std::fs::create_dir_all(paths.images()).unwrap();
    let local = Local::new("test".to_owned(), vec![folder.to_owned()], Database::in_memory(&SCHEMA).unwrap());
    let store = Store::new(&paths, Database::in_memory(&cache::SCHEMA).unwrap());
    let servers = Servers::new(Database::in_memory(&servers::SCHEMA).unwrap());
    servers.add(NewServer { url: server.into(), ..NewServer::default() }).unwrap();
    let (client, scope) = (Client::default(), Scope::new());
    let catalogs = Catalogs::new(servers, client.clone(), scope.clone());
    let downloads = Downloads::new(store.clone(), client.clone(), scope, downloads::backoff(), Timing::default());
    Library::new(
        local,
        store,
        Module::register("servers", Ok(Remote { client, catalogs, downloads })),
        Personal::default(),
    )
}

const A_MOMENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn what_is_not_known_yet_is_waited_for_and_then_refused_as_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let digest = pack(folder.path(), "debian");
    let library = library(folder.path());
    for key in ["debian", digest.to_string().as_str()] {
        let problem = library.find_within(A_MOMENT, key, None).await.unwrap_err();
        assert_eq!(problem.code, ProblemCode::NotReady, "the folder was not scanned: {problem}");
    }
    let (found, ()) = tokio::join!(library.find("debian", None), library.local.refresh());
    assert_eq!(found.unwrap().entry.sha256, digest, "it is found as soon as the scan is done");
    let problem = library.find_within(A_MOMENT, "other", None).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::NotReady, "the server was not asked: {problem}");
    let here = Some(ServerId::local());
    let problem = library.find("other", here.as_ref()).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::EntryNotFound, "the server has no part in it");
    // Nothing listens there, so it has failed.
    let remote = library.remote.get().unwrap();
    let (problem, ()) = tokio::join!(library.find("other", None), remote.catalogs.refreshed());
    let problem = problem.unwrap_err();
    assert_eq!(problem.code, ProblemCode::EntryNotFound);
    assert!(problem.why.contains("127.0.0.1:9 refused the connection (Nothing listens at"), "{problem}");
    assert!(problem.fix.contains("Start the server"), "what helps the server helps: {problem}");
    assert_eq!(library.find_now("no id", None).await.unwrap_err().code, ProblemCode::EntryNotFound);
}

#[tokio::test]
async fn an_entry_that_was_left_out_is_named_with_the_reason() {
    let (folder, server) = (tempfile::tempdir().unwrap(), FaultServer::start(*b"an image"));
    server.offer_catalog(r#"{"format": 1, "entries": [{"id": "debian", "sha256": "7"}]}"#);
    let library = library_with(folder.path(), &server.base("ok"));
    tokio::join!(library.local.refresh(), library.remote.get().unwrap().catalogs.refreshed());
    let problem = library.find_now("debian", None).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::EntryNotFound);
    assert!(problem.why.contains("lists it, but its size is missing"), "{problem}");
    let problem = library.find_now("fedora", None).await.unwrap_err();
    assert!(problem.why.contains("Neither this computer nor the catalog of a server lists it"), "{problem}");
}

#[tokio::test]
async fn an_image_of_the_cache_says_itself_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let digest = pack(folder.path(), "debian");
    let library = library(folder.path());
    let cached = Paths::below(folder.path()).images().join(format!("{digest}.rts.png"));
    std::fs::rename(folder.path().join("debian.rts.png"), &cached).unwrap();
    library.local.refresh().await;
    assert!(library.store.peek(&digest).is_none(), "nobody has hashed it");
    library.store.find(&digest).unwrap().unwrap();
    let entry = library.find(&digest.to_string(), None).await.unwrap();
    assert_eq!((entry.described_by, entry.cached, entry.sources.len()), (None, true, 0));
    assert_eq!((entry.entry.name.as_str(), entry.entry.memory.as_deref()), ("debian", Some("64M")));
    // It is read once, in the background.
    let mut changes = library.view_changes();
    library.merged().unwrap();
    let keep = library.clone().keep_told();
    tokio::select! {
        () = keep => unreachable!("it never ends"),
        changed = changes.changed() => changed.unwrap(),
    }
    assert!(library.store.peek(&digest).is_some());
}

/// Moves an image of this folder into the cache, under its digest.
fn into_cache(library: &Library, folder: &Path, name: &str) -> Digest {
    let digest = pack(folder, name);
    let cached = Paths::below(folder).images().join(format!("{digest}.rts.png"));
    std::fs::rename(folder.join(format!("{name}.rts.png")), &cached).unwrap();
    library.store.find(&digest).unwrap().unwrap();
    digest
}

#[tokio::test]
async fn what_no_server_lists_any_more_is_found_in_the_cache_by_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let digest = into_cache(&library, folder.path(), "My Debian");
    tokio::join!(library.local.refresh(), library.remote.get().unwrap().catalogs.refreshed());
    let listed = Listed { server: "gone".parse().unwrap(), id: "debian-12".parse().unwrap(), name: "Debian 12".into() };
    library.store.remember_listed(&digest, &[listed]);
    let hex = digest.to_string();
    for key in ["debian-12", "Debian 12", "debian-12@gone", "Debian 12@gone", &hex, &format!("{hex}@gone"), "My Debian"]
    {
        let found = library.find(key, None).await.unwrap();
        assert_eq!((found.entry.sha256, found.cached, found.sources.len()), (digest, true, 0), "{key}");
        assert_eq!(library.find_now(key, None).await.unwrap(), found, "{key}");
    }
    assert_eq!(library.find("debian-12", None).await.unwrap().entry.id.as_str(), "debian-12");
    for key in ["debian-12@127.0.0.1-9", "Debian", "", &"x".repeat(5000)] {
        assert_eq!(library.find(key, None).await.unwrap_err().code, ProblemCode::EntryNotFound, "{key}");
    }
    for key in ["debian-12@office", &format!("{hex}@office"), "My Debian@gone"] {
        assert_eq!(library.find(key, None).await.unwrap_err().code, ProblemCode::ServerNotFound, "{key}");
    }
    let ids: Vec<_> = library.cache().await.unwrap().items[0].ids.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["debian-12"]);
    let other = into_cache(&library, folder.path(), "Debian 12");
    let listed = Listed { server: "home".parse().unwrap(), id: "debian-12".parse().unwrap(), name: "x".into() };
    library.store.remember_listed(&other, &[listed]);
    assert_eq!(library.find("debian-12", None).await.unwrap_err().code, ProblemCode::Ambiguous);
    assert_eq!(library.find("debian-12@home", None).await.unwrap().entry.sha256, other);
}

#[tokio::test]
async fn an_image_of_a_folder_is_found_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let digest = pack(folder.path(), "My Debian");
    let library = library(folder.path());
    tokio::join!(library.local.refresh(), library.remote.get().unwrap().catalogs.refreshed());
    for key in ["My Debian", "my-debian", "My Debian@local"] {
        assert_eq!(library.find(key, None).await.unwrap().entry.sha256, digest, "{key}");
    }
    let typo = library.find("my-debain", None).await.unwrap_err();
    assert!(typo.code == ProblemCode::EntryNotFound && typo.fix.contains("Did you mean my-debian?"), "{typo}");
    for key in ["My", "My Debian 2", "My Debian@127.0.0.1-9"] {
        assert_eq!(library.find(key, None).await.unwrap_err().code, ProblemCode::EntryNotFound, "{key}");
    }
}
