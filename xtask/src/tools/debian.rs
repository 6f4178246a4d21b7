//! Packages of the distribution, and commands that need root.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::command::{find, finish, output};

/// Installs packages with `apt-get`; the error names the command to type where that is not possible.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    if find("apt-get").is_none() {
        bail!("there is no apt-get here: install these programs with your package manager, then run this task again");
    }
    let apt = |arguments: &[&str]| {
        let mut command = as_root("env").with_context(|| format!("as root, run:\n  {by_hand}"))?;
        finish(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(arguments))
    };
    // Old lists name packages that are gone. An update may fail without a network while the packages are at hand.
    if let Err(error) = apt(&["update"]) {
        println!("{error}; trying to install all the same");
    }
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
        .with_context(|| format!("as root, run:\n  {by_hand}"))
}

/// Puts the files of a package into a folder, without installing it.
pub(super) fn unpack(package: &str, folder: &Path) -> Result<()> {
    let scratch = folder.with_extension("download");
    std::fs::create_dir_all(&scratch)?;
    let download = || finish(Command::new("apt-get").args(["-q", "download", package]).current_dir(&scratch));
    if download().is_err() {
        // Old lists name packages that are gone.
        finish(as_root("apt-get")?.args(["-q", "update"]))?;
        download()?;
    }
    let found = std::fs::read_dir(&scratch)?.next().context("apt-get downloaded nothing")??.path();
    finish(Command::new("dpkg-deb").arg("-x").arg(found).arg(folder))?;
    std::fs::remove_dir_all(scratch).context("removing the package")
}

/// A command that needs root, through sudo where this is another user.
pub(crate) fn as_root(program: &str) -> Result<Command> {
    let program = find(program).with_context(|| format!("{program} is missing"))?;
    if output("id", &["-u"]).as_deref() == Some("0") {
        return Ok(Command::new(program));
    }
    ensure!(find("sudo").is_some(), "root is needed and there is no sudo");
    let mut command = Command::new("sudo");
    command.arg(program);
    Ok(command)
}
