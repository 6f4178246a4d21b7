//! `pixelrts up` restarts the backend whatever happens to it, in a container and as a process, until it fails too
//! often.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use pixelrts_shared::server::Server;
use pixelrts_shared::{Problem, paths};
use pixelrts_tests::{Home, LINUX, Serve, Up, good, ping, podman, sample, until};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// How much later than planned something may happen, on a computer that may be busy with other work.
const GRACE: Duration = Duration::from_secs(20);

fn folder() -> Result<String> {
    Ok(sample(LINUX)?.parent().context("a file is in a folder")?.to_string_lossy().into_owned())
}

/// Boots the small sample, and waits until its shell asks for a command. Returns the machine's id.
///
/// The console is read at the path that the API gives, which must be right outside of the container too.
async fn boot(backend: &Serve) -> Result<String> {
    until("the sample is listed", async || {
        Ok(backend.own_catalog().await?.entries.iter().any(|entry| entry.id.as_str() == "linux-busybox").then_some(()))
    })
    .await?;
    let path = paths::ENTRY_BOOT.replace("{key}", "linux-busybox");
    let reply: Value = good(backend.post(&path, &json!({"memory": "512M"}))).await?.json().await?;
    let id = reply["machine_id"].as_str().context("no machine")?.to_owned();
    let socket = until("the machine runs", async || {
        let machine = machine(backend, &id).await?;
        ensure!(machine["problem"].is_null(), "{machine}");
        Ok(machine["serial_socket"].as_str().filter(|path| Path::new(path).exists()).map(str::to_owned))
    })
    .await?;
    let mut console = UnixStream::connect(&socket).await?;
    let mut seen = Vec::new();
    until("the guest's shell asks for a command", async || {
        let mut bytes = [0; 4096];
        let count = tokio::time::timeout(GRACE, console.read(&mut bytes)).await??;
        seen.extend_from_slice(&bytes[..count]);
        let text = String::from_utf8_lossy(&seen);
        ensure!(count > 0, "the console ended: {text}");
        Ok(text.contains("pixelrts#").then_some(()))
    })
    .await?;
    Ok(id)
}

async fn machine(backend: &Serve, id: &str) -> Result<Value> {
    Ok(good(backend.get(&paths::MACHINE.replace("{mid}", id))).await?.json().await?)
}

async fn a_container_answers_and_boots_the_sample(profile: &str) -> Result<()> {
    let Some(engine) = podman().await? else { return Ok(()) };
    let home = Home::new()?;
    let mut up = Up::start_with(&home, engine, &["--catalog", &folder()?], &[("PIXELRTS_SUPERVISE_PROFILE", profile)])?;
    let ready = up.ready().await?;
    ensure!(ready["runtime"] == "podman", "{ready}");
    let backend = Serve::at(ready["url"].as_str().context("no url")?)?;
    ensure!(backend.url.starts_with("http://127.0.0.1:"), "{}", backend.url);
    let health: Value = good(backend.get(paths::HEALTH)).await?.json().await?;
    ensure!(health["status"] == "ok", "{health}");
    // The container makes the socket, and it is reachable from here.
    ping(&up.socket()).await?;
    ensure!(std::fs::metadata(up.socket())?.permissions().mode() & 0o777 == 0o600);
    // Requests under another name are refused, as without a container.
    let reply = backend.get(paths::HEALTH).header("Host", "example.org").send().await?;
    ensure!(reply.status() == 421, "{}", reply.status());

    let id = boot(&backend).await?;
    ensure!(machine(&backend, &id).await?["state"] == "running");
    let privileged = up.inspect("{{.HostConfig.Privileged}} {{.HostConfig.ReadonlyRootfs}}").await?;
    ensure!(privileged == if profile == "least" { "false true" } else { "true false" }, "{privileged}");
    up.stop(&home).await
}

#[tokio::test]
async fn a_container_with_the_least_rights_answers_boots_the_sample_and_leaves_nothing() -> Result<()> {
    a_container_answers_and_boots_the_sample("least").await
}

#[tokio::test]
async fn a_container_with_the_standard_profile_answers_boots_the_sample_and_leaves_nothing() -> Result<()> {
    a_container_answers_and_boots_the_sample("standard").await
}

