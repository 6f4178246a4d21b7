//! What a person sees while something around PixelRTS is missing: a server that is gone, a proxy that is dead, a clock
//! that is wrong, a disk that is full, a folder that hangs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::machine::BootAccepted;
use pixelrts_shared::{ProblemCode, paths};
use pixelrts_testing::fault_server::FaultServer;
use pixelrts_tests::{Console, Finished, Home, LINUX, Serve, SmallDisk, good, sample, skip, until};
use serde_json::{Value, json};
use tokio::process::Command;

const MIB: u64 = 1 << 20;

fn server() -> Result<FaultServer> {
    Ok(FaultServer::start(fs::read(sample(LINUX)?)?))
}

async fn finish(mut command: Command) -> Result<Finished> {
    let ended = tokio::time::timeout(pixelrts_tests::DEADLINE, command.stdin(Stdio::null()).output());
    ended.await.context("the command does not end")??.try_into()
}

#[tokio::test]
async fn an_address_is_fetched_once_and_boots_when_its_server_is_gone() -> Result<()> {
    let (home, server) = (Home::new()?, server()?);
    let address = server.image("ok");
    home.run(&["--quiet", "fetch", &address]).await?.good()?;
    let sent = server.image_bytes("ok");
    home.run(&["--quiet", "fetch", &address]).await?.good()?;
    ensure!(server.image_bytes("ok") == sent, "the second time sent bytes: {:?}", server.image_requests("ok"));
    drop(server);
    let mut console = Console::boot(&home, &[&address])?;
    console.expect("pixelrts# ").await?;
    console.type_line("poweroff -f").await?;
    console.end().await?;
    let says = home.run(&["fetch", &address]).await?;
    ensure!(says.code == Some(0) && says.stderr.contains("cop"), "it says that it uses the copy: {says:?}");
    home.expect_nothing_left().await
}

/// No backend ever runs here: commands alone remember what servers list.
#[tokio::test]
async fn an_image_is_found_by_id_and_name_when_its_server_is_gone_or_removed() -> Result<()> {
    let (home, server) = (Home::new()?, server()?);
    home.run(&["servers", "add", &server.base("ok"), "--name", "office"]).await?.good()?;
    home.run(&["--quiet", "fetch", "five"]).await?.good()?;
    let fetched = home.run(&["--json", "fetch", "five"]).await?;
    ensure!(!fetched.stderr.contains("copy"), "its server answers: {fetched:?}");
    let name: Value = serde_json::from_str(&fetched.good()?)?;
    let name = name["name"].as_str().context("it has a name")?.to_owned();
    drop(server);
    let listed = home.run(&["catalog", "ls"]).await?.good()?;
    ensure!(listed.contains("five"), "the catalog is kept without a backend: {listed}");
    for removed in [false, true] {
        if removed {
            home.run(&["servers", "rm", "office"]).await?.good()?;
        }
        for key in ["five", "five@office", &name] {
            let found = home.run(&["fetch", key]).await?;
            ensure!(found.code == Some(0) && found.stderr.contains("copy in the cache"), "{removed} {key}: {found:?}");
        }
        home.run(&["boot", "five", "--dry-run"]).await?.good()?;
        home.run(&["--json", "fetch", "six"]).await?.problem(3)?;
    }
    let host = Serve::start(&home, &[]).await?;
    let found = home.run(&["fetch", "five"]).await?;
    ensure!(found.code == Some(0) && found.stderr.contains("copy in the cache"), "with a backend: {found:?}");
    host.stop().await
}

#[tokio::test]
async fn the_own_backend_is_never_asked_through_a_proxy() -> Result<()> {
    let home = Home::new()?;
    let (server_home, images) = (Home::new()?, sample(LINUX)?);
    let catalog = Serve::catalog(&server_home, images.parent().context("a file is in a folder")?).await?;
    let host = Serve::start(&home, &[]).await?;
    host.add_server(&catalog.url, "Next door").await?;
    host.entry("linux-busybox", |_| true).await?;
    let mut fetch = home.command(&["--quiet", "fetch", "linux-busybox"]);
    for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"] {
        fetch.env(variable, "http://127.0.0.1:9");
    }
    finish(fetch).await?.good()?;
    ensure!(home.cached().len() == 1, "{:?}", home.cached());
    Ok(())
}

