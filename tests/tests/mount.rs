//! `pixelrts mount` and `umount`: an image appears as files, and nothing is left after it is unmounted.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use pixelrts_tests::{Finished, Home, LINUX, Serve, StaticServer, binary, sample, sha256, skip, until};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Mounts the sample.
async fn mount(home: &Home, dir: &Path) -> Result<Finished> {
    home.run(&["--json".into(), "mount".into(), sample(LINUX)?.into_os_string(), dir.into()]).await
}

/// Mounts the sample. Returns what the command printed.
async fn mounted(home: &Home, dir: &Path) -> Result<Value> {
    Ok(serde_json::from_str(&mount(home, dir).await?.good()?)?)
}

/// The process that serves the mount.
fn server(said: &Value) -> Result<Pid> {
    Ok(Pid::from_raw(said["pid"].as_i64().context("it has a process")?.try_into()?))
}

async fn umount(home: &Home, dir: &Path) -> Result<Finished> {
    home.run(&["--json".as_ref(), "umount".as_ref(), dir.as_os_str()]).await
}

#[tokio::test]
async fn the_files_are_there_when_the_command_returns_and_gone_after_umount() -> Result<()> {
    let home = Home::new()?;
    let dir = home.path().join("a folder");
    let said = mounted(&home, &dir).await?;
    ensure!(said["mountpoint"] == dir.to_string_lossy().into_owned() && said["name"] == "linux-busybox", "{said}");
    let inspected = home.run(&["--json".as_ref(), "inspect".as_ref(), sample(LINUX)?.as_os_str()]).await?.good()?;
    let inspected: Value = serde_json::from_str(&inspected)?;
    for name in ["kernel", "initrd"] {
        let digest = sha256(&std::fs::read(dir.join(name))?);
        let segments = inspected["segments"].as_array().cloned().unwrap_or_default();
        ensure!(
            segments.iter().any(|segment| segment["name"] == name && segment["sha256"] == digest),
            "{name}: {digest}"
        );
    }
    let open = std::fs::File::open(dir.join("kernel"))?;
    let busy = umount(&home, &dir).await?.problem(6)?;
    ensure!(busy.fix.contains("--lazy"), "{busy}");
    mount(&home, &dir).await?.problem(6)?;
    drop(open);
    umount(&home, &dir).await?.good()?;
    ensure!(std::fs::read_dir(&dir)?.next().is_none(), "files are left");
    umount(&home, &dir).await?.problem(3)?;
    home.expect_no_machine().await
}

#[tokio::test]
async fn a_mount_whose_process_was_killed_is_replaced_by_whatever_path_it_is_named() -> Result<()> {
    let home = Home::new()?;
    let dir = home.path().join("mnt");
    std::fs::create_dir(home.path().join("other"))?;
    std::os::unix::fs::symlink("mnt", home.path().join("link"))?;
    for name in ["mnt", "link", "other/../mnt"] {
        let name = home.path().join(name);
        kill(server(&mounted(&home, &dir).await?)?, Signal::SIGKILL)?;
        until("the files are gone", async || Ok(std::fs::read_dir(&dir).is_err().then_some(()))).await?;
        let said = mounted(&home, &name).await?;
        ensure!(said["mountpoint"] == dir.to_string_lossy().into_owned(), "{said}");
        ensure!(dir.join("kernel").is_file());
        mount(&home, &name).await?.problem(6)?;
        umount(&home, &name).await?.good()?;
    }
    let nowhere = umount(&home, &home.path().join("none/mnt")).await?.problem(3)?;
    ensure!(nowhere.what.contains("does not exist"), "{nowhere}");
    home.expect_no_machine().await
}