#[tokio::test]
async fn a_process_answers_and_leaves_nothing() -> Result<()> {
    let home = Home::new()?;
    let mut up = Up::start(&home, "process", &[])?;
    let backend = up.backend().await?;
    good(backend.get(paths::HEALTH)).await?;
    ping(&up.socket()).await?;
    // A second `up` is refused and names the process of the first.
    let second = home.run(&["up", "--json", "--runtime", "process"]).await?.problem(6)?;
    let pid = up.own_pid()?.to_string();
    ensure!(second.why.contains(&pid), "{second} does not name {pid}");
    up.stop(&home).await
}

/// The backend reads a changed file, whether it runs in a container or as a process.
async fn a_changed_configuration_is_read(runtime: &'static str) -> Result<()> {
    let home = Home::new()?;
    let config = home.path().join("config/pixelrts/config.yaml");
    std::fs::create_dir_all(config.parent().context("a file is in a folder")?)?;
    let elsewhere = format!("cache: {{dir: {}}}\n", home.path().join("elsewhere").display());
    std::fs::write(&config, format!("servers: [{{name: one, url: 'http://127.0.0.1:1'}}]\n{elsewhere}"))?;
    let mut up = Up::start(&home, runtime, &[])?;
    let backend = up.backend().await?;
    let names = async || -> Result<Vec<String>> {
        let servers: Vec<Server> = good(backend.get(paths::SERVERS)).await?.json().await?;
        Ok(servers.into_iter().map(|server| server.name.into()).collect())
    };
    ensure!(names().await? == ["one"], "{:?}", names().await?);
    // Editors do it this way: a new file takes the place of the old one.
    let new = config.with_extension("new");
    std::fs::write(&new, format!("servers: [{{name: two, url: 'http://127.0.0.1:2'}}]\n{elsewhere}"))?;
    std::fs::rename(&new, &config)?;
    up.signal(Signal::SIGHUP)?;
    until("the servers are the new ones", async || Ok((names().await? == ["two"]).then_some(()))).await?;
    // The cache is at the same path inside and outside of the container.
    let health: Value = good(backend.get(paths::HEALTH)).await?.json().await?;
    ensure!(
        health["modules"]
            .as_array()
            .is_some_and(|all| all.iter().all(|one| one["name"] != "cache" || one["state"] == "ok")),
        "{health}"
    );
    ensure!(home.path().join("elsewhere/remote").is_dir() && home.cached().is_empty());
    up.stop(&home).await
}

#[tokio::test]
async fn a_backend_process_reads_a_changed_configuration() -> Result<()> {
    a_changed_configuration_is_read("process").await
}

#[tokio::test]
async fn a_backend_container_reads_a_changed_configuration() -> Result<()> {
    match podman().await? {
        Some(engine) => a_changed_configuration_is_read(engine).await,
        None => Ok(()),
    }
}

/// A killed backend is back after a second, because it worked in between. After the fourth end within five minutes it
/// is not restarted any more.
async fn is_back_after_a_second_three_times(runtime: &'static str) -> Result<()> {
    let home = Home::new()?;
    let mut up = Up::start(&home, runtime, &[])?;
    let backend = up.backend().await?;
    for restart in 1..=3 {
        let struck = up.signal_backend(Signal::SIGKILL).await?;
        up.ready().await?;
        let away = struck.elapsed();
        ensure!((Duration::from_secs(1)..GRACE).contains(&away), "it was away for {away:?}");
        ensure!(up.said()?.contains(&format!("restart {restart} of 3 in 1s")), "{}", up.said()?);
        good(backend.get(paths::HEALTH)).await.context("it is where it was")?;
    }
    up.signal_backend(Signal::SIGKILL).await?;
    ensure!(up.end().await?.code() == Some(1), "{}", up.said()?);
    let problem: Problem = serde_json::from_str(&up.rest().await?)?;
    ensure!(problem.code.as_str() == "supervisor.restart_limit", "{problem}");
    ensure!(problem.why.contains("4 times within 5m"), "{problem}");
    home.expect_no_machine().await
}

#[tokio::test]
async fn a_killed_backend_process_is_back_after_a_second_three_times() -> Result<()> {
    is_back_after_a_second_three_times("process").await
}

#[tokio::test]
async fn a_killed_backend_container_is_back_after_a_second_three_times() -> Result<()> {
    let Some(engine) = podman().await? else { return Ok(()) };
    is_back_after_a_second_three_times(engine).await
}

