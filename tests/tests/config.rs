//! Settings come from four layers, wrong ones are reported, and a running backend takes over new ones.

use std::fs;
use std::path::PathBuf;

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use pixelrts_shared::machine::{Machine, MachineState};
use pixelrts_shared::server::Server;
use pixelrts_shared::{Problem, ProblemCode, ServerId, paths};
use pixelrts_tests::{Finished, Home, LINUX, Serve, good, sample, until};
use serde_json::{Value, json};

/// The file that is found without being named.
fn write(home: &Home, yaml: &str) -> Result<PathBuf> {
    let path = home.path().join("config/pixelrts/config.yaml");
    fs::create_dir_all(path.parent().expect("a file is in a folder"))?;
    fs::write(&path, yaml)?;
    Ok(path)
}

async fn run_with(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Finished> {
    let output = home.command(arguments).envs(variables.iter().copied()).output().await?;
    Ok(Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

#[tokio::test]
async fn each_layer_overrides_the_one_below_and_config_show_names_it() -> Result<()> {
    let home = Home::new()?;
    let path = write(&home, "boot:\n  memory: 1G\n  cpus: 3\nlog: {level: warn}\n")?;
    let variables = [("PIXELRTS_BOOT_CPUS", "4"), ("PIXELRTS_LOG_LEVEL", "error")];
    let text = run_with(&home, &["config", "show", "--origin", "-v"], &variables).await?.good()?;
    for line in [
        "  accel: auto  # default".to_owned(),
        format!("  memory: 1G  # {}, line 2", path.display()),
        "  cpus: 4  # environment, PIXELRTS_BOOT_CPUS".to_owned(),
        "  level: debug  # command line, --verbose".to_owned(),
    ] {
        ensure!(text.lines().any(|found| found == line), "{line} is missing: {text}");
    }
    let shown: Value =
        serde_json::from_str(&run_with(&home, &["--json", "config", "show"], &variables).await?.good()?)?;
    ensure!(shown["keys"]["boot.memory"]["origin"] == json!({"layer": "file", "path": path, "line": 2}), "{shown}");

    // A file that is named replaces it, and the values have their effect.
    let other = home.path().join("other.yaml");
    fs::write(&other, "boot: {memory: 128M}\n")?;
    let image = sample(LINUX)?;
    let (other, image) = (other.to_string_lossy(), image.to_string_lossy());
    let argv = home.run(&["-c", &other, "boot", "--dry-run", &image]).await?.good()?;
    ensure!(argv.contains("-m 128M -smp 2"), "{argv}");
    let argv = home.run(&["boot", "--dry-run", "--memory", "64M", &image]).await?.good()?;
    ensure!(argv.contains("-m 64M -smp 3"), "{argv}");
    Ok(())
}

#[tokio::test]
async fn a_misspelt_key_is_reported_with_its_line_and_the_right_key() -> Result<()> {
    let home = Home::new()?;
    let path = write(&home, "boot:\n  memroy: 1G\n  cpus: many\n")?;
    let checked = home.run(&["config", "check"]).await?;
    ensure!(checked.code == Some(78), "{checked:?}");
    let line = format!("error: boot.memroy ({}, line 2) is not a setting; did you mean boot.memory?", path.display());
    ensure!(checked.stdout.contains(&line) && checked.stdout.contains("boot.cpus"), "{checked:?}");

    let checked = home.run(&["--json", "config", "check"]).await?;
    let problem = checked.problem(78)?;
    ensure!(problem.code == ProblemCode::ConfigInvalid && problem.what.contains('2'), "{problem}");
    let document: Value = serde_json::from_str(&checked.stdout)?;
    ensure!(document["faults"][0]["suggestion"] == "boot.memory" && document["ok"] == false, "{document}");

    let refused = home.run(&["--json", "serve", "--listen", "127.0.0.1:0"]).await?;
    refused.problem(78)?;
    let missing = home.run(&["--json", "--config", "no-such.yaml", "fetch", "x"]).await?;
    missing.problem(78)?;

    write(&home, "kiosk: {entry: debian}\n")?;
    let checked = run_with(&home, &["--json", "config", "check"], &[("PIXELRTS_LOG", "debug")]).await?;
    let document: Value = serde_json::from_str(&checked.good()?)?;
    let suggested =
        document["warnings"].as_array().into_iter().flatten().any(|one| one["suggestion"] == "PIXELRTS_LOG_LEVEL");
    let idle = document["warnings"].as_array().into_iter().flatten().any(|one| one["key"] == "kiosk.entry");
    ensure!(document["ok"] == true && suggested && idle, "{document}");
    Ok(())
}

#[tokio::test]
async fn completions_exist_for_the_usual_shells() -> Result<()> {
    let home = Home::new()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(&["completions", shell]).await?.good()?;
        ensure!(script.contains("completions") && script.contains("insecure-http"), "{shell}: {script}");
    }
    let bash = home.path().join("bash");
    fs::write(&bash, home.run(&["completions", "bash"]).await?.good()?)?;
    let ask = format!(
        "source {} && COMP_WORDS=(pixelrts ser) COMP_CWORD=1 && _pixelrts pixelrts ser pixelrts && echo ${{COMPREPLY[@]}}",
        bash.display()
    );
    let output = tokio::process::Command::new("bash").args(["-c", &ask]).output().await?;
    ensure!(String::from_utf8(output.stdout)?.split_whitespace().any(|word| word == "serve"));
    Ok(())
}

async fn servers(host: &Serve) -> Result<Vec<Server>> {
    Ok(good(host.get(paths::SERVERS)).await?.json().await?)
}

fn url_of(servers: &[Server], id: &str) -> Option<String> {
    servers.iter().find(|server| server.id.as_str() == id).map(|server| server.url.clone())
}

#[tokio::test]
async fn a_running_backend_takes_over_servers_limits_and_log_level() -> Result<()> {
    let home = Home::new()?;
    let path = write(
        &home,
        "servers: [{name: one, url: 'http://127.0.0.1:1'}, {name: two, url: 'http://127.0.0.1:2'}]\nboot: {max_machines: 1, memory: 128M}\n",
    )?;
    let host =
        Serve::start(&home, &["--catalog", &sample(LINUX)?.parent().expect("a folder").to_string_lossy()]).await?;
    host.add_server("http://127.0.0.1:3", "mine").await?;
    let found = servers(&host).await?;
    ensure!(found.iter().filter(|server| server.configured).count() == 2 && found.len() == 3, "{found:?}");

    // Only the configuration changes what it sets.
    let one: ServerId = "one".parse()?;
    for request in [
        host.request(reqwest::Method::DELETE, &paths::server(&one)),
        host.request(reqwest::Method::PATCH, &paths::server(&one)).json(&json!({"enabled": false})),
    ] {
        let problem: Problem = request.send().await?.json().await?;
        ensure!(problem.code == ProblemCode::Configured && problem.fix.contains(&*path.to_string_lossy()), "{problem}");
    }

    let entry = host.entry("linux-busybox", |_| true).await?.entry;
    let boot = async || -> Result<Value> {
        Ok(host.post(&paths::entry_boot(&entry.sha256), &json!({})).send().await?.json().await?)
    };
    ensure!(boot().await?["machine_id"].is_string());
    ensure!(boot().await?["code"] == "conflict.too_many_machines");
    let machines: Vec<Machine> = good(host.get(paths::MACHINES)).await?.json().await?;
    ensure!(machines.len() == 1 && machines[0].memory.to_string() == "128M", "{machines:?}");
    ensure!(!host.said()?.contains("DEBUG"), "{}", host.said()?);

    write(
        &home,
        "servers: [{name: two, url: 'http://127.0.0.1:22'}]\nboot: {max_machines: 2, memory: 160M}\nlog: {level: debug}\nname: later\n",
    )?;
    host.hang_up()?;
    until("the servers are taken over", async || {
        let found = servers(&host).await?;
        let here = (url_of(&found, "one"), url_of(&found, "two"), url_of(&found, "mine"));
        Ok((here == (None, Some("http://127.0.0.1:22".to_owned()), Some("http://127.0.0.1:3".to_owned())))
            .then_some(()))
    })
    .await?;
    until("a second machine is allowed", async || Ok(boot().await?["machine_id"].as_str().map(str::to_owned))).await?;
    let machines: Vec<Machine> = good(host.get(paths::MACHINES)).await?.json().await?;
    ensure!(machines.last().is_some_and(|machine| machine.memory.to_string() == "160M"), "{machines:?}");
    until("the log says more, and what has to wait", async || {
        let said = host.said()?;
        Ok((said.contains("DEBUG") && said.contains("next start") && said.contains("keys=\"name\"")).then_some(()))
    })
    .await?;

    // A file that is wrong changes nothing.
    write(&home, "servers: []\nboot: {max_machines: none}\n")?;
    host.hang_up()?;
    until("the log says what is wrong", async || Ok(host.said()?.contains("boot.max_machines").then_some(()))).await?;
    ensure!(servers(&host).await?.len() == 2);
    ensure!(boot().await?["code"] == "conflict.too_many_machines");

    for machine in good(host.get(paths::MACHINES)).await?.json::<Vec<Machine>>().await? {
        if machine.state != MachineState::Failed {
            good(host.request(reqwest::Method::POST, &paths::machine_stop(&machine.id))).await?;
        }
    }
    host.stop().await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn images_that_were_not_used_for_long_leave_the_cache_but_the_one_that_was_booted_last() -> Result<()> {
    let (server_home, home) = (Home::new()?, Home::new()?);
    let server = Serve::catalog(&server_home, sample(LINUX)?.parent().expect("a folder")).await?;
    write(&home, &format!("servers: ['{}']\ncache: {{ttl: 1h}}\n", server.url))?;
    let host = Serve::start(&home, &["--catalog", &home.path().to_string_lossy()]).await?;
    let booted = host.entry("linux-busybox", |_| true).await?.entry.sha256;
    let other = host.entry("debian-installer", |_| true).await?.entry.sha256;
    let id =
        good(host.post(&paths::entry_boot(&booted), &json!({}))).await?.json::<Value>().await?["machine_id"].clone();
    let id: pixelrts_shared::MachineId = serde_json::from_value(id)?;
    until("the machine runs", async || {
        let machine: Machine = good(host.get(&paths::machine(&id))).await?.json().await?;
        Ok((machine.state == MachineState::Running).then_some(()))
    })
    .await?;
    good(host.post(paths::DOWNLOADS, &json!({"key": other}))).await?;
    host.entry("debian-installer", |entry| entry.cached).await?;
    good(host.request(reqwest::Method::POST, &paths::machine_stop(&id))).await?;

    // The clock of the cache is the time that this computer has run. Two hours more of it are written into its file.
    let lived = home.path().join("cache/pixelrts/lived");
    let text = fs::read_to_string(&lived)?;
    let (seconds, rest) = text.split_once(' ').context("seconds, uptime and run")?;
    fs::write(&lived, format!("{} {rest}", seconds.parse::<u64>()? + 7200))?;

    // A reload applies the limits.
    write(&home, &format!("servers: ['{}', 'http://127.0.0.1:1']\ncache: {{ttl: 1h}}\n", server.url))?;
    host.hang_up()?;
    host.entry("debian-installer", |entry| !entry.cached).await?;
    ensure!(host.entry("linux-busybox", |_| true).await?.cached, "it was booted last");
    host.stop().await
}

/// What a command is given for one run does not change what the backend has stored.
#[tokio::test]
async fn a_command_with_other_servers_does_not_change_the_stored_list() -> Result<()> {
    let home = Home::new()?;
    let backend = Serve::start(&home, &[]).await?;
    let new = json!({"url": "http://127.0.0.1:3", "name": "mine", "auth": "secret"});
    good(backend.post(paths::SERVERS, &new)).await?;
    backend.stop().await?;

    let mut fetch = home.command(&["--json", "fetch", "nothing"]);
    let output = fetch.env("PIXELRTS_SERVERS", "http://127.0.0.1:3").stdin(Stdio::null()).output().await?;
    ensure!(output.status.code() == Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    // The doctor asks the same servers as the backend.
    let mut doctor = home.command(&["--json", "doctor", "--listen", "127.0.0.1:0"]);
    let output = doctor.env("PIXELRTS_SERVERS", "http://127.0.0.1:4").stdin(Stdio::null()).output().await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(said.contains("server.mine") && said.contains("server.127.0.0.1-4"), "{said}");

    let backend = Serve::start(&home, &[]).await?;
    let found = servers(&backend).await?;
    ensure!(found.len() == 1 && found[0].name == "mine" && found[0].auth && !found[0].configured, "{found:?}");
    backend.stop().await
}
