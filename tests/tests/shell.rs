//! A person in front of the browser adds a server, boots with a click and types into the console. Then server and
//! backend go away.

use anyhow::{Context, Result, ensure};
use pixelrts_shared::paths;
use pixelrts_tests::{Browser, Home, LINUX, Serve, StaticServer, contains, good, sample, until};

const CONSOLE: &str = "section.window[aria-label^='Serial console'] .xterm-accessibility-tree";

/// Adds a server in the dialog as a person does: the address is checked first, then added.
async fn add_server(browser: &Browser, url: &str, name: &str) -> Result<()> {
    browser.press("", "Add server").await?;
    browser.find("dialog input[name='url']").await?.send_keys(url).await?;
    browser.find("dialog input[name='name']").await?.send_keys(name).await?;
    browser.press("dialog", "Check").await?;
    browser.find_text("dialog [role='status']", contains("answered in")).await?;
    browser.press("dialog", "Add server").await
}

/// The selector of an image on the wall, by its name.
async fn object(browser: &Browser, name: &str) -> Result<String> {
    until(&format!("{name} on the wall"), async || {
        for object in browser.driver.find_all(thirtyfour::By::Css("article.image-card")).await? {
            if object.text().await?.contains(name) {
                let key = object.attr("data-key").await?.context("an object without a key")?;
                return Ok(Some(format!("article.image-card[data-key='{key}']")));
            }
        }
        Ok(None)
    })
    .await
}

/// Waits until the page shows that an image is in a state.
async fn state(browser: &Browser, object: &str, state: &str) -> Result<()> {
    browser.find(&format!("{object}[data-state='{state}']")).await.map(drop)
}

