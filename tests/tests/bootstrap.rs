//! The first start on a computer without any files, the next starts, and starts where something is wrong.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::geteuid;
use pixelrts_shared::health::HealthStatus;
use pixelrts_shared::machine::{BootAccepted, BootStage, Machine};
use pixelrts_shared::{Problem, ProblemCode, paths};
use pixelrts_tests::{Finished, Home, LINUX, Serve, good, sample, skip, until};
use serde_json::{Value, json};

const SERVE: [&str; 4] = ["--json", "serve", "--listen", "127.0.0.1:0"];

/// Everything that a first start makes, apart from the lock and the files that SQLite keeps beside an open database.
const MADE: [&str; 13] = [
    "cache/pixelrts/CACHEDIR.TAG",
    "cache/pixelrts/partial",
    "cache/pixelrts/remote",
    "cache/pixelrts/thumbnails",
    "run/pixelrts/machines",
    "state/pixelrts/cache.sqlite3",
    "state/pixelrts/catalog.sqlite3",
    "state/pixelrts/personal.sqlite3",
    "state/pixelrts/programs.json",
    "state/pixelrts/servers.sqlite3",
    "cache/pixelrts",
    "run/pixelrts",
    "state/pixelrts",
];

/// Every path in the program's four folders, with its mode, inode and time of change.
fn snapshot(home: &Home) -> Result<BTreeMap<PathBuf, (u32, u64, i64, i64)>> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<_> =
        ["cache", "config", "run", "state"].iter().map(|name| home.path().join(name).join("pixelrts")).collect();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for path in entries.chain([folder.clone()]).filter(|path| path.exists()) {
            let metadata = path.symlink_metadata()?;
            if metadata.is_dir() && path != folder {
                folders.push(path.clone());
            }
            let name = path.strip_prefix(home.path())?.to_owned();
            found.insert(name, (metadata.mode() & 0o777, metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
        }
    }
    // Every backend writes its lock again. That, and the log of an open database, changes the folders' times. The cache
    // notes how long this computer has run, after the bootstrap phase.
    for name in ["run/pixelrts/backend.lock", "run/pixelrts", "state/pixelrts", "cache/pixelrts/lived"] {
        found.remove(Path::new(name));
    }
    Ok(found)
}

/// What the last program of this home has logged.
fn last_log(home: &Home) -> Result<String> {
    let number = fs::read_dir(home.path().join("logs"))?.count() - 1;
    Ok(fs::read_to_string(home.path().join(format!("logs/{number}.log")))?)
}

async fn refused(home: &Home, code: i32) -> Result<Problem> {
    home.run(&SERVE).await?.problem(code)
}

async fn is_ok(host: &Serve) -> Result<()> {
    let health: serde_json::Value = good(host.get(paths::HEALTH)).await?.json().await?;
    ensure!(health["status"] == "ok", "{health}");
    Ok(())
}

fn wipe(home: &Home) {
    for folder in ["cache", "config", "run", "state"] {
        // It may not be there yet.
        let _ = fs::remove_dir_all(home.path().join(folder));
    }
}

/// A program in a folder of its own that calls itself QEMU.
fn fake_qemu(home: &Home, version: &str) -> Result<PathBuf> {
    let folder = home.path().join("bin");
    let path = folder.join(format!("qemu-system-{}", std::env::consts::ARCH));
    fs::create_dir_all(&folder)?;
    fs::write(&path, format!("#!/bin/sh\necho 'QEMU emulator version {version} (Debian)'\n"))?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(folder)
}

fn serve_with(home: &Home, variables: &[(&str, &Path)]) -> Result<tokio::process::Command> {
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0", "--catalog"]);
    command.arg(sample(LINUX)?.parent().context("a file is in a folder")?).envs(variables.iter().copied());
    Ok(command)
}

