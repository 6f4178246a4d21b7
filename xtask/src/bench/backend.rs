//! A backend whose start, answers and memory are measured: the release binary, in a home of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::BINARY;
use super::paired::process_mib;

/// A command whose files all lie below `home`.
pub(crate) fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    let home = std::path::absolute(home).unwrap_or_else(|_| home.to_owned());
    command.env("HOME", &home);
    for kind in ["CACHE_HOME", "STATE_HOME", "CONFIG_HOME", "RUNTIME_DIR"] {
        command.env(format!("XDG_{kind}"), home.join(kind.to_lowercase()));
    }
    command
}

pub(crate) struct Backend {
    child: Child,
    began: Instant,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
}

/// A backend that has ended. Its log is in the home.
pub(crate) struct Stopped;

impl Backend {
    /// Starts `pixelrts serve ARGUMENTS` on a free port, and waits until it prints its address.
    pub(crate) fn start(home: &Path, arguments: &[&str], variables: &[(&str, String)]) -> Result<Self> {
        std::fs::create_dir_all(home)?;
        let mut command = command(BINARY, home);
        command.args(["--json", "serve", "--listen", "127.0.0.1:0"]).args(arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let log = std::fs::File::create(home.join("log"))?;
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().context(BINARY)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("standard output is piped")?).read_line(&mut line)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next());
        let address = address.with_context(|| format!("the backend prints no address: {line}"))?.to_owned();
        Ok(Self { child, began, address })
    }

    /// Starts a catalog server for a folder of images.
    pub(crate) fn catalog(home: &Path, images: &Path) -> Result<Self> {
        Self::start(home, &["--role", "catalog", "--catalog", &images.to_string_lossy()], &[])
    }

    /// The time since the start of the process, in milliseconds.
    pub(crate) fn since(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }

    /// The whole answer, with its head.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer:.200}");
        Ok(answer)
    }

    /// The digests of this server's own images.
    pub(crate) fn catalog_digests(&self) -> Result<Vec<String>> {
        let catalog = self.get("/api/v1/catalog")?;
        // Segments have digests too, but no address and no identifier.
        let entries = catalog.split("{\"id\":").skip(1);
        let digest = |entry: &str| Some(entry.split("\"sha256\":\"").nth(1)?.get(..64)?.to_owned());
        Ok(entries.filter_map(digest).collect())
    }

    /// The resident memory, in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        process_mib(self.child.id(), "VmRSS")
    }

    /// The most memory until now, in MiB.
    pub(crate) fn peak_memory(&self) -> Result<f64> {
        process_mib(self.child.id(), "VmHWM")
    }

    pub(crate) fn stop(mut self) -> Result<Stopped> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the backend ended with {status}");
        Ok(Stopped)
    }
}

impl Stopped {
    pub(crate) fn log(&self, home: &Path) -> Result<String> {
        Ok(std::fs::read_to_string(home.join("log"))?)
    }

    /// How long the bootstrap phase took, as it logs it, in milliseconds.
    pub(crate) fn bootstrap(&self, home: &Path) -> Result<f64> {
        let log = self.log(home)?;
        let line = log
            .lines()
            .find_map(|line| line.split("Bootstrap phase: ").nth(1))
            .context("the backend logs no bootstrap phase")?;
        let words: Vec<_> = line.split(' ').collect();
        let at = words.iter().position(|word| *word == "ms").context("no time in ms")?;
        words[..at].last().context("no number")?.parse().with_context(|| line.to_owned())
    }
}

/// A backend that was not stopped, because a measurement failed.
impl Drop for Backend {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
