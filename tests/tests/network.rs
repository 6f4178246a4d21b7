//! Images over bad networks: the real binary against nginx, against our own catalog role, and against servers that fail,
//! lie, stall and die. What one answer of a server can do wrong in detail is in the tests of `remote`.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use pixelrts_shared::{ProblemCode, paths};
use pixelrts_testing::fault_server::FaultServer;
use pixelrts_testing::nginx::Nginx;
use pixelrts_tests::{Finished, Home, LINUX, Serve, good, sample, sha256, until};
use serde_json::json;

/// What may be on the way when a connection breaks: the buffers of the kernel on both sides.
const BUFFER: u64 = 1 << 20;
/// A wait of a download is a minute at most, and some servers here ask for several waits.
const PATIENCE: Duration = Duration::from_secs(180);

/// An image of 3 MiB that does not compress. It boots nothing.
async fn small_image() -> Result<Vec<u8>> {
    let home = Home::new()?;
    let (kernel, image) = (home.path().join("kernel"), home.path().join("small.rts.png"));
    let mut state = 1_u32;
    let bytes = (0..3 << 20).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    fs::write(&kernel, bytes.collect::<Vec<u8>>())?;
    let [kernel, path] = [&kernel, &image].map(|path| path.to_string_lossy().into_owned());
    home.run(&["pack", "--kernel", &kernel, "--name", "Small", "-o", &path]).await?.good()?;
    Ok(fs::read(image)?)
}

/// Runs `pixelrts ARGUMENTS` with these catalog servers, the first of which comes first.
async fn run(home: &Home, servers: &[String], arguments: &[&str]) -> Result<Finished> {
    let mut command = home.command(arguments);
    command.env("PIXELRTS_SERVERS", servers.join(",")).stdin(Stdio::null());
    tokio::time::timeout(PATIENCE, command.output()).await.context("the command does not end")??.try_into()
}

/// The only image in the cache has these bytes, and nothing else is left.
fn expect_cached(home: &Home, image: &[u8]) -> Result<()> {
    let [cached] = home.cached().try_into().map_err(|files| anyhow::anyhow!("one image is cached, not {files:?}"))?;
    ensure!(fs::read(cached)? == image, "other bytes are cached");
    ensure!(home.partial().is_empty(), "{:?}", home.partial());
    Ok(())
}