#[tokio::test]
async fn the_first_start_makes_everything_and_the_next_one_nothing() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::start(&home, &[]).await?;
    is_ok(&host).await?;
    for made in MADE {
        ensure!(home.path().join(made).exists(), "{made} is missing");
    }
    let log = last_log(&home)?;
    ensure!(log.contains("servers.sqlite3") && log.contains("CACHEDIR.TAG"), "it says what it makes: {log}");
    host.stop().await?;
    let private = [("run/pixelrts", 0o700), ("state/pixelrts", 0o700)];
    for (path, mode) in private {
        ensure!(fs::metadata(home.path().join(path))?.mode() & 0o777 == mode, "{path}");
    }
    ensure!(!home.path().join("config/pixelrts").exists(), "a configuration file is the user's own");
    let before = snapshot(&home)?;
    ensure!(before.len() == MADE.len() - 2, "{before:?}");

    let host = Serve::start(&home, &[]).await?;
    is_ok(&host).await?;
    let log = last_log(&home)?;
    ensure!(log.contains("Bootstrap phase: no actions needed") && !log.contains("Bootstrap: "), "{log}");
    host.stop().await?;
    ensure!(snapshot(&home)? == before, "{before:?}\n{:?}", snapshot(&home)?);

    fs::remove_dir_all(home.path().join("cache/pixelrts/partial"))?;
    for file in ["cache/pixelrts/CACHEDIR.TAG", "state/pixelrts/catalog.sqlite3"] {
        fs::remove_file(home.path().join(file))?;
    }
    let host = Serve::start(&home, &[]).await?;
    is_ok(&host).await?;
    host.stop().await?;
    let after: Vec<_> = snapshot(&home)?.into_keys().collect();
    ensure!(after == before.into_keys().collect::<Vec<_>>(), "{after:?}");
    Ok(())
}

