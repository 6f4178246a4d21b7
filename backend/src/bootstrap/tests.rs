//! The phase on real files, with a module and a handler that only exist here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::database::Database;
use crate::policy::manifest::{Content, Directory, File, manifest};
use crate::remote::servers::SCHEMA as SERVERS;
use crate::{cache, catalog};

manifest! {
    module: "declared-in-a-test",
    directories: &[Directory { at: |paths| paths.cache.join("declared"), private: true }],
    files: &[File { at: |paths| paths.cache.join("declared/placeholder"), content: Content::Initially("at first") }]
}

/// Does what the file of its name says: `hang`, `fail`, or `fail once`. It finds what its other file says, or hangs.
struct Scripted {
    name: &'static str,
    rule: Rule,
}

handler!(Scripted { name: "scripted", rule: Rule::Required });
handler!(Scripted { name: "optional", rule: Rule::Degrading("machines") });

impl Scripted {
    fn order(&self, site: &Site) -> PathBuf {
        site.paths.config.join(self.name)
    }
}

impl Handler for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rule(&self) -> Rule {
        self.rule
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        Ok(self.order(site).exists())
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let failure = Problem::new(ProblemCode::FileNotFound, "The script says to fail.", "the test wants it", "None.");
        match fs::read_to_string(self.order(site)).unwrap().as_str() {
            "hang" => std::thread::sleep(Duration::from_secs(3600)),
            "fail" => return Err(failure),
            "fail once" => {
                fs::write(self.order(site), "succeed").unwrap();
                return Err(failure);
            }
            _ => {}
        }
        // The lowest priority is the last: all that was declared is there.
        assert!(Database::open(&site.paths.database(SERVERS.name)).is_ok());
        fs::remove_file(self.order(site)).unwrap();
        Ok(Vec::new())
    }

    fn findings(&self, site: &Site) -> Vec<Finding> {
        let path = self.order(site).with_extension("found");
        let Ok(found) = fs::read_to_string(&path) else { return Vec::new() };
        let mut looks = fs::File::options().append(true).create(true).open(path.with_extension("looks")).unwrap();
        looks.write_all(b".").unwrap();
        while fs::read_to_string(&path).is_ok_and(|found| found == "hang") {
            std::thread::sleep(Duration::from_millis(5));
        }
        vec![Finding { module: "catalog", problem: Problem::new(ProblemCode::FileNotFound, found, "", "") }]
    }
}

