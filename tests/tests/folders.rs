//! Folders of images on disks and shares that hang. The share is a mount of ours whose process is stopped: like a network
//! share whose server is gone, it answers nothing, and every program that asks it waits in the kernel.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_shared::paths;
use pixelrts_tests::{Home, Serve, good, until};
use serde_json::Value;

/// A share with one image, `inner`.
struct Share {
    at: PathBuf,
    server: Pid,
}

impl Share {
    async fn mount(home: &Home, at: PathBuf) -> Result<Self> {
        let kernel = home.path().join("bytes");
        std::fs::write(&kernel, "a kernel of a test")?;
        let (inner, outer) = (home.path().join("inner"), home.path().join("outer"));
        pack(home, &["--kernel".into(), kernel.clone().into()], &inner).await?;
        let disk = format!("inner.rts.png={}", inner.display());
        pack(home, &["--kernel".into(), kernel.into(), "--disk".into(), disk.into()], &outer).await?;
        let arguments = ["--json".as_ref(), "mount".as_ref(), outer.as_os_str(), at.as_os_str()];
        let said: Value = serde_json::from_str(&home.run(&arguments).await?.good()?)?;
        let server = said["pid"].as_i64().context("a mount has a process")?;
        Ok(Self { at, server: Pid::from_raw(i32::try_from(server)?) })
    }

    fn stop(&self) -> Result<()> {
        Ok(kill(self.server, Signal::SIGSTOP)?)
    }

    fn go_on(&self) -> Result<()> {
        Ok(kill(self.server, Signal::SIGCONT)?)
    }
}

/// Every process that waits for the share ends with it.
impl Drop for Share {
    fn drop(&mut self) {
        let _ = kill(self.server, Signal::SIGKILL);
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.at).stderr(Stdio::null()).status();
    }
}

async fn pack(home: &Home, from: &[std::ffi::OsString], to: &Path) -> Result<()> {
    let arguments = [&["pack".into()], from, &["-o".into(), to.into()]].concat();
    home.run(&arguments).await?.good().map(drop)
}

/// A home with a folder of one image, `near`.
async fn home_with_image() -> Result<(Home, PathBuf)> {
    let home = Home::new()?;
    let images = home.path().join("images");
    std::fs::create_dir(&images)?;
    let kernel = home.path().join("bytes");
    std::fs::write(&kernel, "another kernel of a test")?;
    pack(&home, &["--kernel".into(), kernel.into()], &images.join("near.rts.png")).await?;
    Ok((home, images))
}

async fn ids(server: &Serve) -> Result<Vec<String>> {
    Ok(server.own_catalog().await?.entries.iter().map(|entry| entry.id.to_string()).collect())
}

async fn has(server: &Serve, expected: &[&str]) -> Result<()> {
    until(&format!("the images {expected:?}"), async || {
        let found = ids(server).await?;
        ensure!(found == expected, "{found:?}");
        Ok(Some(()))
    })
    .await
}

/// What the health says of the catalog, each as one text.
async fn said(server: &Serve) -> Result<Vec<String>> {
    let rows = server.module("catalog").await?.into_iter();
    Ok(rows.filter_map(|row| row.problem).map(|problem| problem.to_string()).collect())
}

/// The problem of a share is told, and everything else goes on.
async fn goes_on_without(server: &Serve, share: &Share) -> Result<()> {
    let at = share.at.display().to_string();
    until("the health names the share that hangs", async || {
        let said = said(server).await?;
        ensure!(said.iter().any(|text| text.contains(&at) && text.contains("has not answered since 2")), "{said:?}");
        Ok(Some(()))
    })
    .await?;
    has(server, &["near"]).await?;
    let image = server.own_catalog().await?.entries.remove(0);
    let bytes = good(server.get(&paths::image(&image.sha256))).await?.bytes().await?;
    ensure!(bytes.len() as u64 == image.size);
    Ok(())
}

async fn ends_soon(server: Serve) -> Result<()> {
    let asked = Instant::now();
    server.stop().await?;
    ensure!(asked.elapsed() < Duration::from_secs(20), "it took {:?}", asked.elapsed());
    Ok(())
}

fn arguments<'a>(role: &'a str, folders: &[&'a Path]) -> Result<Vec<&'a str>> {
    let mut arguments = vec!["--role", role];
    for folder in folders {
        arguments.extend(["--catalog", folder.to_str().context("a plain path")?]);
    }
    Ok(arguments)
}

#[tokio::test]
async fn a_folder_that_hangs_hides_only_itself_and_comes_back() -> Result<()> {
    let (home, images) = home_with_image().await?;
    let share = Share::mount(&home, home.path().join("share")).await?;
    for role in ["catalog", "shell"] {
        let server = Serve::start(&home, &arguments(role, &[&share.at, &images])?).await?;
        let both = async || has(&server, &["inner", "near"]).await;
        both().await?;
        ensure!(said(&server).await?.is_empty(), "{:?}", said(&server).await?);
        let inner = server.own_catalog().await?.entries.remove(0);
        share.stop()?;
        // This is how the backend learns of it soon: somebody wants an image that is there.
        let asked = Instant::now();
        let refused = server.get(&paths::image(&inner.sha256)).send().await?;
        ensure!(!refused.status().is_success() && asked.elapsed() < Duration::from_secs(20), "{refused:?}");
        goes_on_without(&server, &share).await?;
        share.go_on()?;
        both().await?;
        ensure!(said(&server).await?.is_empty(), "{:?}", said(&server).await?);
        share.stop()?;
        let _ = server.get(&paths::image(&inner.sha256)).send().await?;
        ends_soon(server).await?;
        share.go_on()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_start_does_not_wait_for_a_folder_that_hangs() -> Result<()> {
    let (home, images) = home_with_image().await?;
    let share = Share::mount(&home, home.path().join("share")).await?;
    share.stop()?;
    for role in ["catalog", "shell"] {
        let began = Instant::now();
        let server = Serve::start(&home, &arguments(role, &[&share.at, &images])?).await?;
        ensure!(ids(&server).await? == ["near"], "it waits for what answers");
        ensure!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
        goes_on_without(&server, &share).await?;
        ends_soon(server).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_share_within_a_folder_hides_only_itself() -> Result<()> {
    let (home, images) = home_with_image().await?;
    let share = Share::mount(&home, images.join("share")).await?;
    share.stop()?;
    let server = Serve::start(&home, &arguments("catalog", &[&images])?).await?;
    goes_on_without(&server, &share).await?;
    share.go_on()?;
    has(&server, &["near", "inner"]).await?;
    ends_soon(server).await
}
