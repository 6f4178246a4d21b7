//! `cargo xtask image`: the container image of the backend, made from this system's own packages without a registry.
//!
//! There are two steps, because they change at different times. debootstrap makes the root file system (QEMU, FUSE and
//! what they need), which is kept as a tarball. It is made again when its list of packages changes; remove
//! `target/image` to get newer packages. The second step adds the binary.
//! The root file system is of this system's release, because the binary is linked against this system's libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::build::{self, BINARY};
use crate::command::{finish, output};
use crate::steps::Steps;
use crate::tools::{self, Purpose};

/// The name that the backend's settings have by default.
const TAG: &str = "localhost/pixelrts:latest";
const FOLDER: &str = "target/image";
const PACKAGES: &str = if cfg!(target_arch = "aarch64") {
    "qemu-system-arm,fuse3,ca-certificates"
} else {
    "qemu-system-x86,fuse3,ca-certificates"
};
/// What nobody reads in a container. It is half of what debootstrap makes.
const DROPPED: &str = "usr/share/doc usr/share/man usr/share/locale usr/share/info usr/share/lintian var/cache/apt \
    var/cache/debconf var/lib/apt/lists var/log";

/// Settings for podman without systemd and without its events journal, as in many containers that run tests.
const CONTAINERS_CONF: &str = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
    [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";

pub(crate) fn image(steps: &mut Steps) -> Result<()> {
    tools::ensure(steps, Purpose::Image)?;
    build::parts(steps)?;
    let program = engine()?;
    make(steps, program)?;
    match probe(program)? {
        Containers::Run(_) => Ok(()),
        Containers::CannotRun(why) => bail!("{program} cannot start a container here: {why}"),
    }
}

/// Whether a container engine can start containers on this computer.
#[derive(Debug)]
pub(crate) enum Containers {
    /// It can; where that takes other settings than the engine's own, with this file in `CONTAINERS_CONF`.
    Run(Option<PathBuf>),
    /// It cannot, and this is what it says.
    CannotRun(String),
}

/// Makes the image with an engine that may not work here, and finds out whether it can start containers. Only an image
/// that cannot be made by an engine that works is an error.
pub(crate) fn make_where_possible(steps: &mut Steps, program: &str) -> Result<Containers> {
    let info = Command::new(program).arg("info").stdout(Stdio::null()).output().with_context(|| program.to_owned())?;
    if !info.status.success() {
        return Ok(Containers::CannotRun(String::from_utf8_lossy(&info.stderr).trim().to_owned()));
    }
    make(steps, program)?;
    probe(program)
}

/// Makes the image from the binary that is built, with the container engine `program`.
fn make(steps: &mut Steps, program: &str) -> Result<()> {
    let root = root(steps)?;
    steps.run("make the container image", || {
        let old = inspect(program, "{{.Id}}");
        import(program, &root)?;
        if let Some(old) = old {
            // This fails while a container uses the old image; then the old image stays.
            let _ = output(program, &["image", "rm", &old]);
        }
        let size = inspect(program, "{{.Size}}").unwrap_or_default();
        println!("    {TAG}: {} MB, in {program}", size.parse::<u64>().unwrap_or_default() / 1_000_000);
        Ok(())
    })
}

fn inspect(program: &str, what: &str) -> Option<String> {
    output(program, &["image", "inspect", "--format", what, TAG])
}

/// The tarball of the root file system, made when it is missing or stale.
fn root(steps: &mut Steps) -> Result<PathBuf> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let suite = suite
        .context("/etc/os-release has no VERSION_CODENAME: the image can only be made on Debian and its relatives")?;
    let sources = sources(suite);
    let mirror =
        sources.lines().find_map(|line| line.split(' ').nth(1)).context("apt-get has no source of packages")?;
    let (tarball, stamp) = (Path::new(FOLDER).join("root.tar"), Path::new(FOLDER).join("root.of"));
    let of = format!("{PACKAGES}\nwithout {DROPPED}\n{sources}");
    if tarball.is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == of) {
        return Ok(tarball);
    }
    steps.run("make the container's root file system", || {
        let root = Path::new(FOLDER).join("root");
        for left in [&stamp, &tarball] {
            if left.exists() {
                fs::remove_file(left)?;
            }
        }
        // The files belong to root, so only root can remove them.
        let remove = || finish(tools::as_root("rm")?.args(["-rf", "--one-file-system"]).arg(&root));
        remove()?;
        fs::create_dir_all(FOLDER)?;
        let log = fs::File::create(Path::new(FOLDER).join("root.log"))?;
        let logged = |command: &mut Command| {
            finish(command.stdout(log.try_clone()?)).with_context(|| format!("see {FOLDER}/root.log"))
        };
        let mut debootstrap = tools::as_root("debootstrap")?;
        debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), suite]).arg(&root).arg(mirror);
        logged(&mut debootstrap)?;
        // Security updates are in an archive of their own, which debootstrap does not read.
        let list = Path::new(FOLDER).join("sources.list");
        fs::write(&list, &sources)?;
        finish(tools::as_root("cp")?.arg(&list).arg(root.join("etc/apt/sources.list")))?;
        for work in [&["update"][..], &["upgrade", "-y", "--no-install-recommends"]] {
            let mut apt = tools::as_root("chroot")?;
            apt.arg(&root).args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(work);
            logged(&mut apt)?;
        }
        let mut tar = tools::as_root("tar")?;
        tar.args(["--create", "--numeric-owner", "--file"]).arg(&tarball).arg("--directory").arg(&root);
        finish(tar.args(DROPPED.split(' ').map(|path| format!("--exclude=./{path}/*"))).arg("."))?;
        remove()?;
        Ok(fs::write(&stamp, of)?)
    })?;
    Ok(tarball)
}