/// A backend cannot start because its port is taken: it is tried again after 1, 2 and 4 seconds, then `up` fails.
async fn a_start_that_fails_is_tried_four_times(runtime: &'static str) -> Result<()> {
    let home = Home::new()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let mut up = Up::start(&home, runtime, &["--listen", &taken.local_addr()?.to_string()])?;
    for (restart, seconds) in [(1, 1), (2, 2), (3, 4)] {
        let down = up.says(&format!("restart {restart} of 3 in {seconds}s")).await?;
        let again = until("it is started again", async || {
            let starts = up.said()?.matches("the backend is started").count();
            Ok((starts > restart).then(Instant::now))
        })
        .await?;
        let waited = again - down;
        let delay = Duration::from_secs(seconds);
        // The log is read every 50 ms, so its lines are seen that much later.
        ensure!(waited + Duration::from_millis(100) >= delay, "it waited {waited:?} instead of {delay:?}");
        ensure!(waited < delay + GRACE, "it waited {waited:?} instead of {delay:?}");
    }
    ensure!(up.end().await?.code() == Some(1), "{}", up.said()?);
    let problem: Problem = serde_json::from_str(&up.rest().await?)?;
    ensure!(problem.code.as_str() == "supervisor.restart_limit", "{problem}");
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_backend_process_that_cannot_start_is_tried_four_times() -> Result<()> {
    a_start_that_fails_is_tried_four_times("process").await
}

#[tokio::test]
async fn a_backend_container_that_cannot_start_is_tried_four_times() -> Result<()> {
    let Some(engine) = podman().await? else { return Ok(()) };
    a_start_that_fails_is_tried_four_times(engine).await
}

#[tokio::test]
async fn a_container_that_hangs_is_noticed_and_replaced() -> Result<()> {
    let Some(engine) = podman().await? else { return Ok(()) };
    let home = Home::new()?;
    let mut up = Up::start(&home, engine, &[])?;
    let backend = up.backend().await?;
    up.signal_backend(Signal::SIGSTOP).await?;
    up.ready().await?;
    ensure!(up.said()?.contains("did not answer a health check"), "{}", up.said()?);
    good(backend.get(paths::HEALTH)).await?;
    up.stop(&home).await
}

#[tokio::test]
async fn a_process_that_hangs_is_replaced_and_its_machines_run_on() -> Result<()> {
    let home = Home::new()?;
    let mut up = Up::start(&home, "process", &["--catalog", &folder()?])?;
    let backend = up.backend().await?;
    let id = boot(&backend).await?;
    up.signal_backend(Signal::SIGSTOP).await?;
    up.ready().await?;
    ensure!(up.said()?.contains("did not answer a health check"), "{}", up.said()?);
    ensure!(machine(&backend, &id).await?["state"] == "running");
    good(backend.request(reqwest::Method::DELETE, &paths::MACHINE.replace("{mid}", &id))).await?;
    up.stop(&home).await
}

/// SIGKILL cannot be caught, but what the killed `up` started ends with it, and the next one starts at once.
async fn the_next_one_starts_at_once(runtime: &'static str) -> Result<()> {
    let home = Home::new()?;
    let mut first = Up::start(&home, runtime, &[])?;
    first.ready().await?;
    first.signal(Signal::SIGKILL)?;
    first.end().await?;
    let mut second = Up::start(&home, runtime, &[])?;
    let backend = second.backend().await?;
    good(backend.get(paths::HEALTH)).await?;
    ensure!(!second.said()?.contains("is down"), "{}", second.said()?);
    second.stop(&home).await?;
    // The backend also ends when no other `up` follows.
    let mut last = Up::start(&home, runtime, &[])?;
    last.ready().await?;
    last.signal(Signal::SIGKILL)?;
    last.end().await?;
    home.expect_no_machine().await
}

#[tokio::test]
async fn after_a_killed_up_with_a_process_the_next_one_starts_at_once() -> Result<()> {
    the_next_one_starts_at_once("process").await
}

#[tokio::test]
async fn after_a_killed_up_with_a_container_the_next_one_starts_at_once() -> Result<()> {
    let Some(engine) = podman().await? else { return Ok(()) };
    the_next_one_starts_at_once(engine).await
}

#[tokio::test]
async fn a_second_interrupt_does_not_wait_for_a_backend_that_hangs() -> Result<()> {
    let home = Home::new()?;
    let mut up = Up::start(&home, "process", &[])?;
    up.ready().await?;
    up.signal_backend(Signal::SIGSTOP).await?;
    up.signal(Signal::SIGINT)?;
    let waits = tokio::time::timeout(Duration::from_secs(1), up.end()).await;
    ensure!(waits.is_err(), "it is given time to end");
    up.signal(Signal::SIGINT)?;
    let since = Instant::now();
    ensure!(up.end().await?.success());
    ensure!(since.elapsed() < Duration::from_secs(10), "it took {:?}", since.elapsed());
    home.expect_no_machine().await
}

#[tokio::test]
async fn a_container_client_without_its_engine_is_not_a_runtime() -> Result<()> {
    let home = Home::new()?;
    let programs = home.path().join("bin");
    std::fs::create_dir(&programs)?;
    let docker = programs.join("docker");
    std::fs::write(&docker, "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")?;
    std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755))?;
    let path = programs.to_string_lossy().into_owned();

    let mut up = Up::start_with(&home, "auto", &[], &[("PATH", &path)])?;
    ensure!(up.ready().await?["runtime"] == "process");
    for reason in ["docker: Cannot connect to the Docker daemon", "podman: "] {
        ensure!(up.said()?.contains(reason), "{reason}: {}", up.said()?);
    }
    up.signal(Signal::SIGTERM)?;
    ensure!(up.end().await?.success());

    for (engine, fix) in [("docker", "Start it: "), ("podman", "Install it: ")] {
        let mut up = Up::start_with(&home, engine, &[], &[("PATH", &path)])?;
        ensure!(up.end().await?.code() == Some(69), "{}", up.said()?);
        let problem: Problem = serde_json::from_str(&up.rest().await?)?;
        ensure!(problem.code.as_str() == "dependency.container_runtime", "{problem}");
        ensure!(problem.fix.contains(fix) && problem.fix.contains("--runtime process"), "{problem}");
    }
    home.expect_nothing_left().await
}