#[tokio::test]
async fn a_secret_in_an_address_is_shown_nowhere() -> Result<()> {
    let (home, server) = (Home::new()?, server()?);
    let address = server.image("e404").replace("http://", "http://alice:s3cret@");
    let address = format!("{address}?X-Amz-Signature=SIGNATURE&token=T0KEN");
    let mut said = String::new();
    for arguments in [["-v", "fetch", &address], ["--json", "fetch", &address]] {
        let finished = home.run(&arguments).await?;
        ensure!(finished.code == Some(4), "{finished:?}");
        said += &format!("{finished:?}\n");
    }
    let host = Serve::start(&home, &["-v"]).await?;
    let accepted: BootAccepted = good(host.post("/api/v1/boot", &json!({"source": address}))).await?.json().await?;
    until("the machine has failed", async || {
        let machine: Value = good(host.get(&paths::machine(&accepted.machine_id))).await?.json().await?;
        Ok((machine["state"] == "failed").then_some(()))
    })
    .await?;
    for path in ["/api/v1/machines", "/api/v1/downloads", "/api/v1/servers", "/api/v1/catalog/remote"] {
        said += &good(host.get(path)).await?.text().await?;
    }
    let refused = host.post("/api/v1/servers", &json!({"url": address})).send().await?;
    said += &refused.text().await?;
    said += &host.said()?;
    for secret in ["s3cret", "SIGNATURE", "T0KEN"] {
        ensure!(!said.contains(secret), "{secret} is in {said}");
    }
    ensure!(said.contains("127.0.0.1"), "the address itself is named: {said}");
    Ok(())
}

/// A variable that lets a program believe that it is another time.
fn with_clock(command: &mut Command, offset: &str) -> Result<()> {
    let library = glob("/usr/lib", "libfaketime.so.1").context("libfaketime is missing: run `cargo xtask test`")?;
    command.env("LD_PRELOAD", library).env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// A file below the folder of this architecture.
fn glob(folder: &str, name: &str) -> Option<PathBuf> {
    let folders = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join("faketime").join(name)).find(|path| path.is_file())
}

#[tokio::test]
async fn what_cannot_be_had_again_stays_whatever_the_clock_says() -> Result<()> {
    let (home, server) = (Home::new()?, server()?);
    let fetch = || {
        let mut fetch = home.command(&["--quiet", "fetch", "five"]);
        fetch.env("PIXELRTS_SERVERS", server.base("ok"));
        fetch
    };
    finish(fetch()).await?.good()?;
    let base = server.base("ok");
    drop(server);
    for offset in ["+2y", "-2y", "+0"] {
        let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.env("PIXELRTS_SERVERS", &base);
        with_clock(&mut command, offset)?;
        let host = Serve::run(&home, command).await?;
        let cache: Value = good(host.get("/api/v1/cache")).await?.json().await?;
        host.stop().await?;
        ensure!(cache["items"].as_array().is_some_and(|items| items.len() == 1), "{offset}: {cache}");
        ensure!(home.cached().len() == 1, "{offset}: {:?}", home.cached());
    }
    Ok(())
}

#[tokio::test]
async fn without_certificate_authorities_plain_http_works() -> Result<()> {
    if !geteuid().is_root() {
        skip("root", "only root may hide files in a mount namespace of its own");
        return Ok(());
    }
    let (home, server) = (Home::new()?, server()?);
    let inside = |source: &str| {
        let plain = home.command(&["--json", "fetch", source]);
        let mut command = Command::new("unshare");
        let hide = "for d in /etc/ssl /usr/lib/ssl /usr/share/ca-certificates /etc/pki; do \
                    [ ! -d $d ] || mount -t tmpfs none $d; done; exec \"$0\" \"$@\"";
        command.args(["--mount", "sh", "-c", hide]).arg(plain.as_std().get_program()).args(plain.as_std().get_args());
        for (key, value) in plain.as_std().get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command.current_dir(home.path()).kill_on_drop(true);
        command
    };
    finish(inside(&server.image("ok"))).await?.good()?;
    Ok(())
}

#[tokio::test]
async fn a_download_goes_on_when_a_full_disk_has_room_again() -> Result<()> {
    let (home, server) = (Home::new()?, server()?);
    let Some(disk) = SmallDisk::at(home.path().join("cache"), server.size() / MIB + 12)? else {
        skip("root", "only root may mount a small disk");
        return Ok(());
    };
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![1; 16 << 20])?;
    let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("PIXELRTS_SERVERS", server.base("ok"));
    let host = Serve::run(&home, command).await?;
    host.entry("five", |_| true).await?;
    let started: Download = good(host.post(paths::DOWNLOADS, &json!({"key": server.sha256()}))).await?.json().await?;
    let now = async || -> Result<Download> {
        let all: Vec<Download> = good(host.get(paths::DOWNLOADS)).await?.json().await?;
        all.into_iter().find(|download| download.id == started.id).context("the download is not listed")
    };
    until("the download says that the disk is full", async || {
        let full = now().await?.problem.is_some_and(|problem| problem.code == ProblemCode::StorageFull);
        Ok(full.then_some(()))
    })
    .await?;
    ensure!(now().await?.stage != DownloadStage::Failed, "it waits for room: {:?}", now().await?);
    fs::remove_file(filler)?;
    until("the download is complete", async || Ok((now().await?.stage == DownloadStage::Cached).then_some(()))).await?;
    host.stop().await?;
    ensure!(home.cached().len() == 1, "{:?}", home.cached());
    Ok(())
}