#[tokio::test]
async fn a_mount_that_hangs_blocks_nobody() -> Result<()> {
    let home = Home::new()?;
    let dir = home.path().join("mnt");
    let server = server(&mounted(&home, &dir).await?)?;
    // Another process opens the file before the mount hangs, because closing it could block this one.
    let mut reader = tokio::process::Command::new("sh");
    reader.args(["-c", r#"exec 3<"$0"; echo open; read go; exec cat <&3"#]).arg(dir.join("kernel"));
    let mut reader = reader.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    reader.stdout.as_mut().context("it has an output")?.read_exact(&mut [0; 5]).await?;
    kill(server, Signal::SIGSTOP)?;
    let told = async {
        reader.stdin.as_mut().context("it has an input")?.write_all(b"go\n").await?;
        let stat = format!("/proc/{}/stat", reader.id().context("it runs")?);
        until("it waits for the file", async || Ok(std::fs::read_to_string(&stat)?.contains(") D ").then_some(())))
            .await?;
        reader.start_kill()?;
        tokio::time::timeout(pixelrts_tests::DEADLINE, reader.wait()).await??;
        let hangs = mount(&home, &dir).await?.problem(6)?;
        home.run(&["umount".as_ref(), "--lazy".as_ref(), dir.as_os_str()]).await?.good()?;
        anyhow::Ok(hangs)
    };
    let told = told.await;
    // This comes first, so that every process that still waits for the mount ends.
    kill(server, Signal::SIGKILL)?;
    let told = told?;
    ensure!(told.what.contains("does not respond") && told.fix.contains("--lazy"), "{told}");
    home.expect_no_machine().await
}

#[tokio::test]
async fn an_image_on_a_server_is_fetched_and_mounted() -> Result<()> {
    let (home, server_home) = (Home::new()?, Home::new()?);
    let (image, dir) = (std::fs::read(sample(LINUX)?)?, home.path().join("mnt"));
    let digest = sha256(&image);
    let catalog = Serve::catalog(&server_home, sample(LINUX)?.parent().expect("a file is in a folder")).await?;
    let host = StaticServer::start([(format!("/{LINUX}"), image)].into())?;
    std::fs::create_dir_all(home.path().join("config/pixelrts"))?;
    let config = format!("servers: [{{name: one, url: '{}'}}]\n", catalog.url);
    std::fs::write(home.path().join("config/pixelrts/config.yaml"), config)?;
    for source in ["linux-busybox".to_owned(), format!("{}/{LINUX}", host.url)] {
        let said = home.run(&["--json".as_ref(), "mount".as_ref(), source.as_ref(), dir.as_os_str()]).await?.good()?;
        let said: Value = serde_json::from_str(&said)?;
        ensure!(said["sha256"] == digest, "{said}");
        ensure!(dir.join("kernel").is_file() && home.cached().len() == 1, "{:?}", home.cached());
        umount(&home, &dir).await?.good()?;
        home.expect_no_machine().await?;
        home.cached().into_iter().try_for_each(std::fs::remove_file)?;
    }
    home.run(&["--json", "mount", "no-such-image", "mnt"]).await?.problem(3)?;
    catalog.stop().await
}

#[tokio::test]
async fn a_foreground_mount_ends_when_it_is_unmounted_and_unmounts_when_it_ends() -> Result<()> {
    let home = Home::new()?;
    let dir = home.path().join("mnt");
    let arguments = ["mount".into(), "--foreground".into(), sample(LINUX)?.into_os_string(), dir.clone().into()];
    for end in ["umount", "SIGTERM"] {
        let mut child = home.command(&arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        until("it is mounted", async || Ok(dir.join("kernel").is_file().then_some(()))).await?;
        if end == "umount" {
            umount(&home, &dir).await?.good()?;
        } else {
            kill(Pid::from_raw(i32::try_from(child.id().unwrap_or_default())?), Signal::SIGTERM)?;
        }
        let status = tokio::time::timeout(pixelrts_tests::DEADLINE, child.wait()).await??;
        ensure!(status.success(), "{end}: {status}");
    }
    home.expect_no_machine().await
}

/// This runs in its own mount namespace, where `/dev/fuse` is open to everybody, as in distributions.
#[tokio::test]
async fn a_user_who_is_not_root_mounts_through_fusermount3() -> Result<()> {
    const SCRIPT: &str = r#"set -eu
        mknod "$HOME/fuse" c 10 229 && chmod 666 "$HOME/fuse" && mount --bind "$HOME/fuse" /dev/fuse
        nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
        nobody "$HOME/pixelrts" mount "$HOME/image.rts.png" "$HOME/mnt"
        grep "$HOME/mnt .*user_id=65534" /proc/self/mountinfo
        nobody sha256sum "$HOME/mnt/kernel"
        "$HOME/pixelrts" mount "$HOME/image.rts.png" "$HOME/mnt" && exit 1 || test $? = 6
        nobody sha256sum "$HOME/mnt/kernel"
        nobody "$HOME/pixelrts" umount "$HOME/mnt"
        grep "$HOME/mnt" /proc/self/mountinfo && exit 1
        mkdir "$HOME/roots"
        nobody "$HOME/pixelrts" mount "$HOME/image.rts.png" "$HOME/roots" 2> "$HOME/said" && exit 1
        grep "a folder of your own" "$HOME/said""#;
    if !geteuid().is_root() {
        skip("root", "only root can make a device and become another user");
        return Ok(());
    }
    let home = Home::new()?;
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777))?;
    std::fs::copy(sample(LINUX)?, home.path().join("image.rts.png"))?;
    // The user nobody may not be able to reach the original.
    std::fs::copy(binary()?, home.path().join("pixelrts"))?;
    let mut command = tokio::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT]).env("HOME", home.path()).env_remove("XDG_RUNTIME_DIR");
    let output = tokio::time::timeout(pixelrts_tests::DEADLINE, command.kill_on_drop(true).output()).await??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(said.contains("is mounted at") && said.contains("is unmounted"), "{said}");
    home.expect_no_machine().await
}
