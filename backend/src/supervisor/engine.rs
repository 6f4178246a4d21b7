//! The client of a container engine, and how its commands are run.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// The program that is the engine's client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine(pub &'static str);

pub(super) const DOCKER: Engine = Engine("docker");
pub(super) const PODMAN: Engine = Engine("podman");

/// Runs a command of an engine. Returns the last line that it printed, or the last line of its error.
pub(super) async fn ask(engine: Engine, arguments: &[&str], deadline: Duration) -> io::Result<String> {
    let mut command = Command::new(engine.0);
    let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let late = |_| io::Error::other(format!("no answer within {deadline:?}"));
    let output = timeout(deadline, output).await.map_err(late)??;
    let last = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().lines().next_back().unwrap_or_default().to_owned();
    if output.status.success() { Ok(last(&output.stdout)) } else { Err(io::Error::other(last(&output.stderr))) }
}
