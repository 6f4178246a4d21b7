//! A backend that other computers reach: TLS, the token, the login that works once, and a private catalog.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pixelrts_shared::catalog::MergedCatalog;
use pixelrts_shared::server::{HealthState, Server};
use pixelrts_shared::{Problem, ProblemCode, paths};
use pixelrts_tests::{DEADLINE, Home, LINUX, Serve, good, sample, until};
use reqwest::StatusCode;
use serde_json::json;
use tokio::net::TcpStream;

const TLS: [&str; 4] = ["--tls-cert", "tls/cert.pem", "--tls-key", "tls/key.pem"];

#[tokio::test]
async fn only_clients_that_trust_its_certificate_reach_a_shell_with_tls() -> Result<()> {
    let home = Home::new()?;
    let shell = Serve::start(&home, &TLS).await?;
    ensure!(shell.url.starts_with("https://"), "{}", shell.url);
    let mode = fs::metadata(home.path().join("tls/key.pem"))?.mode();
    ensure!(mode & 0o777 == 0o600, "the key has mode {mode:o}");
    ensure!(shell.said()?.contains("SHA-256 "), "its fingerprint is printed: {}", shell.said()?);

    let stranger = reqwest::get(format!("{}{}", shell.url, paths::HEALTH)).await;
    ensure!(
        stranger.is_err_and(|error| error.is_connect()),
        "a client that does not trust the certificate is not connected"
    );

    // Plain HTTP is not a handshake, so the connection ends at once and not after the handshake's deadline.
    let address = shell.url.trim_start_matches("https://").to_owned();
    let asked = Instant::now();
    ensure!(reqwest::get(format!("http://{address}/")).await.is_err(), "plain HTTP is refused");
    ensure!(asked.elapsed() < Duration::from_secs(8), "refused after {:?}", asked.elapsed());

    // Clients that send nothing delay nobody, and their connections are closed.
    let silent = (0..20).map(|_| std::net::TcpStream::connect(&address)).collect::<Result<Vec<_>, _>>()?;
    good(shell.get(paths::HEALTH)).await?;
    let first = silent.into_iter().next().context("twenty were opened")?;
    first.set_nonblocking(true)?;
    let ended = TcpStream::from_std(first)?;
    let cut_off = tokio::time::timeout(DEADLINE, ended.readable()).await;
    ensure!(cut_off.is_ok() && ended.try_read(&mut [0; 1])? == 0, "a handshake that is not finished is cut off");

    // The command line finds the running backend and trusts it, wherever it is started.
    let mut command = home.command(&["--json", "fetch", "no-such-entry"]);
    let output = command.current_dir("/").output().await?;
    let problem: Problem = serde_json::from_slice(&output.stdout)?;
    ensure!(problem.code == ProblemCode::EntryNotFound, "{problem}");
    shell.stop().await
}

#[tokio::test]
async fn a_shell_that_others_can_reach_needs_tls_a_token_and_a_login() -> Result<()> {
    let home = Home::new()?;
    let bare = home.run(&["--json", "serve", "--listen", "0.0.0.0:0"]).await?.problem(78)?;
    ensure!(bare.code == ProblemCode::ConfigExposed && bare.fix.contains("--tls-cert"), "{bare}");
    let half = home.run(&["--json", "serve", "--tls-cert", "cert.pem"]).await?;
    ensure!(half.code == Some(2), "a certificate without a key is misused: {half:?}");

    let arguments = [&["--listen", "0.0.0.0:0", "--token-file", "secret/token"], TLS.as_slice()].concat();
    let shell = Serve::start_without_asking(&home, &arguments).await?;
    let refused = shell.get(paths::HEALTH).send().await?;
    ensure!(refused.status() == StatusCode::UNAUTHORIZED, "without a token: {}", refused.status());
    let token = fs::read_to_string(home.path().join("secret/token"))?;
    good(shell.get(paths::HEALTH).bearer_auth(token.trim())).await?;

    let said = shell.said()?;
    let login = said.split_whitespace().find(|word| word.contains("/?login=")).context("a login is printed")?;
    let login = login.trim_start_matches(&shell.url);
    let entered = shell.get(login).send().await?;
    ensure!(entered.status() == StatusCode::SEE_OTHER, "the login works: {}", entered.status());
    let cookie = entered.headers()["set-cookie"].to_str()?.to_owned();
    ensure!(cookie.contains("; Secure") && cookie.contains("HttpOnly"), "{cookie}");
    let session = cookie.split(';').next().context("a cookie has a value")?;
    good(shell.get(paths::HEALTH).header("Cookie", session)).await?;
    ensure!(shell.get(login).send().await?.status() == StatusCode::UNAUTHORIZED, "and only once");
    // A page that was loaded without TLS is another origin.
    let foreign = shell.post(paths::CATALOG_REFRESH, &json!({})).header("Cookie", session);
    let foreign = foreign.header("Origin", shell.url.replace("https", "http")).send().await?;
    ensure!(foreign.json::<Problem>().await?.code == ProblemCode::GuardOrigin);
    shell.stop().await
}

#[tokio::test]
async fn a_private_catalog_answers_only_with_its_token() -> Result<()> {
    let (server_home, home) = (Home::new()?, Home::new()?);
    let image = sample(LINUX)?;
    let folder = image.parent().context("a file is in a folder")?.to_string_lossy().into_owned();
    let private =
        Serve::start_without_asking(&server_home, &["--role", "catalog", "--private", "--catalog", &folder]).await?;
    let refused = private.get(paths::CATALOG).send().await?;
    ensure!(refused.status() == StatusCode::UNAUTHORIZED);
    ensure!(refused.json::<Problem>().await?.code == ProblemCode::GuardToken);
    let token = fs::read_to_string(server_home.path().join("state/pixelrts/token"))?;
    good(private.get(paths::CATALOG).bearer_auth(token.trim())).await?;

    let shell = Serve::start(&home, &[]).await?;
    let id = shell.add_server(&private.url, "Private").await?;
    let server = until("the server has been asked", async || {
        let servers: Vec<Server> = good(shell.get(paths::SERVERS)).await?.json().await?;
        Ok(servers.into_iter().find(|server| server.health.state == HealthState::Down))
    })
    .await?;
    let problem = server.health.last_error.context("it says why")?;
    ensure!(problem.code == ProblemCode::RemoteDenied && problem.fix.contains("token"), "{problem}");

    let change = shell.request(reqwest::Method::PATCH, &format!("{}/{id}", paths::SERVERS));
    let changed = good(change.json(&json!({"auth": token.trim()}))).await?.text().await?;
    ensure!(!changed.contains(token.trim()), "the secret is not sent back: {changed}");
    shell.entry("linux-busybox", |_| true).await?;
    // The image's bytes need the token too.
    good(shell.post(paths::DOWNLOADS, &json!({"key": "linux-busybox"}))).await?;
    until("the image is in the cache", async || {
        let catalog: MergedCatalog = good(shell.get(paths::CATALOG_REMOTE)).await?.json().await?;
        Ok(catalog.entries.iter().any(|one| one.cached).then_some(()))
    })
    .await?;
    ensure!(home.cached().len() == 1, "{:?}", home.cached());
    Ok(())
}