#[tokio::test]
async fn a_catalog_server_makes_nothing_but_its_cache() -> Result<()> {
    let home = Home::new()?;
    let server = Serve::catalog(&home, sample(LINUX)?.parent().context("a file is in a folder")?).await?;
    is_ok(&server).await?;
    for absent in ["config", "run", "state"] {
        ensure!(!home.path().join(absent).exists(), "{absent}");
    }
    ensure!(home.path().join("cache/pixelrts/thumbnails").is_dir());
    server.stop().await
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_ends_the_start_with_a_reason() -> Result<()> {
    let home = Home::new()?;
    let cache = home.path().join("cache");
    fs::write(&cache, "a file")?;
    let problem = refused(&home, 1).await?;
    ensure!(problem.what.contains("cache") && problem.fix.contains("XDG_CACHE_HOME"), "{problem}");
    Ok(())
}

#[tokio::test]
async fn directories_that_are_read_only_or_of_another_user_end_the_start_with_a_reason() -> Result<()> {
    if !geteuid().is_root() {
        skip("root", "only root can make directories read-only or give them to another user");
        return Ok(());
    }
    let home = Home::new()?;
    let cache = home.path().join("cache");
    fs::create_dir(&cache)?;
    mount(Some("tmpfs"), &cache, Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)?;
    let read_only = refused(&home, 77).await;
    umount2(&cache, MntFlags::MNT_DETACH)?;
    let problem = read_only?;
    ensure!(problem.why.contains("Read-only") && problem.what.contains("cache"), "{problem}");

    let state = home.path().join("state/pixelrts");
    fs::create_dir_all(&state)?;
    chown(&state, Some(1), None)?;
    let problem = refused(&home, 77).await?;
    ensure!(problem.why.contains("user 1") && problem.what.contains(&*state.to_string_lossy()), "{problem}");
    Ok(())
}

#[tokio::test]
async fn a_backend_without_machines_still_has_its_catalog() -> Result<()> {
    let home = Home::new()?;
    let machines = home.path().join("run/pixelrts/machines");
    fs::create_dir_all(machines.parent().context("it has one")?)?;
    fs::write(&machines, "a file")?;
    let host = Serve::run(&home, serve_with(&home, &[])?).await?;
    let health = host.module("machines").await?;
    ensure!(health.len() == 1 && health[0].state == HealthStatus::Excluded, "{health:?}");
    let entry = host.entry("linux-busybox", |_| true).await?;
    let boot = host.post(&paths::entry_boot(&entry.entry.sha256), &json!({})).send().await?;
    ensure!(boot.status() == 503);
    let problem: Problem = boot.json().await?;
    ensure!(problem.code == ProblemCode::ModuleExcluded && problem.why.contains("machines"), "{problem}");
    ensure!(host.get(paths::MACHINES).send().await?.status() == 503);
    // Fetching has nothing to do with machines.
    let other = Home::new()?;
    let server = Serve::catalog(&other, sample(LINUX)?.parent().context("a file is in a folder")?).await?;
    ensure!(good(host.get(paths::EVENTS)).await.is_ok());
    host.add_server(&server.url, "Office").await?;
    host.stop().await?;

    fs::remove_file(&machines)?;
    let host = Serve::start(&home, &[]).await?;
    is_ok(&host).await?;
    host.entry("linux-busybox", |entry| entry.sources.iter().any(|source| source.server.as_str() == "office")).await?;
    host.stop().await
}

#[tokio::test]
async fn a_backend_without_certificate_authorities_uses_plain_http_and_boots_what_is_here() -> Result<()> {
    let home = Home::new()?;
    let nothing = home.path().join("nothing");
    let variables = [("SSL_CERT_FILE", &*nothing), ("SSL_CERT_DIR", &nothing)];
    let host = Serve::run(&home, serve_with(&home, &variables)?).await?;
    let health = host.module("servers").await?;
    ensure!(health.len() == 1 && health[0].state == HealthStatus::Ok, "{health:?}");
    let other = Home::new()?;
    let plain = Serve::catalog(&other, sample(LINUX)?.parent().context("a folder")?).await?;
    let found: Value = good(host.post(paths::SERVERS_CHECK, &json!({"url": plain.url}))).await?.json().await?;
    ensure!(found["entries"].as_u64().is_some_and(|entries| entries > 0), "{found}");
    plain.stop().await?;
    let key = host.entry("linux-busybox", |_| true).await?.entry.sha256;
    let accepted = good(host.post(&paths::entry_boot(&key), &json!({"memory": "256M", "cpus": 1}))).await?;
    let id = accepted.json::<BootAccepted>().await?.machine_id;
    until("the kernel speaks", async || {
        let machine: Machine = good(host.get(&paths::machine(&id))).await?.json().await?;
        Ok((machine.stage == Some(BootStage::Kernel)).then_some(()))
    })
    .await?;
    good(host.request(reqwest::Method::POST, &paths::machine_stop(&id))).await?;
    host.stop().await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_machine_that_does_not_answer_degrades_its_module_and_does_not_delay_the_start() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::run(&home, serve_with(&home, &[])?).await?;
    let key = host.entry("linux-busybox", |_| true).await?.entry.sha256;
    let accepted = good(host.post(&paths::entry_boot(&key), &json!({"memory": "256M", "cpus": 1}))).await?;
    let id = accepted.json::<BootAccepted>().await?.machine_id;
    until("it runs", async || {
        let machine: Machine = good(host.get(&paths::machine(&id))).await?.json().await?;
        Ok((machine.stage == Some(BootStage::Kernel)).then_some(()))
    })
    .await?;
    host.stop().await?;
    let process = home.processes()?.into_iter().find(|process| process.command.contains(" machine --dir"));
    let process = process.context("the machine outlives the backend")?.id;
    kill(process, Signal::SIGSTOP)?;
    let host = Serve::start(&home, &[]).await?;
    let health = host.module("machines").await?;
    let silent =
        health.iter().filter_map(|row| row.problem.as_ref()).any(|problem| problem.code == ProblemCode::MachineSilent);
    ensure!(silent && health.iter().all(|row| row.state == HealthStatus::Degraded), "{health:?}");
    host.stop().await?;
    kill(process, Signal::SIGCONT)?;
    let host = Serve::start(&home, &[]).await?;
    is_ok(&host).await?;
    good(host.request(reqwest::Method::POST, &paths::machine_stop(&id))).await?;
    host.stop().await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_missing_or_old_program_is_named_and_versions_compare_as_numbers() -> Result<()> {
    let home = Home::new()?;
    let folder = fake_qemu(&home, "5.2.0")?;
    let host = Serve::run(&home, serve_with(&home, &[("PATH", &folder)])?).await?;
    // Users who are not root also lack fusermount3, which is not in that folder.
    let of_qemu = async || -> Result<Option<Problem>> {
        let problems = host.module("machines").await?.into_iter().filter_map(|row| row.problem);
        Ok(problems.into_iter().find(|problem| problem.what.contains("QEMU")))
    };
    let old = of_qemu().await?.context("5.2 is too old")?;
    ensure!(
        old.code == ProblemCode::DependencyMissing && old.why.contains("6.0") && old.why.contains("5.2.0"),
        "{old}"
    );
    fake_qemu(&home, "10.0.0 ")?;
    ensure!(of_qemu().await?.is_none(), "10 is more than 6, and no new start is needed to see it");
    fs::remove_dir_all(&folder)?;
    let missing = of_qemu().await?.context("it is missing")?;
    ensure!(missing.fix.contains("apt install qemu-system"), "{missing}");
    host.entry("linux-busybox", |_| true).await?;
    host.stop().await
}

#[tokio::test]
async fn a_damaged_index_is_made_again_and_damaged_servers_are_not_touched() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::start(&home, &[]).await?;
    host.add_server("http://127.0.0.1:9", "Office").await?;
    host.stop().await?;
    let database = |name: &str| home.path().join(format!("state/pixelrts/{name}.sqlite3"));
    for name in ["cache", "catalog"] {
        fs::write(database(name), "damaged")?;
    }
    let host = Serve::start(&home, &[]).await?;
    ensure!(host.module("cache").await?[0].state == HealthStatus::Ok);
    let servers = good(host.get(paths::SERVERS)).await?.text().await?;
    ensure!(servers.contains("Office"), "{servers}");
    host.stop().await?;
    ensure!(fs::read_to_string(database("cache").with_extension("sqlite3.damaged"))? == "damaged");

    fs::write(database("servers"), "damaged")?;
    let problem = refused(&home, 1).await?;
    let named = problem.why.contains(&*database("servers").to_string_lossy());
    ensure!(named && problem.fix.contains("mv ") && problem.code == ProblemCode::StorageFailed, "{problem}");
    ensure!(fs::read_to_string(database("servers"))? == "damaged");
    Ok(())
}

/// Checks that databases are sound, that nothing is half written, and that a backend is healthy.
async fn is_whole(home: &Home) -> Result<()> {
    let host = Serve::start(home, &[]).await?;
    is_ok(&host).await?;
    host.stop().await?;
    for name in ["cache", "catalog", "personal", "servers"] {
        let sql = rusqlite::Connection::open(home.path().join(format!("state/pixelrts/{name}.sqlite3")))?;
        let said: String = sql.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
        ensure!(said == "ok", "{name}: {said}");
    }
    let found = snapshot(home)?;
    for path in found.keys() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ensure!(!name.starts_with('.') && !name.ends_with(".damaged"), "{}", path.display());
    }
    ensure!(found.len() == MADE.len() - 2, "{found:?}");
    Ok(())
}

