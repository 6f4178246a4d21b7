//! A running `pixelrts serve`, and a client for it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_shared::catalog::{Catalog, MergedEntry};
use pixelrts_shared::{Problem, ServerId, paths};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::process::Child;

use crate::Home;
use crate::wait::until;

/// A backend on a free port. Killed on drop.
#[derive(Debug)]
pub struct Serve {
    /// None: somebody else keeps it.
    child: Option<Child>,
    /// Without a slash at its end.
    pub url: String,
    client: reqwest::Client,
}

impl Serve {
    /// A catalog server for a folder of images.
    pub async fn catalog(home: &Home, images: &std::path::Path) -> Result<Self> {
        Self::start(home, &["--role", "catalog", "--catalog", &images.to_string_lossy()]).await
    }

    /// `pixelrts serve --listen 127.0.0.1:0 ARGUMENTS`; waits until it answers.
    pub async fn start(home: &Home, arguments: &[&str]) -> Result<Self> {
        let (log, output) = home.log()?;
        let mut child = home
            .command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let url = until("the backend prints its address", async || {
            let text = std::fs::read_to_string(&log)?;
            if let Some(status) = child.try_wait()? {
                panic!("the backend ended with {status}");
            }
            Ok(address(&text))
        })
        .await?;
        let serve = Self { child: Some(child), ..Self::at(&url)? };
        until("the backend is healthy", async || {
            let reply = serve.get(paths::HEALTH).send().await?.error_for_status()?;
            Ok(Some(reply.json::<Value>().await?))
        })
        .await?;
        Ok(serve)
    }

    /// A backend that somebody else keeps.
    pub fn at(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { child: None, url: url.to_owned(), client })
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// What this server itself offers.
    pub async fn own_catalog(&self) -> Result<Catalog> {
        Ok(good(self.get(paths::CATALOG)).await?.json().await?)
    }

    /// Adds a catalog server.
    pub async fn add_server(&self, url: &str, name: &str) -> Result<ServerId> {
        let reply = good(self.post(paths::SERVERS, &serde_json::json!({"url": url, "name": name}))).await?;
        let server: pixelrts_shared::server::Server = reply.json().await?;
        Ok(server.id)
    }

    /// Waits until the merged catalog has an entry of this id, in a state that `is` accepts.
    pub async fn entry(&self, id: &str, is: impl Fn(&MergedEntry) -> bool) -> Result<MergedEntry> {
        until(&format!("an entry {id}"), async || {
            let catalog: pixelrts_shared::catalog::MergedCatalog =
                good(self.get(paths::CATALOG_REMOTE)).await?.json().await?;
            let found = catalog.entries.iter().find(|one| one.entry.id.as_str() == id);
            ensure!(found.is_some(), "there are {:?}, errors {:?}", ids(&catalog.entries), catalog.errors);
            Ok(found.filter(|one| is(one)).cloned())
        })
        .await
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        let child = self.child.as_mut().context("it is not ours to end")?;
        let id = child.id().context("it ended by itself")?;
        kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGTERM)?;
        let status = tokio::time::timeout(crate::DEADLINE, child.wait()).await.context("it does not end")??;
        ensure!(status.success(), "the backend ended with {status}");
        Ok(())
    }
}

/// Sends it; a reply that is no success is an error with the problem in it.
pub async fn good(request: RequestBuilder) -> Result<Response> {
    let reply = request.send().await?;
    if reply.status().is_success() {
        return Ok(reply);
    }
    let status = reply.status();
    let text = reply.text().await?;
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => Err(problem.into()),
        Err(_) => anyhow::bail!("{status}: {text}"),
    }
}

/// The first `http://127.0.0.1:PORT` of a complete line.
fn address(text: &str) -> Option<String> {
    let complete = &text[..text.rfind('\n')?];
    let start = complete.find("http://127.0.0.1:")?;
    let end = complete[start + 17..].find(|letter: char| !letter.is_ascii_digit());
    Some(complete[start..end.map_or(complete.len(), |end| start + 17 + end)].to_owned())
}

fn ids(entries: &[MergedEntry]) -> Vec<&str> {
    entries.iter().map(|one| one.entry.id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_address_is_read_from_a_complete_line() {
        assert_eq!(address("Shell: http://127.0.0.1:80"), None);
        assert_eq!(address("a\nat http://127.0.0.1:8080/ now\n").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(address("http://127.0.0.1:1\n").as_deref(), Some("http://127.0.0.1:1"));
    }
}
