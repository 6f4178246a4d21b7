//! `pixelrts mount` and `umount`: an image as files, for as long as somebody wants them, and nothing after that.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_tests::{Home, LINUX, sample, sha256, until};
use serde_json::Value;

/// Mounts the sample, and gives what the command said.
async fn mounted(home: &Home, dir: &Path) -> Result<Value> {
    let arguments = ["--json".into(), "mount".into(), sample(LINUX)?.into_os_string(), dir.into()];
    Ok(serde_json::from_str(&home.run(&arguments).await?.good()?)?)
}

async fn umount(home: &Home, dir: &Path) -> Result<pixelrts_tests::Finished> {
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
    let second = home.run(&["--json".as_ref(), "mount".as_ref(), sample(LINUX)?.as_os_str(), dir.as_os_str()]).await?;
    second.problem(6)?;
    drop(open);
    umount(&home, &dir).await?.good()?;
    ensure!(std::fs::read_dir(&dir)?.next().is_none(), "files are left");
    umount(&home, &dir).await?.problem(3)?;
    home.expect_no_machine().await
}

#[tokio::test]
async fn a_mount_whose_process_was_killed_is_replaced() -> Result<()> {
    let home = Home::new()?;
    let dir = home.path().join("mnt");
    let said = mounted(&home, &dir).await?;
    kill(Pid::from_raw(i32::try_from(said["pid"].as_i64().unwrap_or_default())?), Signal::SIGKILL)?;
    until("the files are gone", async || Ok(std::fs::read_dir(&dir).is_err().then_some(()))).await?;
    mounted(&home, &dir).await?;
    ensure!(dir.join("kernel").is_file());
    umount(&home, &dir).await?.good()?;
    home.expect_no_machine().await
}

#[tokio::test]
async fn in_the_foreground_it_ends_with_the_mount_and_the_mount_with_it() -> Result<()> {
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

/// In a mount namespace of its own, where the device is open to all, as distributions make it.
#[tokio::test]
async fn a_user_without_rights_mounts_through_the_helper() -> Result<()> {
    const SCRIPT: &str = r#"set -eu
        mknod "$HOME/fuse" c 10 229 && chmod 666 "$HOME/fuse" && mount --bind "$HOME/fuse" /dev/fuse
        nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
        nobody "$HOME/pixelrts" mount "$HOME/image.rts.png" "$HOME/mnt"
        grep "$HOME/mnt .*user_id=65534" /proc/self/mountinfo
        nobody sha256sum "$HOME/mnt/kernel"
        nobody "$HOME/pixelrts" umount "$HOME/mnt"
        ! grep "$HOME/mnt" /proc/self/mountinfo"#;
    let home = Home::new()?;
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777))?;
    std::fs::copy(sample(LINUX)?, home.path().join("image.rts.png"))?;
    // The binary may lie where this user cannot go.
    std::fs::copy(std::env::var("PIXELRTS_BIN")?, home.path().join("pixelrts"))?;
    let mut command = tokio::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT]).env("HOME", home.path()).env_remove("XDG_RUNTIME_DIR");
    let output = tokio::time::timeout(pixelrts_tests::DEADLINE, command.kill_on_drop(true).output()).await??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(said.contains("is mounted at") && said.contains("is unmounted"), "{said}");
    home.expect_no_machine().await
}