struct World {
    root: tempfile::TempDir,
    paths: Paths,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        Self { root, paths }
    }

    fn site(&self, purpose: Purpose) -> Site {
        Site::new(self.paths.clone(), purpose)
    }

    async fn shell(&self) -> Result<Outcome, Problem> {
        run(self.site(Purpose::Shell)).await
    }

    fn script(&self, order: &str) {
        self.tell("scripted", order);
    }

    fn tell(&self, file: &str, order: &str) {
        fs::create_dir_all(&self.paths.config).unwrap();
        fs::write(self.paths.config.join(file), order).unwrap();
    }

    /// Every path with what would tell a change.
    fn snapshot(&self) -> BTreeMap<PathBuf, (u64, u32, i64, i64)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let metadata = entry.metadata().unwrap();
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
                found.insert(entry.path(), (metadata.ino(), metadata.mode(), metadata.mtime(), metadata.mtime_nsec()));
            }
        }
        found
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn what_modules_declare_is_made_once_and_again_after_it_was_deleted() {
    let world = World::new();
    for _ in 0..2 {
        world.shell().await.unwrap();
        for manifest in MANIFESTS {
            let directories = manifest.directories.iter().map(|directory| (directory.at)(&world.paths));
            let files = manifest.files.iter().map(|file| (file.at)(&world.paths));
            let databases = manifest.database.iter().map(|schema| world.paths.database(schema.name));
            for path in directories.chain(files).chain(databases) {
                assert!(path.exists(), "{}", path.display());
            }
        }
        for path in [&world.paths.state, &world.paths.runtime, &world.paths.machines()] {
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        assert!(!world.paths.config.exists(), "a configuration is the user's own");
        let handlers = || HANDLERS.iter().filter(|handler| handler.rule() != Rule::Advisory);
        let site = world.site(Purpose::Shell);
        assert!(handlers().all(|handler| !handler.should_run(&site).unwrap()), "nothing is left to do");
        for folder in [&world.paths.cache, &world.paths.state, &world.paths.runtime] {
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[tokio::test]
async fn a_module_and_a_handler_that_are_declared_anywhere_are_found() {
    let world = World::new();
    world.script("succeed");
    world.shell().await.unwrap();
    assert!(!world.paths.config.join("scripted").exists(), "the handler ran");
    let declared = world.paths.cache.join("declared");
    assert_eq!(mode(&declared), 0o700);
    fs::write(declared.join("placeholder"), "changed").unwrap();
    world.shell().await.unwrap();
    assert_eq!(fs::read_to_string(declared.join("placeholder")).unwrap(), "changed");
    let order: Vec<_> = handlers().map(|handler| (handler.priority(), handler.name())).collect();
    assert!(order.is_sorted() && order.last() == Some(&(100, "scripted")), "{order:?}");
}

#[tokio::test]
async fn nothing_to_do_is_nothing_done() {
    let world = World::new();
    world.shell().await.unwrap();
    let mut before = world.snapshot();
    world.shell().await.unwrap();
    let mut after = world.snapshot();
    // Looking into a database makes a file beside it for that time.
    for snapshot in [&mut before, &mut after] {
        snapshot.remove(&world.paths.state);
    }
    assert_eq!(before, after);
    let off = BootstrapSettings { enabled: false, ..BootstrapSettings::default() };
    let bare = World::new();
    run(Site { settings: off, ..bare.site(Purpose::Shell) }).await.unwrap();
    assert!(bare.snapshot().is_empty());
}

#[tokio::test]
async fn each_purpose_gets_what_it_needs_only() {
    let world = World::new();
    let paths = &world.paths;
    run(world.site(Purpose::Boot)).await.unwrap();
    assert!(paths.machines().is_dir() && !paths.state.exists() && !paths.cache.exists());
    fs::remove_dir_all(&paths.runtime).unwrap();
    run(world.site(Purpose::Catalog)).await.unwrap();
    assert!(paths.thumbnails().is_dir() && !paths.state.exists() && !paths.runtime.exists() && !paths.config.exists());
    run(world.site(Purpose::Beside)).await.unwrap();
    assert!(paths.machines().is_dir() && !paths.database("servers").exists());
    run(world.site(Purpose::Command)).await.unwrap();
    assert!(paths.database("servers").exists() && !paths.config.exists() && !paths.programs().exists());
}

#[tokio::test]
async fn a_handler_is_tried_again_and_one_that_hangs_is_named() {
    let world = World::new();
    world.script("fail once");
    world.shell().await.unwrap();
    world.script("fail once");
    let settings = BootstrapSettings { retry_attempts: 1, ..BootstrapSettings::default() };
    let once = run(Site { settings, ..world.site(Purpose::Shell) }).await;
    assert_eq!(once.unwrap_err().code, ProblemCode::FileNotFound);

    world.script("hang");
    let settings = BootstrapSettings { timeout: Span::from_secs(2), ..BootstrapSettings::default() };
    let problem = run(Site { settings, ..world.site(Purpose::Shell) }).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::BootstrapTimeout);
    assert!(problem.why.contains("scripted") && problem.why.contains("2 s"), "{problem}");
}

#[tokio::test]
async fn one_that_hangs_and_can_be_left_out_degrades_its_module_and_the_start_goes_on() {
    let world = World::new();
    world.tell("optional", "hang");
    world.script("succeed");
    let settings = BootstrapSettings { timeout: Span::from_secs(8), ..BootstrapSettings::default() };
    let outcome = run(Site { settings, ..world.site(Purpose::Shell) }).await.unwrap();
    assert!(!world.paths.config.join("scripted").exists(), "the handler after it ran");
    let findings = outcome.findings().await;
    let hung = findings.iter().find(|finding| finding.problem.code == ProblemCode::BootstrapTimeout).unwrap();
    assert_eq!(hung.module, "machines");
    assert!(hung.problem.why.contains("optional") && hung.problem.why.contains("2 s"), "{}", hung.problem);
}

#[tokio::test]
async fn one_that_fails_until_the_time_is_over_says_why() {
    let world = World::new();
    world.script("fail");
    let settings =
        BootstrapSettings { timeout: Span::from_secs(2), retry_attempts: 1000, ..BootstrapSettings::default() };
    let problem = run(Site { settings, ..world.site(Purpose::Shell) }).await.unwrap_err();
    assert_eq!(problem.what, "The script says to fail.");
}

#[tokio::test]
async fn a_look_that_hangs_is_the_only_one_and_the_last_that_was_done_is_the_answer() {
    let world = World::new();
    let outcome = world.shell().await.unwrap();
    let said = async |what: &str| outcome.findings().await.iter().any(|finding| finding.problem.what == what);
    world.tell("scripted.found", "first");
    assert!(said("first").await);
    world.tell("scripted.found", "hang");
    for _ in 0..2 {
        assert!(said("first").await);
    }
    let looks = || fs::read_to_string(world.paths.config.join("scripted.looks")).unwrap();
    assert_eq!(looks(), "..", "the one before, and the one that hangs");
    world.tell("scripted.found", "second");
    assert!(said("second").await);
}

#[tokio::test]
async fn without_fail_fast_all_failures_are_reported() {
    let world = World::new();
    world.shell().await.unwrap();
    world.script("fail");
    fs::write(world.paths.database("servers"), "no database at all").unwrap();
    let problem = world.shell().await.unwrap_err();
    assert!(problem.context.is_none(), "the first ends it: {problem}");
    let declared = world.paths.cache.join("declared/placeholder");
    fs::remove_file(&declared).unwrap();
    let settings = BootstrapSettings { fail_fast: false, ..BootstrapSettings::default() };
    let problem = run(Site { settings, ..world.site(Purpose::Shell) }).await.unwrap_err();
    assert!(problem.why.contains("servers.sqlite3"), "{problem}");
    assert!(problem.context.unwrap().contains("The script says to fail."));
    assert!(declared.exists(), "the handlers between them ran");
}

#[tokio::test]
async fn an_open_private_directory_is_closed_and_a_link_in_its_place_is_refused() {
    let world = World::new();
    fs::create_dir_all(&world.paths.runtime).unwrap();
    fs::set_permissions(&world.paths.runtime, fs::Permissions::from_mode(0o777)).unwrap();
    world.shell().await.unwrap();
    assert_eq!(mode(&world.paths.runtime), 0o700);

    fs::remove_dir_all(&world.paths.runtime).unwrap();
    symlink(world.root.path(), &world.paths.runtime).unwrap();
    let problem = world.shell().await.unwrap_err();
    assert_eq!((problem.code, problem.code.exit_code()), (ProblemCode::StorageFailed, 1));
}

#[tokio::test]
async fn a_private_directory_of_another_user_is_refused() {
    if !nix::unistd::getuid().is_root() {
        return pixelrts_testing::skip("root", "only root can give a directory to another user");
    }
    let world = World::new();
    world.shell().await.unwrap();
    chown(&world.paths.state, Some(1), None).unwrap();
    let problem = world.shell().await.unwrap_err();
    assert_eq!((problem.code, problem.code.exit_code()), (ProblemCode::PermissionDenied, 77));
    assert!(problem.why.contains("user 1"), "{problem}");
}

#[tokio::test]
async fn a_module_that_can_be_left_out_does_not_end_the_start() {
    let world = World::new();
    fs::create_dir(&world.paths.runtime).unwrap();
    fs::write(world.paths.machines(), "a file").unwrap();
    let outcome = world.shell().await.unwrap();
    let of_machines = |finding: &Finding| {
        finding.module == "machines" && finding.problem.what.contains(world.paths.machines().to_str().unwrap())
    };
    assert!(outcome.findings().await.iter().any(of_machines), "{:?}", outcome.findings().await);
    fs::remove_file(world.paths.machines()).unwrap();
    world.shell().await.unwrap();
    assert!(!outcome.findings().await.iter().any(of_machines), "it is asked again");
}

#[tokio::test]
async fn an_index_is_made_again_and_what_is_precious_is_not_touched() {
    let world = World::new();
    world.shell().await.unwrap();
    let newer = |name: &str| {
        let sql = Database::open(&world.paths.database(name)).unwrap();
        sql.with(|sql| sql.pragma_update(None, "user_version", 1000)).unwrap();
    };
    for schema in [&cache::SCHEMA, &catalog::SCHEMA] {
        let path = world.paths.database(schema.name);
        fs::write(&path, "damaged").unwrap();
        fs::write(path.with_extension("sqlite3-wal"), "the log of another").unwrap();
        world.shell().await.unwrap();
        assert!(Database::open(&path).unwrap().with(|sql| sql.execute("VACUUM", ())).is_ok());
        assert_eq!(fs::read_to_string(path.with_extension("sqlite3.damaged")).unwrap(), "damaged");
        newer(schema.name);
        world.shell().await.unwrap();
        assert_eq!(schema.condition(&path).unwrap(), crate::database::Condition::Current);
    }
    let path = world.paths.database("servers");
    newer("servers");
    let problem = world.shell().await.unwrap_err();
    assert!(problem.why.contains("newer") && problem.fix.contains("mv "), "{problem}");
    fs::write(&path, "damaged").unwrap();
    let problem = world.shell().await.unwrap_err();
    assert!(problem.why.contains(path.to_str().unwrap()) && problem.fix.contains("mv "), "{problem}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "damaged");
}

#[tokio::test]
async fn an_index_that_cannot_be_opened_does_not_end_the_start() {
    let world = World::new();
    fs::create_dir_all(world.paths.database(cache::SCHEMA.name)).unwrap();
    let outcome = world.shell().await.unwrap();
    assert!(outcome.findings().await.iter().any(|finding| finding.module == "cache"), "it is among the findings");
    fs::remove_dir(world.paths.database(cache::SCHEMA.name)).unwrap();
    fs::remove_file(world.paths.database("servers")).unwrap();
    fs::create_dir(world.paths.database("servers")).unwrap();
    assert!(world.shell().await.is_err(), "what is precious does");
}

#[tokio::test]
async fn a_folder_that_is_missing_is_found_and_the_configuration_stays_as_it_is() {
    let world = World::new();
    fs::create_dir_all(&world.paths.config).unwrap();
    fs::write(world.paths.config(), "listen: 127.0.0.1:1\n").unwrap();
    let folders = vec![world.root.path().join("nowhere"), world.root.path().to_owned()];
    let outcome = run(Site { folders, ..world.site(Purpose::Shell) }).await.unwrap();
    assert_eq!(fs::read_to_string(world.paths.config()).unwrap(), "listen: 127.0.0.1:1\n");
    let findings = outcome.findings().await;
    let catalog: Vec<_> = findings.iter().filter(|finding| finding.module == "catalog").collect();
    assert_eq!(catalog.len(), 1);
    assert!(catalog[0].problem.what.contains("nowhere"));
}

#[tokio::test]
async fn what_a_crash_left_is_removed_and_what_lives_stays() {
    let world = World::new();
    world.shell().await.unwrap();
    let unfinished =
        [world.paths.state.join(".pixelrts-abc"), world.paths.thumbnails().join("servers/0123/.pixelrts-abc")];
    fs::create_dir_all(world.paths.thumbnails().join("servers/0123")).unwrap();
    for path in &unfinished {
        fs::File::create(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let foreign = world.paths.thumbnails().join(".tmpforeign");
    fs::write(&foreign, "").unwrap();
    let written = world.paths.cache.join(".pixelrts-written");
    let writer = fs::File::create(&written).unwrap();
    writer.lock().unwrap();
    drop(UnixListener::bind(world.paths.health_socket()).unwrap());
    drop(crate::machine::RunDir::create(&world.paths.machines()).unwrap());
    let living = crate::machine::RunDir::create(&world.paths.machines()).unwrap();
    run(world.site(Purpose::Command)).await.unwrap();
    assert!(world.paths.health_socket().exists(), "only the next backend may");
    world.shell().await.unwrap();
    assert!(!unfinished[0].exists() && !unfinished[1].exists() && !world.paths.health_socket().exists());
    assert!(foreign.exists() && written.exists() && living.path().exists());
    assert_eq!(fs::read_dir(world.paths.machines()).unwrap().count(), 1);
    let _listener = UnixListener::bind(world.paths.health_socket()).unwrap();
    world.shell().await.unwrap();
    assert!(world.paths.health_socket().exists(), "somebody listens");
}

#[tokio::test]
async fn secrets_are_made_once_and_a_start_does_not_go_on_without() {
    let world = World::new();
    let at = |name: &str| world.paths.state.join(name);
    let (token, cert, key) = (at("token"), at("cert.pem"), at("key.pem"));
    let secrets = || {
        let (cert, key) = (cert.clone(), key.clone());
        vec![Secret::Token(token.clone()), Secret::Certificate { cert, key, names: vec!["localhost".to_owned()] }]
    };
    let start = || run(Site { secrets: secrets(), ..world.site(Purpose::Shell) });
    start().await.unwrap();
    let made = || [&token, &cert, &key].map(|file| fs::read(file).unwrap());
    let first = made();
    start().await.unwrap();
    assert!(made() == first);
    // A certificate without its key is somebody's, and not to be replaced.
    fs::remove_file(&key).unwrap();
    assert!(start().await.is_err());
    assert_eq!(fs::read(&cert).unwrap(), first[1]);
}

#[tokio::test]
async fn a_file_that_cannot_be_made_degrades_the_module_that_declared_it() {
    let world = World::new();
    let tag = world.paths.cache.join("CACHEDIR.TAG");
    fs::create_dir_all(&tag).unwrap();
    let outcome = world.shell().await.unwrap();
    let of_tag = |finding: &Finding| finding.module == "cache" && finding.problem.what.contains("TAG");
    let tag_is_wrong = async || outcome.findings().await.iter().any(of_tag);
    assert!(tag_is_wrong().await);
    fs::remove_dir(&tag).unwrap();
    fs::write(&tag, "Signature: of another").unwrap();
    assert!(tag_is_wrong().await);
    world.shell().await.unwrap();
    assert!(!tag_is_wrong().await && fs::read_to_string(tag).unwrap().starts_with("Signature: 8a47"));
}

#[tokio::test]
async fn the_network_is_only_complained_of_when_no_server_can_be_reached() {
    let world = World::new();
    let outcome = world.shell().await.unwrap();
    let site = world.site(Purpose::Shell);
    let network = *HANDLERS.iter().find(|handler| handler.name() == "network").unwrap();
    assert!(!network.should_run(&site).unwrap(), "there are no servers");
    let servers = crate::remote::Servers::new(Database::open(&world.paths.database(SERVERS.name)).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let add = |url: String, name: &str| {
        servers.add(pixelrts_shared::server::NewServer { url, name: Some(name.into()), ..Default::default() }).unwrap();
    };
    add(format!("http://{address}"), "near");
    add("http://127.0.0.1:9".to_owned(), "dead");
    assert!(network.should_run(&site).unwrap());
    let said = network.execute(&site).unwrap();
    assert!(said[0].starts_with("1 of 2 servers reached: near in "), "{said:?}");
    drop(listener);
    assert!(network.execute(&site).unwrap_err().why.contains("Neither of the two servers"));
    // Advice neither fails nor degrades anything.
    let before = outcome.findings().await;
    outcome.clone().afterwards().await;
    assert_eq!(outcome.findings().await, before);
}