#[tokio::test]
async fn a_person_adds_a_server_boots_with_a_click_and_types_into_the_console() -> Result<()> {
    let (server_home, home) = (Home::new()?, Home::new()?);
    let server = Serve::catalog(&server_home, sample(LINUX)?.parent().expect("a file is in a folder")).await?;
    let host = Serve::start(&home, &[]).await?;
    Browser::tell("person", async |browser| {
        browser.driver.goto(&host.url).await?;
        browser.find("main.first-start").await?;
        browser.screenshot("1-empty").await?;
        add_server(browser, &server.url, "Office").await?;
        let linux = object(browser, "Linux with BusyBox").await?;
        let installer = object(browser, "Debian installer").await?;
        browser.find_text(&linux, contains("Office")).await?;
        browser.find(&format!("{linux} svg.emblem-plate")).await?;
        let thumbnails =
            "return performance.getEntriesByType('resource').filter(r => r.name.includes('thumbnails')).length";
        ensure!(*browser.driver.execute(thumbnails, vec![]).await?.json() == 0, "at rest no thumbnail is asked for");
        browser.screenshot("2-catalog").await?;

        // The details have the picture.
        browser.find(&format!("{linux} h2 button")).await?.click().await?;
        until("the picture is there", async || {
            let script = "const i = document.querySelector('.details img'); return i && i.naturalWidth > 0";
            Ok((*browser.driver.execute(script, vec![]).await?.json() == true).then_some(()))
        })
        .await?;
        browser.screenshot("2-details").await?;
        browser.find("[aria-label='Close details']").await?.click().await?;

        browser.press(&linux, "Boot").await?;
        browser.screenshot("3-booting").await?;
        browser.find_text(CONSOLE, contains("pixelrts#")).await?;
        state(browser, &linux, "running").await?;
        browser.find("section.window .console-terminal").await?.click().await?;
        // The console echoes what is typed, so the expected text must not be part of it.
        browser.driver.active_element().await?.send_keys("echo $((6 * 7))-$(uname -s)\n").await?;
        browser.find_text(CONSOLE, contains("42-Linux")).await?;
        browser.screenshot("4-console").await?;

        // After a reload the console is still there, because the machine keeps its last output.
        browser.driver.refresh().await?;
        state(browser, &linux, "running").await?;
        browser.press(&linux, "Open").await?;
        browser.find_text(CONSOLE, contains("42-Linux")).await?;
        browser.driver.active_element().await?.send_keys("poweroff -f\n").await?;
        state(browser, &linux, "stopped").await?;
        until("no machine is left", async || {
            let left = home.processes()?;
            Ok((!left.iter().any(|process| process.command.contains("qemu-system"))).then_some(()))
        })
        .await?;

        server.stop().await?;
        // Without this, the backend asks its servers only once a minute.
        good(host.request(reqwest::Method::POST, paths::CATALOG_REFRESH)).await?;
        browser.driver.refresh().await?;
        state(browser, &installer, "away").await?;
        browser.find_text(&linux, contains("Works without a network")).await?;
        browser.screenshot("5-server-gone").await?;

        host.stop().await?;
        browser.find("[role='alert']").await?;
        ensure!(object(browser, "Debian installer").await? == installer);
        ensure!(
            !browser.driver.find(thirtyfour::By::Id("fault")).await?.is_displayed().await?,
            "the page stopped working"
        );
        browser.screenshot("6-backend-gone").await?;
        Ok(())
    })
    .await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn the_shell_says_why_an_image_is_refused() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::start(&home, &[]).await?;
    let liar = StaticServer::with_one_wrong_byte().await?;
    Browser::tell("refused", async |browser| {
        browser.driver.goto(&host.url).await?;
        add_server(browser, &liar.url, "Liar").await?;
        let linux = object(browser, "Linux with BusyBox").await?;
        browser.press(&linux, "Boot").await?;
        state(browser, &linux, "failed").await?;
        browser.find_text(&format!("{linux} .what"), |text| !text.is_empty()).await?;
        browser.screenshot("7-refused").await?;
        // The card has one sentence; the details say why, and what to do about it.
        browser.find(&format!("{linux} h2 button")).await?.click().await?;
        browser.find(".details .problem-sentence").await?;
        browser.find_text(".details .problem summary", contains("Why")).await?;
        ensure!(home.cached().is_empty(), "{:?}", home.cached());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_address_without_a_server_is_reported_before_it_is_added() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::start(&home, &[]).await?;
    Browser::tell("no-server", async |browser| {
        browser.driver.goto(&host.url).await?;
        browser.press("", "Add server").await?;
        browser.find("dialog input[name='url']").await?.send_keys("http://127.0.0.1:9").await?;
        browser.press("dialog", "Check").await?;
        browser.find_text("dialog .problem-fix", |text| !text.is_empty()).await?;
        browser.screenshot("8-no-server").await?;
        let servers = host.get(paths::SERVERS).send().await?.text().await?;
        ensure!(!servers.contains("127.0.0.1:9"), "{servers}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_page_opens_without_its_backend_and_reconnects_by_itself() -> Result<()> {
    let (server_home, home) = (Home::new()?, Home::new()?);
    let server = Serve::catalog(&server_home, sample(LINUX)?.parent().expect("a file is in a folder")).await?;
    let host = Serve::start(&home, &[]).await?;
    let address = host.url.clone();
    let listen = address.trim_start_matches("http://").to_owned();
    Browser::tell("offline", async |browser| {
        browser.driver.goto(&address).await?;
        add_server(browser, &server.url, "Office").await?;
        let linux = object(browser, "Linux with BusyBox").await?;
        until("the service worker has all files", async || {
            let script = "return navigator.serviceWorker.controller?.state ?? ''";
            Ok((*browser.driver.execute(script, vec![]).await?.json() == "activated").then_some(()))
        })
        .await?;
        let script = "const done = arguments[0]; (async () => { const all = []; \
            for (const name of await caches.keys()) for (const request of await (await caches.open(name)).keys()) \
            all.push(new URL(request.url).pathname); done(all); })()";
        let kept: Vec<String> = browser.driver.execute_async(script, vec![]).await?.convert()?;
        ensure!(kept.contains(&"/".to_owned()) && kept.iter().any(|path| path.contains("/rest-")), "{kept:?}");
        ensure!(!kept.iter().any(|path| path.starts_with("/api/")), "replies of the API are kept: {kept:?}");

        host.stop().await?;
        browser.driver.refresh().await?;
        browser.find_text("[role='alert']", contains("does not answer")).await?;
        ensure!(object(browser, "Linux with BusyBox").await? == linux);
        browser.screenshot("9-offline").await?;

        let again = Serve::start(&home, &["--listen", &listen]).await?;
        until("the page has reconnected", async || {
            Ok(browser.driver.find_all(thirtyfour::By::Css(".banner")).await?.is_empty().then_some(()))
        })
        .await?;
        again.stop().await
    })
    .await?;
    server.stop().await
}