/// Where this system's own packages of `suite` come from, as lines of a `sources.list`. The release itself is first.
fn sources(suite: &str) -> String {
    let format = "deb $(REPO_URI) $(CODENAME) $(COMPONENT)";
    let all = output("apt-get", &["indextargets", "--format", format, "Created-By: Packages"]).unwrap_or_default();
    let codename = |line: &&str| line.split(' ').nth(2).is_some_and(|name| name.split('-').next() == Some(suite));
    let mut lines: Vec<_> = all.lines().filter(codename).collect();
    lines.sort_by_key(|line| (line.split(' ').nth(2).map(str::len), *line));
    lines.dedup();
    lines.join("\n") + "\n"
}

/// Adds the binary to the root file system and imports both into the engine.
fn import(program: &str, root: &Path) -> Result<()> {
    let tarball = Path::new(FOLDER).join("image.tar");
    fs::copy(root, &tarball).context("copying the root file system")?;
    let binary = Path::new(BINARY);
    let folder = binary.parent().context("the binary is in a folder")?;
    finish(
        Command::new("tar")
            .arg("--append")
            .arg("--file")
            .arg(&tarball)
            .args(["--owner=0", "--group=0", "--numeric-owner", "--transform=s,^,./usr/bin/,", "--directory"])
            .arg(folder)
            .arg("pixelrts"),
    )?;
    let change = "ENTRYPOINT [\"/usr/bin/pixelrts\"]";
    finish(Command::new(program).args(["import", "--change", change]).arg(&tarball).arg(TAG).stdout(Stdio::null()))?;
    Ok(fs::remove_file(tarball)?)
}

/// The container engine that `pixelrts up` chooses too.
fn engine() -> Result<&'static str> {
    if output("docker", &["version", "--format", "{{.Server.Version}}"]).is_some() {
        return Ok("docker");
    }
    ensure!(output("podman", &["info"]).is_some(), "neither docker nor podman works here; `podman info` may say why");
    Ok("podman")
}

/// Starts a container to see whether that works: with the engine's own settings first, then with ours.
fn probe(program: &str) -> Result<Containers> {
    let conf = crate::root().join(FOLDER).join("containers.conf");
    fs::create_dir_all(crate::root().join(FOLDER))?;
    fs::write(&conf, CONTAINERS_CONF)?;
    let mut said = String::new();
    for settings in [None, Some(conf)] {
        let mut command = Command::new(program);
        command.args(["run", "--rm", TAG, "--version"]);
        if let Some(conf) = &settings {
            command.env("CONTAINERS_CONF", conf);
        }
        let output = command.output()?;
        if output.status.success() {
            if let Some(conf) = &settings {
                println!("    {program} cannot start a container here with its own settings, but it can with these:");
                println!("    export CONTAINERS_CONF={}", conf.display());
            }
            return Ok(Containers::Run(settings));
        }
        said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    }
    Ok(Containers::CannotRun(said))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A container engine that is made of these lines of a shell.
    fn engine(lines: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("engine");
        fs::write(&program, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let name = program.to_string_lossy().into_owned();
        (folder, name)
    }

    #[test]
    fn an_engine_that_cannot_work_here_is_no_error_and_makes_no_image() {
        let (_folder, program) = engine("echo no user namespaces >&2; exit 125");
        let found = make_where_possible(&mut Steps::new(), &program).unwrap();
        assert!(matches!(&found, Containers::CannotRun(why) if why == "no user namespaces"), "{found:?}");
    }

    #[test]
    fn an_engine_that_starts_containers_only_with_our_settings_gets_them() {
        let (_folder, program) = engine("exit 0");
        assert!(matches!(probe(&program).unwrap(), Containers::Run(None)));
        let (_folder, program) = engine("[ -n \"$CONTAINERS_CONF\" ] || exit 1");
        let Containers::Run(Some(settings)) = probe(&program).unwrap() else { panic!("settings are needed") };
        assert_eq!(fs::read_to_string(settings).unwrap(), CONTAINERS_CONF);
        let (_folder, program) = engine("echo no cgroup >&2; exit 126");
        let found = probe(&program).unwrap();
        assert!(matches!(&found, Containers::CannotRun(why) if why == "no cgroup"), "{found:?}");
    }
}
