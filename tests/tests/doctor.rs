//! `pixelrts doctor` finds what is wrong, says what to do, and changes nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_shared::doctor::{Diagnosis, Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode, paths};
use pixelrts_tests::{Home, LINUX, Serve, good, sample, skip, until};

/// Runs the doctor. Returns its exit code and what it found, after checking that both agree.
async fn examine(mut command: tokio::process::Command) -> Result<(i32, Diagnosis)> {
    let output = command.stdin(Stdio::null()).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let diagnosis: Diagnosis =
        serde_json::from_str(&text).with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let code = output.status.code().context("it was killed")?;
    ensure!(code == i32::from(diagnosis.exit_code()) && diagnosis.ok == (code == 0), "exit {code}: {text}");
    for Finding { check, state, says, problem } in &diagnosis.findings {
        ensure!(!says.is_empty() && (*state == FindingState::Ok) == problem.is_none(), "{check}: {text}");
        ensure!(problem.as_ref().is_none_or(|problem| !problem.why.is_empty() && !problem.fix.is_empty()), "{check}");
    }
    Ok((code, diagnosis))
}

async fn doctor(home: &Home) -> Result<(i32, Diagnosis)> {
    examine(home.command(&["--json", "doctor", "--listen", "127.0.0.1:0"])).await
}

fn finding<'a>(diagnosis: &'a Diagnosis, check: &str) -> Result<&'a Finding> {
    let found = diagnosis.findings.iter().find(|finding| finding.check == check);
    found.with_context(|| format!("no {check} in {diagnosis:?}"))
}

fn problem<'a>(diagnosis: &'a Diagnosis, check: &str) -> Result<&'a Problem> {
    let found = finding(diagnosis, check)?;
    found.problem.as_ref().with_context(|| format!("nothing is wrong: {found:?}"))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        }
        found.push(path);
    }
    Ok(found)
}

#[tokio::test]
async fn a_healthy_machine_is_ready_and_stays_as_it_is() -> Result<()> {
    let home = Home::new()?;
    let (code, diagnosis) = doctor(&home).await?;
    ensure!(code == 0, "{diagnosis:?}");
    let used = &finding(&diagnosis, "accel.used")?.says;
    ensure!(used.starts_with("Machines use ") && used.contains(": "), "what is used, and why: {used}");
    let trial = finding(&diagnosis, "fuse.trial")?;
    ensure!(trial.state == FindingState::Ok && trial.says.contains("read and unmounted"), "{trial:?}");
    ensure!(finding(&diagnosis, "qemu.program")?.says.contains("version"), "{diagnosis:?}");
    ensure!(finding(&diagnosis, "qemu.features")?.state == FindingState::Ok, "{diagnosis:?}");
    ensure!(files(home.path())?.is_empty(), "it made {:?}", files(home.path())?);
    for engine in ["docker", "podman"] {
        let found = finding(&diagnosis, &format!("containers.{engine}"))?;
        ensure!(matches!(found.state, FindingState::Ok | FindingState::Note), "{found:?}");
    }
    home.expect_nothing_left().await?;

    let text = home.run(&["doctor", "--listen", "127.0.0.1:0"]).await?.good()?;
    ensure!(
        text.contains("0 errors") && text.trim_end().ends_with("ready to boot") && !text.contains('\x1b'),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn a_container_client_without_its_engine_is_reported() -> Result<()> {
    let home = Home::new()?;
    let client = home.path().join("docker");
    fs::write(&client, "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")?;
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755))?;
    let mut command = home.command(&["--json", "doctor", "--listen", "127.0.0.1:0"]);
    let path = std::env::var("PATH")?;
    command.env("PATH", format!("{}:{path}", home.path().display()));
    let (code, diagnosis) = examine(command).await?;
    let docker = problem(&diagnosis, "containers.docker")?;
    ensure!(code == 0 && docker.what.contains("cannot run containers here"), "{docker}");
    Ok(())
}

#[tokio::test]
async fn the_backend_examines_its_own_computer() -> Result<()> {
    let home = Home::new()?;
    let backend = Serve::start(&home, &[]).await?;
    let there: Diagnosis = good(backend.get(paths::DOCTOR)).await?.json().await?;
    ensure!(there.ok && finding(&there, "fuse.trial")?.state == FindingState::Ok, "{there:?}");
    ensure!(finding(&there, "address")?.says.contains(&backend.url), "{there:?}");
    // The command finds the running backend, and does not report its port as taken.
    let (_, here) = examine(home.command(&["--json", "doctor"])).await?;
    ensure!(finding(&here, "address")?.says.contains(&backend.url), "{here:?}");
    backend.stop().await
}

#[tokio::test]
async fn without_qemu_its_package_is_named() -> Result<()> {
    let home = Home::new()?;
    let mut command = home.command(&["--json", "doctor", "--listen", "127.0.0.1:0"]);
    command.env("PATH", home.path());
    let (code, diagnosis) = examine(command).await?;
    let missing = problem(&diagnosis, "qemu.program")?;
    ensure!(code == 69 && missing.code == ProblemCode::DependencyMissing, "exit {code}: {missing}");
    ensure!(missing.fix.contains("apt install qemu-system-"), "{missing}");
    Ok(())
}

