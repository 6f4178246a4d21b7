//! Requests of hostile pages and files that are not images are refused with the right problem.

use std::fs;

use anyhow::{Context, Result, ensure};
use pixelrts_shared::download::Download;
use pixelrts_shared::machine::BootAccepted;
use pixelrts_shared::{Problem, ProblemCode, paths};
use pixelrts_tests::{Home, LINUX, Serve, SmallDisk, good, old_image, sample, sha256, skip, until};
use serde_json::json;

/// Sends a request. Returns the status and the problem's code.
async fn refusal(request: reqwest::RequestBuilder) -> Result<(u16, ProblemCode)> {
    let reply = request.send().await?;
    let status = reply.status().as_u16();
    let text = reply.text().await?;
    let problem: Problem = serde_json::from_str(&text).context(text)?;
    Ok((status, problem.code))
}

#[tokio::test]
async fn a_hostile_page_reaches_nothing() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::start(&home, &[]).await?;
    let new_server = json!({"url": "http://127.0.0.1:9"});

    // DNS rebinding: a foreign name that resolves to this computer.
    let rebound = host.get(paths::CATALOG).header("Host", "evil.example");
    ensure!(refusal(rebound).await? == (421, ProblemCode::GuardHost));
    // An image, a script or a fetch in a page of another site.
    let other_site = host.get(paths::CATALOG).header("Sec-Fetch-Site", "cross-site");
    ensure!(refusal(other_site).await? == (403, ProblemCode::GuardCrossSite));
    // A form of another site.
    let form = host.post(paths::SERVERS, &new_server).header("Origin", "http://evil.example");
    ensure!(refusal(form).await? == (403, ProblemCode::GuardOrigin));
    let plain = host.request(reqwest::Method::POST, paths::SERVERS).body(new_server.to_string());
    ensure!(refusal(plain.header("Content-Type", "text/plain")).await? == (415, ProblemCode::GuardContentType));
    // A WebSocket, to which browsers apply no same-origin rule.
    let socket = host
        .get("/api/v1/machines/abcdefgh/serial")
        .header("Origin", "http://evil.example")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    ensure!(refusal(socket).await? == (403, ProblemCode::GuardOrigin));

    let servers: serde_json::Value = host.get(paths::SERVERS).send().await?.json().await?;
    ensure!(!servers.to_string().contains("127.0.0.1:9"), "nothing was added: {servers}");
    let page = host.get("/").header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "navigate");
    let page = page.header("Sec-Fetch-Dest", "document").send().await?;
    ensure!(page.status().is_success(), "a link to the shell works: {}", page.status());
    ensure!(page.headers().contains_key("content-security-policy"), "{:?}", page.headers());
    Ok(())
}

#[tokio::test]
async fn a_second_backend_on_the_same_state_is_refused() -> Result<()> {
    let home = Home::new()?;
    let first = Serve::start(&home, &[]).await?;
    let second = home.run(&["--json", "serve", "--listen", "127.0.0.1:0"]).await?;
    let problem = second.problem(6)?;
    ensure!(problem.code == ProblemCode::BackendRunning && problem.to_string().contains(&first.url), "{problem}");
    Ok(())
}

#[tokio::test]
async fn an_open_address_without_a_token_is_refused() -> Result<()> {
    let home = Home::new()?;
    let exposed = home.run(&["--json", "serve", "--listen", "0.0.0.0:0"]).await?;
    ensure!(exposed.problem(78)?.code == ProblemCode::ConfigExposed);
    Ok(())
}

