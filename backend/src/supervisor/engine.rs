//! Which runtime there is. An engine is asked, and tried out: a client in `PATH` proves nothing, and an engine that
//! answers may still be unable to run containers here.

use std::env::consts::OS;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::SupervisorError;
use super::install::fix;
use super::{RuntimeChoice, Settings};

/// An engine that is there answers in a fraction of a second.
const ANSWER: Duration = Duration::from_secs(5);
/// A first container may have to unpack its image.
const TRIAL: Duration = Duration::from_secs(20);

/// The program that is its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine(pub &'static str);

pub(super) const DOCKER: Engine = Engine("docker");
pub(super) const PODMAN: Engine = Engine("podman");

/// Asks both at once, for 5 s at most: the version of the engine, or why there is none. The error is of the kind
/// `NotFound` where not even a client is installed.
pub async fn engines() -> [(Engine, io::Result<String>); 2] {
    // The version of docker's client would prove nothing; podman is its own engine.
    let docker = ask(DOCKER, &["version", "--format", "{{.Server.Version}}"], ANSWER);
    let podman = ask(PODMAN, &["info", "--format", "{{.Version.Version}}"], ANSWER);
    let (docker, podman) = tokio::join!(docker, podman);
    [(DOCKER, docker), (PODMAN, podman)]
}

/// The engine to use (none: a process will do), and why it is this one. An engine that is named must be there.
pub async fn choose(settings: &Settings) -> Result<(Option<Engine>, String), SupervisorError> {
    let named = match settings.runtime {
        RuntimeChoice::Process => return Ok((None, "it was asked for".to_owned())),
        RuntimeChoice::Docker => Some(DOCKER),
        RuntimeChoice::Podman => Some(PODMAN),
        RuntimeChoice::Auto => None,
    };
    let (image, mut reasons) = (&settings.image, "no container engine can be used, and none is needed".to_owned());
    let answers = engines().await.into_iter();
    for (engine, answer) in answers.filter(|(engine, _)| named.is_none_or(|named| named == *engine)) {
        let error = match answer {
            Ok(_) if ask(engine, &["image", "inspect", "--format", "{{.Id}}", image], ANSWER).await.is_err() => {
                SupervisorError::ImageMissing { engine, image: image.clone() }
            }
            Ok(version) => match ask(engine, &["run", "--rm", "--pull", "never", image, "--version"], TRIAL).await {
                Ok(_) => return Ok((Some(engine), format!("version {version} runs containers"))),
                Err(error) => unusable(engine, &error),
            },
            Err(error) => unusable(engine, &error),
        };
        if named.is_some() {
            return Err(error);
        }
        reasons += &format!("; {error}");
    }
    Ok((None, reasons))
}

fn unusable(engine: Engine, error: &io::Error) -> SupervisorError {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let installed = error.kind() != io::ErrorKind::NotFound;
    let fix = fix(engine, installed, OS, &read("/etc/os-release"), &read("/proc/version"));
    SupervisorError::RuntimeMissing { engine, why: error.to_string(), fix }
}

/// Runs a command of an engine: the last line that it printed, or that it complained with.
pub(super) async fn ask(engine: Engine, arguments: &[&str], deadline: Duration) -> io::Result<String> {
    let mut command = Command::new(engine.0);
    let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let late = |_| io::Error::other(format!("no answer within {deadline:?}"));
    let output = timeout(deadline, output).await.map_err(late)??;
    let last = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().lines().next_back().unwrap_or_default().to_owned();
    if output.status.success() { Ok(last(&output.stdout)) } else { Err(io::Error::other(last(&output.stderr))) }
}