/// All failures in one.
fn all(outcomes: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let failures: Vec<_> = outcomes.into_iter().filter_map(|outcome| Some(format!("{:#}", outcome.err()?))).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

#[tokio::test]
async fn one_server_that_fails_in_any_way_is_enough() -> Result<()> {
    let image = small_image().await?;
    let server = FaultServer::start(image.clone());
    let faults = [
        "mirrors",
        "short206",
        "star206",
        "whole200",
        "disc1m",
        "http10",
        "chunked",
        "closeka",
        "signed",
        "signedmid",
        "busy429",
        "busydate",
        "cats3",
        "catspa",
        "catgz",
        "catbom",
        "catmemint",
        "catnull",
        "catname",
        "catescape",
        "catbadentry",
        "mix-quick-sound/1/6",
        "mix-quick-sound/2/6",
        "mix-sound/3/3",
    ];
    all(join_all(faults.map(|fault| {
        let (server, image) = (&server, &image);
        async move {
            let home = Home::new()?;
            run(&home, &[server.base(fault)], &["--quiet", "fetch", "five"]).await?.good().context(fault)?;
            expect_cached(&home, image).context(fault)?;
            let requests = server.image_requests(fault);
            let most = server.size() + requests.len() as u64 * BUFFER;
            // Some answers of a mix are dropped at their head, when the kernel has taken all of their bytes already.
            let is_mix = fault.starts_with("mix");
            ensure!(is_mix || server.image_bytes(fault) <= most, "{fault}: {requests:?}");
            Ok(())
        }
    }))
    .await)
}

#[tokio::test]
async fn an_honest_server_beside_one_that_lies_or_stalls_is_enough() -> Result<()> {
    let image = small_image().await?;
    let server = FaultServer::start(image.clone());
    let faults = [
        "catsize7",
        "etagflip",
        "wrong206",
        "lie206",
        "norangealt",
        "redirother",
        "catmem64t",
        "wrong",
        "discwrong",
        "html",
        "webp",
        "gzip",
        "e401",
        "e403",
        "e404",
        "e410",
        "e500",
        "less",
        "endless",
        "redirloop",
        "redirfile",
        "hugehdr",
        "hanghead",
        "hangmid",
        "drip",
        "mix/4/30",
        "mix/5/30",
    ];
    all(join_all(faults.map(|fault| {
        let (server, image) = (&server, &image);
        async move {
            let (home, since) = (Home::new()?, Instant::now());
            let servers = [server.base(fault), server.base(&format!("ok-beside-{fault}").replace('/', "-"))];
            run(&home, &servers, &["--quiet", "fetch", server.sha256()]).await?.good().context(fault)?;
            expect_cached(&home, image).context(fault)?;
            println!("{fault}: {:?}, {} requests", since.elapsed(), server.image_requests(fault).len());
            Ok(())
        }
    }))
    .await)
}

#[tokio::test]
async fn what_no_server_can_give_is_said_at_once_and_in_words() -> Result<()> {
    let server = FaultServer::start(small_image().await?);
    let cases: [(&str, ProblemCode, &[&str]); 7] = [
        ("html", ProblemCode::RemoteWebPage, &["HotelNet"]),
        ("webp", ProblemCode::NotAnImage, &["WebP"]),
        ("e404", ProblemCode::RemoteNotFound, &["404"]),
        ("e403", ProblemCode::RemoteDenied, &["403"]),
        ("wrong", ProblemCode::HashMismatch, &[]),
        ("discwrong", ProblemCode::HashMismatch, &[]),
        ("endless", ProblemCode::NotAnImage, &[]),
    ];
    all(join_all(cases.map(|(fault, code, words)| {
        let server = &server;
        async move {
            let (home, since) = (Home::new()?, Instant::now());
            let problem = run(&home, &[server.base(fault)], &["--json", "fetch", "five"]).await?;
            let problem = problem.problem(code.exit_code().into()).context(fault)?;
            let text = problem.to_string();
            ensure!(words.iter().all(|word| text.contains(word)), "{fault}: {text}");
            ensure!(!text.contains("[3c") && !text.contains("0x"), "{fault}: no bare digits: {text}");
            // The problem is told once, and not in the words of a log too.
            ensure!(!text.contains("WARN"), "{fault}: {text}");
            ensure!(since.elapsed() < Duration::from_secs(60), "{fault}: {:?}", since.elapsed());
            let requests = server.image_requests(fault);
            ensure!(requests.len() <= 6, "{fault}: {requests:?}");
            ensure!(home.cached().is_empty(), "{fault}: {:?}", home.cached());
            Ok(())
        }
    }))
    .await)
}

#[tokio::test]
async fn killed_downloads_continue_where_they_were() -> Result<()> {
    let image = small_image().await?;
    let server = FaultServer::start(image.clone());
    let fault = "rate/1500000";
    let home = Home::new()?;
    let kills = 5;
    for kill in 1..=kills {
        // Three times the command, then the backend.
        let by_backend = kill > 3;
        let mut command = if by_backend {
            home.command(&["serve", "--listen", "127.0.0.1:0"])
        } else {
            home.command(&["--quiet", "fetch", server.sha256()])
        };
        command.env("PIXELRTS_SERVERS", server.base(fault));
        let far = || server.image_bytes(fault) >= server.size() * kill / (kills + 1);
        if by_backend {
            let host = Serve::run(&home, command).await?;
            host.entry("five", |_| true).await?;
            good(host.post(paths::DOWNLOADS, &json!({"key": server.sha256()}))).await?;
            until("the download is far enough", async || Ok(far().then_some(()))).await?;
            host.kill().await?;
        } else {
            let mut child = command.stdin(Stdio::null()).spawn()?;
            until("the download is far enough", async || Ok(far().then_some(()))).await?;
            child.kill().await?;
        }
        ensure!(home.cached().is_empty(), "it was killed before its end");
    }
    run(&home, &[server.base(fault)], &["--quiet", "fetch", server.sha256()]).await?.good()?;
    expect_cached(&home, &image)?;
    // The server is slow, so little is on the way when a client dies.
    let (sent, most) = (server.image_bytes(fault), server.size() + kills * BUFFER / 4);
    ensure!(sent <= most, "{sent} of {most} bytes: {:?}", server.image_requests(fault));
    Ok(())
}

#[tokio::test]
async fn a_static_catalog_of_nginx_is_fetched_through_restarts_and_then_without_it() -> Result<()> {
    let image = fs::read(sample(LINUX)?)?;
    let (www, home) = (Home::new()?, Home::new()?);
    let own = Serve::catalog(&www, sample(LINUX)?.parent().context("a file is in a folder")?).await?;
    let mut catalog = own.own_catalog().await?;
    own.stop().await?;
    for entry in &mut catalog.entries {
        entry.url = Some(format!("{}.rts.png", entry.id));
    }
    let root = www.path().join("root");
    fs::create_dir(&root)?;
    fs::write(root.join("catalog.json"), serde_json::to_vec(&catalog)?)?;
    fs::copy(sample(LINUX)?, root.join(LINUX))?;
    let mut nginx = Nginx::start(&root, &www.path().join("nginx"), "limit_rate 4m;")?;
    let servers = [nginx.url()];

    let fetching = run(&home, &servers, &["--quiet", "fetch", "linux-busybox"]);
    let breaking = async {
        for kill in [true, false] {
            until("bytes arrive", async || Ok((!home.partial().is_empty()).then_some(()))).await?;
            tokio::time::sleep(Duration::from_millis(700)).await;
            if kill {
                nginx.kill()?
            } else {
                nginx.stop()?
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            nginx.start_again()?;
        }
        anyhow::Ok(nginx)
    };
    let (fetched, nginx) = tokio::join!(fetching, breaking);
    fetched?.good()?;
    expect_cached(&home, &image)?;

    drop(nginx?);
    run(&home, &servers, &["--quiet", "fetch", &sha256(&image)]).await?.good()?;
    Ok(())
}