/// The doctor as the user nobody, in a mount namespace where `/dev/fuse` has this mode.
fn as_nobody(home: &Home, binary: &Path, mode: &str) -> tokio::process::Command {
    let script = format!(
        "set -e; mount -t tmpfs none /mnt; mknod /mnt/fuse c 10 229; chmod {mode} /mnt/fuse; \
         mount --bind /mnt/fuse /dev/fuse; \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" --json doctor --listen 127.0.0.1:0"
    );
    let mut command = home.command::<&str>(&[]);
    let mut inside = tokio::process::Command::new("unshare");
    inside.args(["--mount", "--propagation", "private", "sh", "-c", &script]).arg(binary).current_dir("/");
    inside.envs(command.as_std_mut().get_envs().filter_map(|(name, value)| Some((name, value?))));
    inside
}

#[tokio::test]
async fn a_user_who_is_not_root_gets_advice_that_works_for_that_user() -> Result<()> {
    let home = Home::new()?;
    let binary = home.path().join("pixelrts");
    fs::copy(home.command::<&str>(&[]).as_std().get_program(), &binary)?;
    let owned = chown(home.path(), Some(65534), Some(65534));
    let probe = as_nobody(&home, Path::new("/bin/true"), "0666").output().await?;
    if owned.is_err() || !probe.status.success() {
        let why = String::from_utf8_lossy(&probe.stderr);
        skip("root", &format!("only root can make a device for another user: {}", why.trim()));
        return Ok(());
    }
    let (code, closed) = examine(as_nobody(&home, &binary, "0600")).await?;
    let device = problem(&closed, "fuse.device")?;
    ensure!(code == 77 && device.code == ProblemCode::PermissionDenied && device.fix.contains("chmod"), "{device}");

    let (code, open) = examine(as_nobody(&home, &binary, "0666")).await?;
    let trial = &finding(&open, "fuse.trial")?.says;
    ensure!(code == 0, "{open:?}");
    ensure!(trial.contains("user namespace") || trial.contains("fusermount3"), "not as root: {trial}");
    Ok(())
}

#[tokio::test]
async fn the_process_that_has_the_port_is_named() -> Result<()> {
    let home = Home::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let (code, diagnosis) = examine(home.command(&["--json", "doctor", "--listen", &address])).await?;
    let busy = problem(&diagnosis, "address")?;
    ensure!(code == 0 && busy.code == ProblemCode::Busy, "a warning: images can be booted: {busy}");
    ensure!(busy.why.contains(&format!("Process {}", std::process::id())) && busy.what.contains(&address), "{busy}");
    Ok(())
}

#[tokio::test]
async fn a_token_that_others_can_read_is_an_error() -> Result<()> {
    let home = Home::new()?;
    let token = home.path().join("state/pixelrts/token");
    fs::create_dir_all(token.parent().context("it is in a folder")?)?;
    fs::write(&token, "0".repeat(64))?;
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644))?;
    let (code, diagnosis) = doctor(&home).await?;
    let exposed = problem(&diagnosis, "secrets.token")?;
    ensure!(code == 78 && exposed.code == ProblemCode::ConfigExposed && exposed.why.contains("644"), "{exposed}");
    ensure!(exposed.fix.contains("chmod 600"), "{exposed}");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600))?;
    ensure!(doctor(&home).await?.0 == 0, "the fix works");
    Ok(())
}

#[tokio::test]
async fn leftovers_of_a_killed_boot_are_found_but_not_removed() -> Result<()> {
    let home = Home::new()?;
    let (_, output) = home.log()?;
    let image = sample(LINUX)?;
    let mut boot = home.command(&["boot", "--serial", "none", &image.to_string_lossy()]);
    let mut boot = boot.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn()?;
    until("QEMU runs", async || {
        Ok(home.processes()?.iter().any(|process| process.command.contains("qemu-system-")).then_some(()))
    })
    .await?;
    let (_, running) = doctor(&home).await?;
    ensure!(finding(&running, "leftovers")?.state == FindingState::Ok, "a machine that runs is no leftover");

    kill(Pid::from_raw(i32::try_from(boot.id().context("it runs")?)?), Signal::SIGKILL)?;
    boot.wait().await?;
    home.expect_no_machine().await?;
    for _ in 0..2 {
        let (code, diagnosis) = doctor(&home).await?;
        let left = problem(&diagnosis, "leftovers.machines")?;
        ensure!(code == 0 && left.what.contains("1 run directory") && left.fix.contains("pixelrts"), "{left}");
        ensure!(home.run_directories().len() == 1, "{:?}", home.run_directories());
    }
    // The fix says that the next start removes it, and that is true.
    Serve::start(&home, &[]).await?.stop().await?;
    ensure!(finding(&doctor(&home).await?.1, "leftovers")?.state == FindingState::Ok);
    Ok(())
}

#[tokio::test]
async fn every_server_is_asked_whether_it_answers() -> Result<()> {
    let (server_home, home) = (Home::new()?, Home::new()?);
    let image = sample(LINUX)?;
    let next_door = Serve::catalog(&server_home, image.parent().context("a file is in a folder")?).await?;
    next_door.own_catalog().await?;
    let backend = Serve::start(&home, &[]).await?;
    backend.add_server(&next_door.url, "Next door").await?;
    let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    backend.add_server(&format!("http://{nobody}"), "Nobody").await?;
    let there: Diagnosis = good(backend.get(paths::DOCTOR)).await?.json().await?;
    let beside = examine(home.command(&["--json", "doctor"])).await?.1;
    backend.stop().await?;
    let alone = doctor(&home).await?.1;
    for diagnosis in [there, beside, alone] {
        let up = finding(&diagnosis, "server.next-door")?;
        ensure!(up.state == FindingState::Ok && up.says.contains("images") && up.says.contains(" ms"), "{up:?}");
        let down = problem(&diagnosis, "server.nobody")?;
        ensure!(diagnosis.ok && down.code == ProblemCode::NetworkRefused, "{down}");
    }
    Ok(())
}
