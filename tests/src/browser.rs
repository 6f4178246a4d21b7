//! A headless Chromium that a story drives through chromedriver.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::processes;
use crate::wait::until;

/// A browser with a fresh profile. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    pub driver: WebDriver,
    _chromedriver: Child,
    folder: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser for a story, and ends it afterwards. When the story fails, a screenshot of the page is kept.
    pub async fn tell(name: &str, story: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        let browser = Self::start().await?;
        let outcome = story(&browser).await;
        if outcome.is_err() {
            browser.screenshot(&format!("failed-{name}")).await?;
        }
        outcome
    }

    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut chromedriver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            // So that Chromium, and everything that it starts, writes into the story's folder only.
            .env("TMPDIR", folder.path())
            .spawn()
            .context("chromedriver")?;
        let mut lines = BufReader::new(chromedriver.stdout.take().context("no output")?).lines();
        let port = loop {
            let line = lines.next_line().await?.context("chromedriver ended")?;
            if let Some(port) = line.split("successfully on port ").nth(1) {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let mut capabilities = DesiredCapabilities::chrome();
        let data = format!("--user-data-dir={}", folder.path().join("profile").display());
        for argument in [
            "--headless=new",
            // The stories also run as root and in containers, where Chromium's own sandbox does not start.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
            "--window-size=1280,900",
            &data,
        ] {
            capabilities.add_arg(argument)?;
        }
        // The driver is an HTTP client. A second call finds the provider installed already, and both are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await?;
        Ok(Self { driver, _chromedriver: chromedriver, folder })
    }

    /// Waits for an element that is shown.
    pub async fn find(&self, css: &str) -> Result<WebElement> {
        until(&format!("an element {css}"), async || {
            for element in self.driver.find_all(By::Css(css)).await? {
                if element.is_displayed().await? {
                    return Ok(Some(element));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Waits until an element is shown whose text `is` accepts.
    pub async fn find_text(&self, css: &str, is: impl Fn(&str) -> bool) -> Result<String> {
        until(&format!("a text in {css}"), async || {
            let mut texts = Vec::new();
            for element in self.driver.find_all(By::Css(css)).await? {
                // `textContent` and not the visible text: the lines of a terminal are there for screen readers only.
                texts.push(element.prop("textContent").await?.unwrap_or_default());
            }
            let found = texts.iter().position(|text| is(text));
            ensure!(found.is_some(), "it says {texts:?}");
            Ok(found.map(|at| texts.swap_remove(at)))
        })
        .await
    }

    /// Waits until the button with this text is shown inside of what the selector finds, and presses it. An empty selector
    /// means the whole page.
    pub async fn press(&self, within: &str, label: &str) -> Result<()> {
        until(&format!("a button {label:?} to press"), async || {
            for button in self.driver.find_all(By::Css(format!("{within} button"))).await? {
                if button.is_displayed().await? && button.text().await?.trim() == label {
                    button.click().await?;
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Keeps a screenshot of the page in the folder of the stories.
    pub async fn screenshot(&self, name: &str) -> Result<()> {
        let folder = crate::given("PIXELRTS_STORIES")?;
        Ok(self.driver.screenshot(&folder.join(format!("{name}.png"))).await?)
    }
}

/// Kills browser and driver: asking them to end takes minutes when one of them hangs.
impl Drop for Browser {
    fn drop(&mut self) {
        // An error says that the session has ended already.
        let _ = self.driver.clone().leak();
        processes::kill_all_of(self.folder.path());
    }
}

/// A condition for [`Browser::find_text`].
pub fn contains(part: &str) -> impl Fn(&str) -> bool {
    move |text| text.contains(part)
}
