//! `pixelrts samples` makes whole images, the same every time, and leaves no half image after an interruption.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_tests::{DEADLINE, Home, LINUX, packages, sample};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::test]
async fn every_sample_passes_verification() -> Result<()> {
    let home = Home::new()?;
    for file in [LINUX, "debian-installer.rts.png"] {
        home.run(&["verify".as_ref(), sample(file)?.as_os_str(), "--deep".as_ref()]).await?.good()?;
    }
    Ok(())
}

#[tokio::test]
async fn an_interruption_leaves_no_half_image_and_a_second_run_gives_the_same_bytes() -> Result<()> {
    let home = Home::new()?;
    lend_packages(&home)?;
    let folder = home.path().join("images");

    let mut command = home.command(&["samples".as_ref(), folder.as_os_str()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no output")?).lines();
    while !lines.next_line().await?.context("it ended too early")?.starts_with("Packing") {}
    kill(Pid::from_raw(i32::try_from(child.id().context("it ended")?)?), Signal::SIGINT)?;
    // The pipe must stay open for what the command still prints.
    while lines.next_line().await?.is_some() {}
    let status = tokio::time::timeout(DEADLINE, child.wait()).await??;
    ensure!(status.code() == Some(130), "{status}");
    for image in images(&folder) {
        home.run(&["verify".as_ref(), image.as_os_str()]).await?.good()?;
    }

    let made = home.run(&["--json".as_ref(), "samples".as_ref(), folder.as_os_str()]).await?.good()?;
    let made: serde_json::Value = serde_json::from_str(&made)?;
    ensure!(made["samples"][0]["path"] == folder.join(LINUX).to_string_lossy().into_owned(), "{made}");
    ensure!(images(&folder).len() == 2, "{:?}", images(&folder));
    ensure!(std::fs::read(folder.join(LINUX))? == std::fs::read(sample(LINUX)?)?, "the same packages, other bytes");
    let leftovers: Vec<_> = std::fs::read_dir(home.path().join("cache/pixelrts/samples"))?.flatten().collect();
    ensure!(leftovers.iter().all(|one| one.path().extension().is_some_and(|e| e == "deb")), "{leftovers:?}");
    Ok(())
}

/// All files of a folder, finished or not.
fn images(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The packages that the samples were made of, so that they are not downloaded again.
fn lend_packages(home: &Home) -> Result<()> {
    let target = home.path().join("cache/pixelrts/samples");
    std::fs::create_dir_all(&target)?;
    for package in packages()? {
        std::fs::copy(&package, target.join(package.file_name().context("a file has a name")?))?;
    }
    Ok(())
}