#[tokio::test]
async fn files_that_are_not_images_end_with_the_documented_exit_codes() -> Result<()> {
    let home = Home::new()?;
    let image = fs::read(sample(LINUX)?)?;
    let file = |name: &str, bytes: &[u8]| -> Result<String> {
        let path = home.path().join(name);
        fs::write(&path, bytes)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let cut = file("cut.rts.png", &image[..image.len() / 2])?;
    let text = file("text.rts.png", b"not a picture")?;
    let mut flipped = image.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let flipped = file("flipped.rts.png", &flipped)?;
    let absent = home.path().join("absent.rts.png").to_string_lossy().into_owned();
    let empty = file("empty", b"")?;

    for (arguments, code) in [
        (vec!["verify", &cut], 1),
        (vec!["boot", &cut], 1),
        (vec!["verify", &text], 1),
        (vec!["inspect", &text], 1),
        (vec!["boot", &text], 1),
        (vec!["verify", &flipped], 5),
        (vec!["boot", &flipped], 5),
        (vec!["verify", &absent], 3),
        (vec!["boot", &absent], 3),
        (vec!["boot", "--wait", "0s", "http://127.0.0.1:9/x.rts.png"], 4),
    ] {
        let finished = home.run(&[&["--json"], arguments.as_slice()].concat()).await?;
        finished.problem(code).with_context(|| format!("{arguments:?}"))?;
    }
    ensure!(home.run(&["boot"]).await?.code == Some(2), "a command without its argument is misused");

    // An image without a kernel is an image, but it does not boot.
    let no_kernel = home.path().join("no-kernel.rts.png").to_string_lossy().into_owned();
    let packed = home.run(&["pack", "--kernel", &empty, "-o", &no_kernel]).await?;
    ensure!(packed.code != Some(0) || home.run(&["boot", &no_kernel]).await?.code != Some(0), "nothing to boot");
    let problem = home.run(&["--json", "boot", &old_image("tiny").to_string_lossy()]).await?.problem(1)?;
    ensure!(problem.code == ProblemCode::NoKernel, "{problem}");
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_full_disk_is_reported_and_leaves_nothing_half_written() -> Result<()> {
    let (server_home, home) = (Home::new()?, Home::new()?);
    let Some(disk) = SmallDisk::at(home.path().join("cache"), 2)? else {
        skip("root", "only root may mount a small disk");
        return Ok(());
    };
    let image = sample(LINUX)?;
    let server = Serve::catalog(&server_home, image.parent().context("a file is in a folder")?).await?;
    // When it answers, it has read its folder.
    server.own_catalog().await?;
    let full = |problem: &Problem| problem.code == ProblemCode::StorageFull && problem.why.contains(" MB are missing");

    let digest = sha256(&fs::read(&image)?);
    let address = format!("{}/api/v1/images/{digest}.rts.png", server.url);
    for command in ["fetch", "boot"] {
        let problem = home.run(&["--json", command, "--wait", "0s", &address]).await?.problem(1)?;
        ensure!(full(&problem), "{command}: {problem}");
    }
    let packed = disk.path().join("packed.rts.png");
    let pack = ["--json", "pack", "--kernel", &image.to_string_lossy(), "-o", &packed.to_string_lossy()];
    let problem = home.run(&pack).await?.problem(1)?;
    ensure!(problem.code == ProblemCode::StorageFull && !packed.exists(), "{problem}");

    let host = Serve::start(&home, &[]).await?;
    host.add_server(&server.url, "Next door").await?;
    host.entry("linux-busybox", |_| true).await?;
    let accepted: BootAccepted =
        good(host.post("/api/v1/catalog/linux-busybox/boot", &json!({}))).await?.json().await?;
    // The backend waits for room and says so, as long as the machine wants its image.
    let downloads = async || -> Result<Vec<Download>> { Ok(good(host.get(paths::DOWNLOADS)).await?.json().await?) };
    until("the download waits for room", async || {
        let waits = |download: &Download| download.waits_for.is_some() && download.problem.as_ref().is_some_and(full);
        Ok(downloads().await?.iter().any(waits).then_some(()))
    })
    .await?;
    good(host.request(reqwest::Method::DELETE, &paths::machine(&accepted.machine_id))).await?;
    until("the download has ended", async || {
        Ok(downloads().await?.iter().all(|download| download.stage.is_over()).then_some(()))
    })
    .await?;
    ensure!(home.cached().is_empty(), "{:?}", home.cached());
    host.stop().await?;
    drop(disk);
    home.expect_nothing_left().await
}

#[tokio::test]
async fn damaged_images_of_the_older_tools_are_refused() -> Result<()> {
    let home = Home::new()?;
    for (name, code) in [
        ("bad_truncated_idat", 1),
        ("bad_cut_file", 1),
        ("bad_data_hash", 5),
        ("bad_nonsquare", 1),
        ("bad_no_metadata", 1),
        ("bad_bomb_header", 1),
    ] {
        let image = old_image(name);
        for command in ["verify", "boot"] {
            let finished = home.run(&["--json", command, &image.to_string_lossy()]).await?;
            finished.problem(code).with_context(|| format!("{command} {name}"))?;
        }
    }
    home.expect_nothing_left().await
}