#[tokio::test]
async fn a_start_that_is_killed_at_any_moment_is_repaired_by_the_next() -> Result<()> {
    let home = Home::new()?;
    let began = Instant::now();
    let host = Serve::start(&home, &[]).await?;
    // The bootstrap phase is somewhere in this time.
    let cold = began.elapsed();
    host.stop().await?;
    wipe(&home);
    let (mut seed, mut within) = (7_u64, 0);
    for round in 1..=40 {
        let mut serve = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut serve = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // This waits for an amount of time on purpose: the kill should come at any moment.
        tokio::time::sleep(cold.mul_f64((seed >> 33) as f64 / f64::from(1_u32 << 31))).await;
        serve.kill().await?;
        let made = MADE.iter().filter(|made| home.path().join(made).exists()).count();
        within += usize::from(made > 0 && made < MADE.len());
        // Sometimes the next round continues from what is half made. Once everything is made, there is nothing to interrupt.
        if made == MADE.len() || round % 4 == 0 {
            is_whole(&home).await.with_context(|| format!("after round {round}"))?;
            wipe(&home);
        }
    }
    ensure!(within > 0, "no kill fell into the phase, cold starts take {cold:?}");
    Ok(())
}

#[tokio::test]
async fn programs_that_start_at_once_do_not_disturb_each_other() -> Result<()> {
    let home = Home::new()?;
    for _ in 0..5 {
        wipe(&home);
        let fetch = || home.run(&["--json", "fetch", "no-such-image"]);
        let (host, first, second, third) = tokio::join!(Serve::start(&home, &[]), fetch(), fetch(), fetch());
        is_ok(&host?).await?;
        for fetched in [first, second, third] {
            let fetched: Finished = fetched?;
            ensure!(fetched.problem(3)?.code == ProblemCode::EntryNotFound);
        }
    }
    Ok(())
}