#[tokio::test]
async fn endless_bytes_do_not_take_the_room_of_the_next_image() -> Result<()> {
    let (home, server) = (Home::new()?, server()?);
    let Some(_disk) = SmallDisk::at(home.path().join("cache"), server.size() / MIB + 20)? else {
        skip("root", "only root may mount a small disk");
        return Ok(());
    };
    for fault in ["endless", "chunkedendless"] {
        let refused = home.run(&["--json", "fetch", &server.image(fault)]).await?;
        ensure!(refused.code != Some(0), "{fault}: {refused:?}");
    }
    home.run(&["--quiet", "fetch", &server.image("ok")]).await?.good()?;
    ensure!(home.cached().len() == 1, "{:?}", home.cached());
    Ok(())
}

/// A folder whose file system does not answer: our own mount of an image, whose process is stopped.
struct HungFolder {
    process: Pid,
    folder: PathBuf,
}

impl HungFolder {
    async fn at(home: &Home, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let image = sample(LINUX)?;
        let mut child = home.command(&["mount", &image.to_string_lossy(), &folder.to_string_lossy(), "--foreground"]);
        let child = child.stdin(Stdio::null()).kill_on_drop(false).spawn()?;
        let process = Pid::from_raw(i32::try_from(child.id().context("the mount has ended")?)?);
        let this = Self { process, folder: folder.to_owned() };
        until("the image is mounted", async || Ok(folder.join("metadata.json").exists().then_some(()))).await?;
        kill(process, Signal::SIGSTOP)?;
        Ok(this)
    }
}

impl Drop for HungFolder {
    fn drop(&mut self) {
        // The kernel answers those who wait as soon as the process is gone.
        let _ = kill(self.process, Signal::SIGKILL);
        let _ = umount2(&self.folder, MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn a_folder_that_hangs_hides_no_other_and_holds_nothing_up() -> Result<()> {
    let (home, mount_home) = (Home::new()?, Home::new()?);
    let (good_folder, bad_folder) = (home.path().join("good"), home.path().join("bad"));
    fs::create_dir(&good_folder)?;
    fs::copy(sample(LINUX)?, good_folder.join(LINUX))?;
    let hung = HungFolder::at(&mount_home, &bad_folder).await?;
    let folders = [&bad_folder, &good_folder].map(|folder| folder.to_string_lossy().into_owned());
    let since = Instant::now();
    let host = Serve::start(&home, &["--catalog", &folders[0], "--catalog", &folders[1]]).await?;
    host.entry("linux-busybox", |_| true).await?;
    ensure!(host.own_catalog().await?.entries.len() == 1, "the other folder is served");
    ensure!(since.elapsed() < Duration::from_secs(20), "it took {:?}", since.elapsed());
    until("health names the folder that hangs", async || {
        let modules = host.module("catalog").await?;
        Ok(modules.iter().any(|module| format!("{module:?}").contains(&folders[0])).then_some(()))
    })
    .await?;
    let since = Instant::now();
    host.stop().await?;
    ensure!(since.elapsed() < Duration::from_secs(20), "it ended after {:?}", since.elapsed());
    drop(hung);
    Ok(())
}

#[tokio::test]
async fn an_entry_that_is_booted_in_the_first_moment_is_not_unknown() -> Result<()> {
    let home = Home::new()?;
    let images = home.path().join("images");
    fs::create_dir(&images)?;
    fs::copy(sample(LINUX)?, images.join(LINUX))?;
    let host = Serve::start_without_asking(&home, &["--catalog", &images.to_string_lossy()]).await?;
    let reply = host.post("/api/v1/catalog/linux-busybox/boot", &json!({"memory": "256M"})).send().await?;
    let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
    ensure!(
        status == 202 || (status == 503 && headers.contains_key("retry-after")),
        "{status}: {}",
        reply.text().await?
    );
    if status == 202 {
        let accepted: BootAccepted = reply.json().await?;
        good(host.request(reqwest::Method::DELETE, &paths::machine(&accepted.machine_id))).await?;
    }
    host.stop().await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_download_ends_with_the_machine_that_asked_for_it() -> Result<()> {
    let (home, server) = (Home::new()?, server()?);
    let host = Serve::start(&home, &[]).await?;
    let fault = "rate/200000";
    let source = json!({"source": server.image(fault)});
    let accepted: BootAccepted = good(host.post("/api/v1/boot", &source)).await?.json().await?;
    until("bytes arrive", async || Ok((server.image_bytes(fault) > 0).then_some(()))).await?;
    good(host.request(reqwest::Method::DELETE, &paths::machine(&accepted.machine_id))).await?;
    until("the download has ended", async || {
        let all: Vec<Download> = good(host.get(paths::DOWNLOADS)).await?.json().await?;
        Ok(all.iter().all(|download| download.stage.is_over()).then_some(()))
    })
    .await?;
    let sent = server.image_bytes(fault);
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(server.image_bytes(fault) <= sent + 20_000, "bytes still flow");
    host.stop().await
}
