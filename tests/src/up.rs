//! A running `pixelrts up`, and the container that it may have.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_shared::health::{PING, PONG};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdout, Command};

use crate::wait::{DEADLINE, until};
use crate::{Home, Serve};

const IMAGE: &str = "localhost/pixelrts:latest";
/// The name of the container, which is the same in every home.
const CONTAINER: &str = "pixelrts-backend";

/// `pixelrts up` with one backend. When this is dropped, both are killed, and the container is removed.
#[derive(Debug)]
pub struct Up {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    home: PathBuf,
    runtime: &'static str,
}

impl Up {
    /// Starts `pixelrts up --json --runtime RUNTIME --listen 127.0.0.1:0 ARGUMENTS`.
    pub fn start(home: &Home, runtime: &'static str, arguments: &[&str]) -> Result<Self> {
        Self::start_with(home, runtime, arguments, &[])
    }

    /// Starts it with more variables in its environment.
    pub fn start_with(
        home: &Home,
        runtime: &'static str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let (log, output) = home.log()?;
        let mut command = home.command(&[&["up", "--json", "--runtime", runtime], arguments].concat());
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(output);
        let mut child = command.spawn()?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { child, answers, log, home: home.path().to_owned(), runtime })
    }

    /// Waits until the backend answers, for the first time or again.
    pub async fn ready(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(DEADLINE, self.answers.next_line()).await;
        let line = line.context("the backend is not ready")??.context("`pixelrts up` has ended")?;
        serde_json::from_str(&line).with_context(|| line)
    }

    /// Waits until the backend answers. Returns a client for it.
    pub async fn backend(&mut self) -> Result<Serve> {
        let ready = self.ready().await?;
        Serve::at(ready["url"].as_str().context("no url is printed")?)
    }

    /// The rest of its standard output, to be called after its end.
    pub async fn rest(&mut self) -> Result<String> {
        let mut text = String::new();
        self.answers.get_mut().read_to_string(&mut text).await?;
        Ok(text)
    }

    /// Everything that it and its backend have logged.
    pub fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// Waits until the log contains this text.
    pub async fn says(&self, text: &str) -> Result<Instant> {
        until(&format!("the log contains {text:?}"), async || Ok(self.said()?.contains(text).then_some(()))).await?;
        Ok(Instant::now())
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.home.join("run/pixelrts/kernel.sock")
    }

    /// The process of the backend, as this computer sees it.
    pub async fn pid(&self) -> Result<Pid> {
        let id = match self.runtime {
            "process" => {
                let mut all = crate::processes::of(&self.home)?.into_iter();
                all.find(|process| process.command.contains(" serve ")).map(|process| process.id.as_raw())
            }
            _ => self.inspect("{{.State.Pid}}").await?.parse().ok(),
        };
        Ok(Pid::from_raw(id.context("there is no backend")?))
    }

    /// What the engine knows about the container.
    pub async fn inspect(&self, format: &str) -> Result<String> {
        engine_says(self.runtime, &["inspect", "--format", format, CONTAINER]).await
    }

    /// Sends a signal to the backend. Returns when it was sent.
    pub async fn signal_backend(&self, signal: Signal) -> Result<Instant> {
        kill(self.pid().await?, signal)?;
        Ok(Instant::now())
    }

    /// The process of `pixelrts up` itself.
    pub fn own_pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id().context("`pixelrts up` has ended already")?)?))
    }

    /// Sends a signal to `pixelrts up` itself.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(self.own_pid()?, signal)?)
    }

    /// Waits until `pixelrts up` ends.
    pub async fn end(&mut self) -> Result<ExitStatus> {
        tokio::time::timeout(DEADLINE, self.child.wait())
            .await
            .context("`pixelrts up` does not end")?
            .context("no status")
    }

    /// Asks `pixelrts up` to end, and checks that nothing of it is left.
    pub async fn stop(mut self, home: &Home) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let status = self.end().await?;
        ensure!(status.success(), "{status}: {}", self.said()?);
        home.expect_no_machine().await?;
        ensure!(!self.socket().exists(), "the socket is left");
        ensure!(containers(self.runtime).await?.is_empty(), "a container is left");
        Ok(())
    }
}

/// A story that failed must not leave its container behind.
impl Drop for Up {
    fn drop(&mut self) {
        if self.runtime == "podman" {
            let remove = ["rm", "--force", "--time", "0", CONTAINER];
            // There may be no container.
            let _ = std::process::Command::new(self.runtime).args(remove).stderr(Stdio::null()).output();
        }
    }
}

/// Sends a ping to the health socket and waits for the answer. Returns how long that took.
pub async fn ping(socket: &std::path::Path) -> Result<Duration> {
    let since = Instant::now();
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(PING.as_bytes()).await?;
    let mut answer = [0; PONG.len()];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut answer)).await??;
    ensure!(answer == PONG.as_bytes(), "{answer:?}");
    Ok(since.elapsed())
}

/// The containers that have the name of ours, whether they run or not.
async fn containers(engine: &str) -> Result<String> {
    if engine != "podman" {
        return Ok(String::new());
    }
    engine_says(engine, &["ps", "--all", "--quiet", "--filter", &format!("name=^{CONTAINER}$")]).await
}

/// Podman, when it can start containers here; otherwise the story skips. Only a missing image is a failure.
pub async fn podman() -> Result<Option<&'static str>> {
    let tried = engine_says("podman", &["run", "--rm", "--pull", "never", IMAGE, "--version"]).await;
    if let Err(error) = tried {
        let has_image = engine_says("podman", &["image", "inspect", "--format", "{{.Id}}", IMAGE]).await.is_ok();
        let works = engine_says("podman", &["info", "--format", "{{.Version.Version}}"]).await.is_ok();
        ensure!(has_image || !works, "podman has no image {IMAGE}: run `cargo xtask image`");
        crate::skip("podman", &format!("podman cannot start containers here: {error:#}"));
        return Ok(None);
    }
    Ok(Some("podman"))
}

/// Runs a command of a container engine. Returns what it prints.
async fn engine_says(engine: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(engine).args(arguments).stdin(Stdio::null()).output().await?;
    if !output.status.success() {
        bail!("{engine} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