#[tokio::test]
async fn when_the_image_is_missing_the_problem_says_how_to_make_it() -> Result<()> {
    let Some(engine) = podman().await? else { return Ok(()) };
    let home = Home::new()?;
    let absent = [("PIXELRTS_SUPERVISE_IMAGE", "localhost/pixelrts:absent")];
    let mut named = Up::start_with(&home, engine, &[], &absent)?;
    ensure!(named.end().await?.code() == Some(69), "{}", named.said()?);
    let problem: Problem = serde_json::from_str(&named.rest().await?)?;
    ensure!(problem.code.as_str() == "dependency.container_image" && problem.fix.contains("cargo xtask image"));
    let mut up = Up::start_with(&home, "auto", &[], &absent)?;
    ensure!(up.ready().await?["runtime"] == "process");
    ensure!(up.said()?.contains("has no container image localhost/pixelrts:absent"), "{}", up.said()?);
    up.stop(&home).await
}

#[tokio::test]
async fn an_engine_that_cannot_start_containers_is_not_a_runtime() -> Result<()> {
    let Some(engine) = podman().await? else { return Ok(()) };
    let home = Home::new()?;
    let settings = home.path().join("containers.conf");
    std::fs::write(&settings, "[containers]\nvolumes = [\"/absent:/absent\"]\n")?;
    let broken = [("CONTAINERS_CONF", &*settings.to_string_lossy())];
    let mut up = Up::start_with(&home, "auto", &[], &broken)?;
    ensure!(up.ready().await?["runtime"] == "process", "{}", up.said()?);
    ensure!(up.said()?.contains("podman: "), "{}", up.said()?);
    up.stop(&home).await?;
    let mut up = Up::start_with(&home, engine, &[], &broken)?;
    ensure!(up.end().await?.code() == Some(69), "{}", up.said()?);
    Ok(())
}

#[tokio::test]
async fn a_backend_that_already_runs_is_not_replaced() -> Result<()> {
    let home = Home::new()?;
    let backend = Serve::start(&home, &[]).await?;
    let problem = home.run(&["up", "--json", "--runtime", "process"]).await?.problem(6)?;
    ensure!(problem.why.contains(&backend.url), "{problem}");
    good(backend.get(paths::HEALTH)).await?;
    backend.stop().await
}
