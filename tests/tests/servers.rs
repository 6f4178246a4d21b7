//! The list of servers from the command line, with servers that misbehave.

use std::time::Duration;

use anyhow::{Result, ensure};
use pixelrts_shared::server::{HealthState, Server};
use pixelrts_shared::{ProblemCode, paths};
use pixelrts_testing::fault_server::FaultServer;
use pixelrts_tests::{Home, Serve, until};
use serde_json::Value;

async fn listed(home: &Home) -> Result<Vec<Server>> {
    Ok(serde_json::from_str(&home.run(&["--json", "servers", "ls"]).await?.good()?)?)
}

#[tokio::test]
async fn the_list_is_changed_with_and_without_a_backend() -> Result<()> {
    let server = FaultServer::start(*b"an image");
    let home = Home::new()?;
    let empty = home.run(&["servers", "ls"]).await?.good()?;
    ensure!(empty.contains("pixelrts servers add"), "{empty}");
    let added = home.run(&["servers", "add", &server.base("catbadentry"), "--name", "Office"]).await?;
    ensure!(added.code == Some(0) && added.stderr.contains("It answers and offers 1 image."), "{added:?}");
    let twice = home.run(&["--json", "servers", "add", &server.base("catbadentry")]).await?.problem(6)?;
    ensure!(twice.code == ProblemCode::Busy, "{twice}");
    let checked: Value = serde_json::from_str(&home.run(&["--json", "servers", "check"]).await?.good()?)?;
    ensure!(checked[0]["entries"] == 1 && checked[0]["left_out"]["count"] == 1, "{checked}");

    let shell = Serve::start(&home, &[]).await?;
    home.run(&["servers", "add", &server.base("cathtml"), "--name", "page", "--priority", "3"]).await?.good()?;
    let both = until("both servers have been asked", async || {
        let listed = listed(&home).await?;
        let asked = listed.iter().all(|server| server.health.state != HealthState::Unknown);
        Ok(asked.then_some(listed))
    })
    .await?;
    ensure!(both.len() == 2 && both[0].id.as_str() == "page" && both[1].health.left_out.count == 1, "{both:?}");
    let table = home.run(&["servers", "ls"]).await?.good()?;
    ensure!(table.contains("is a web page") && table.contains("left out"), "{table}");
    let failed = home.run(&["servers", "check", "page"]).await?;
    ensure!(failed.code == Some(4), "{failed:?}");
    home.run(&["servers", "disable", "page"]).await?.good()?;
    ensure!(!listed(&home).await?[0].enabled, "it is not used");
    home.run(&["servers", "enable", "page"]).await?.good()?;
    std::fs::write(home.path().join("token"), "hunter2\n")?;
    let edited = home.run(&["servers", "edit", "page", "--token-file", "token", "--priority", "20"]).await?.good()?;
    ensure!(!edited.contains("hunter2"), "{edited}");
    ensure!(listed(&home).await?[1].auth, "it has a token");
    home.run(&["servers", "edit", "page", "--no-auth"]).await?.good()?;
    ensure!(!listed(&home).await?[1].auth, "it is forgotten");
    let spoken = ["--user", "alice", "--password-file", "token", "--allow", "http://127.0.0.1:9"];
    home.run(&[&["servers", "edit", "page"], spoken.as_slice()].concat()).await?.good()?;
    let page = listed(&home).await?.remove(1);
    ensure!(page.auth && page.allow == ["http://127.0.0.1:9"], "{page:?}");
    // "alice:hunter2"
    let basic = Some("Basic YWxpY2U6aHVudGVyMg==");
    ensure!(home.run(&["servers", "check", "page"]).await?.code == Some(4), "it is still a web page");
    ensure!(server.requests().iter().any(|logged| logged.request.header("authorization") == basic));
    home.run(&["servers", "edit", "page", "--url", &server.base("ok")]).await?.good()?;
    ensure!(!listed(&home).await?[1].auth, "the token was for the old address");
    ensure!(
        server
            .requests()
            .iter()
            .all(|logged| { logged.request.header("authorization").is_none() || logged.request.fault() == "cathtml" })
    );
    let unknown = home.run(&["--json", "servers", "rm", "nobody"]).await?.problem(3)?;
    ensure!(unknown.code == ProblemCode::ServerNotFound, "{unknown}");
    shell.stop().await?;
    let table = home.run(&["servers", "ls"]).await?.good()?;
    ensure!(table.contains("works, ") && table.contains("(asked 20") && !table.contains("not asked"), "{table}");

    home.run(&["servers", "rm", "page"]).await?.good()?;
    let left = listed(&home).await?;
    ensure!(left.len() == 1 && left[0].name.as_str() == "Office", "{left:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_of_the_configuration_is_changed_there() -> Result<()> {
    let home = Home::new()?;
    std::fs::write(home.path().join("c.yaml"), "servers: [{name: office, url: 'http://127.0.0.1:9'}]\n")?;
    for arguments in [&["rm", "office"][..], &["edit", "office", "--priority", "1"], &["disable", "office"]] {
        let command = [&["--json", "-c", "c.yaml", "servers"], arguments].concat();
        let problem = home.run(&command).await?.problem(6)?;
        ensure!(problem.code == ProblemCode::Configured && problem.fix.contains("c.yaml"), "{problem}");
    }
    let secret = home.run(&["servers", "edit", "office", "--token", "hunter2"]).await?;
    ensure!(secret.code == Some(2), "a secret is no argument: {secret:?}");
    Ok(())
}

/// The memory and the log of a backend whose servers misbehave in every way.
#[tokio::test]
async fn hostile_servers_cost_little() -> Result<()> {
    let server = FaultServer::start(*b"an image");
    let home = Home::new()?;
    let shell = Serve::start(&home, &[]).await?;
    let pid = home.processes()?.first().map(|process| process.id);
    let memory = || -> Result<u64> {
        let pid = pid.ok_or_else(|| anyhow::anyhow!("the backend runs"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        Ok(line.unwrap_or_default().trim().trim_end_matches(" kB").parse()?)
    };
    let before = memory()?;
    for n in 0..40 {
        shell.add_server(&server.base(&format!("entries/100/{n}/0")), &format!("good-{n}")).await?;
    }
    let bad = [
        "catsevens",
        "cat100m",
        "catdeep",
        "catgarbage",
        "cathtml",
        "cathead",
        "catdrip",
        "catname",
        "catescape",
        "cat500",
    ];
    for fault in bad {
        shell.add_server(&server.base(fault), fault).await?;
    }
    until("all but the slow ones were asked", async || {
        let listed = listed(&home).await?;
        let slow = |server: &Server| ["cathead", "catdrip"].contains(&server.name.as_str());
        Ok(listed.iter().all(|server| slow(server) || server.health.state != HealthState::Unknown).then_some(()))
    })
    .await?;
    shell.post(paths::CATALOG_REFRESH, &Value::Null).send().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grown = memory()? - before;
    ensure!(grown <= 64 << 10, "the memory has grown by {grown} KiB");
    let lines = shell.said()?.lines().count();
    ensure!(lines <= 100, "{lines} lines: {}", shell.said()?);
    shell.stop().await
}
