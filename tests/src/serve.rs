//! A running `pixelrts serve`, and a client for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_shared::catalog::{Catalog, MergedEntry};
use pixelrts_shared::health::{BackendHealth, ModuleHealth};
use pixelrts_shared::{Problem, ServerId, paths};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::Home;
use crate::wait::until;

/// A backend on a free port. It is killed when this is dropped.
#[derive(Debug)]
pub struct Serve {
    /// `None` when somebody else started the backend.
    child: Option<Child>,
    /// The address, without a slash at the end.
    pub url: String,
    client: reqwest::Client,
    log: PathBuf,
}

impl Serve {
    /// Starts a catalog server for a folder of images.
    pub async fn catalog(home: &Home, images: &std::path::Path) -> Result<Self> {
        Self::start(home, &["--role", "catalog", "--catalog", &images.to_string_lossy()]).await
    }

    /// Starts `pixelrts serve --listen 127.0.0.1:0 ARGUMENTS`, and waits until it answers.
    pub async fn start(home: &Home, arguments: &[&str]) -> Result<Self> {
        Self::start_without_asking(home, arguments).await?.healthy().await
    }

    /// Starts a command that serves on a loopback address, and waits until it answers.
    pub async fn run(home: &Home, command: Command) -> Result<Self> {
        Self::spawn(home, command, None).await?.healthy().await
    }

    async fn healthy(self) -> Result<Self> {
        until("the backend is healthy", async || {
            let reply = self.get(paths::HEALTH).send().await?.error_for_status()?;
            Ok(Some(reply.json::<Value>().await?))
        })
        .await?;
        Ok(self)
    }

    /// Starts a backend that may want a token, and waits only until it listens. The client trusts the certificate that
    /// the arguments name, and no other.
    pub async fn start_without_asking(home: &Home, arguments: &[&str]) -> Result<Self> {
        let certificate = arguments.iter().position(|argument| *argument == "--tls-cert");
        let certificate = certificate.map(|place| home.path().join(arguments[place + 1]));
        let listen = if arguments.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
        Self::spawn(home, home.command(&[&["serve"], listen, arguments].concat()), certificate).await
    }

    async fn spawn(home: &Home, mut command: Command, certificate: Option<PathBuf>) -> Result<Self> {
        let (log, output) = home.log()?;
        let mut child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let url = until("the backend prints its address", async || {
            let text = std::fs::read_to_string(&log)?;
            if let Some(status) = child.try_wait()? {
                panic!("the backend ended with {status}");
            }
            Ok(address(&text))
        })
        .await?;
        Ok(Self { child: Some(child), log, ..Self::trusting(&url, certificate.as_deref())? })
    }

    /// A client for a backend that somebody else started.
    pub fn at(url: &str) -> Result<Self> {
        Self::trusting(url, None)
    }

    fn trusting(url: &str, certificate: Option<&Path>) -> Result<Self> {
        // A second call finds the provider installed already, and both are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if let Some(certificate) = certificate {
            let pem = std::fs::read(certificate)?;
            client = client.tls_certs_only([reqwest::Certificate::from_pem(&pem)?]);
        }
        Ok(Self { child: None, url: url.to_owned(), client: client.build()?, log: PathBuf::new() })
    }

    /// What the backend has printed.
    pub fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// What `/health` reports of one module.
    pub async fn module(&self, name: &str) -> Result<Vec<ModuleHealth>> {
        let health: BackendHealth = good(self.get(paths::HEALTH)).await?.json().await?;
        Ok(health.modules.into_iter().filter(|module| module.name == name).collect())
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

    /// The catalog of this server's own images.
    pub async fn own_catalog(&self) -> Result<Catalog> {
        Ok(good(self.get(paths::CATALOG)).await?.json().await?)
    }

    /// Adds a catalog server.
    pub async fn add_server(&self, url: &str, name: &str) -> Result<ServerId> {
        let reply = good(self.post(paths::SERVERS, &serde_json::json!({"url": url, "name": name}))).await?;
        let server: pixelrts_shared::server::Server = reply.json().await?;
        Ok(server.id)
    }

    /// Waits until the merged catalog has an entry with this id that `is` accepts.
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

    /// Asks the backend to read its configuration again (SIGHUP).
    pub fn hang_up(&self) -> Result<()> {
        self.signal(Signal::SIGHUP)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.child.as_ref().context("somebody else started this backend")?;
        let id = child.id().context("the backend has ended by itself")?;
        Ok(kill(Pid::from_raw(i32::try_from(id)?), signal)?)
    }

    /// Ends the backend with SIGKILL.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.as_mut().context("somebody else started this backend")?.kill().await?)
    }

    /// Asks the backend to end (SIGTERM), and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let child = self.child.as_mut().context("somebody else started this backend")?;
        let status =
            tokio::time::timeout(crate::DEADLINE, child.wait()).await.context("the backend does not end")??;
        ensure!(status.success(), "the backend ended with {status}");
        Ok(())
    }
}

/// Sends a request. A reply that is not a success becomes an error with the problem in it.
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

/// The first `http://127.0.0.1:PORT` of a complete line, or the same with https.
fn address(text: &str) -> Option<String> {
    let complete = &text[..text.rfind('\n')?];
    let mut words = complete.split(|letter: char| letter.is_whitespace() || matches!(letter, '"' | ','));
    words.find_map(|word| {
        let (scheme, port) = word.split_once("://127.0.0.1:")?;
        let port = port.split(|letter: char| !letter.is_ascii_digit()).next()?;
        matches!(scheme, "http" | "https").then(|| format!("{scheme}://127.0.0.1:{port}"))
    })
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
        assert_eq!(address("{\"url\":\"https://127.0.0.1:1\"}\n").as_deref(), Some("https://127.0.0.1:1"));
    }
}
