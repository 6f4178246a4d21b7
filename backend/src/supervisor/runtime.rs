//! Chooses the runtime of the backend. An engine must answer and must run a container: a client in `PATH` proves
//! nothing, and an engine that answers may still be unable to run containers here.

use std::env::consts::OS;
use std::io;
use std::time::Duration;

use super::engine::{DOCKER, Engine, PODMAN, ask};
use super::error::SupervisorError;
use super::install::how_to_get;
use super::{RuntimeChoice, SupervisorSettings};

/// An engine that works answers in a fraction of a second.
const ANSWER: Duration = Duration::from_secs(5);
/// A first container may have to unpack its image.
const TRIAL: Duration = Duration::from_secs(20);

/// Asks both engines at the same time, for 5 s at most: their versions, or why they cannot be used.
pub async fn engines() -> [(Engine, Result<String, SupervisorError>); 2] {
    // The version of docker's client would prove nothing. Podman has no engine besides its client.
    let docker = ask(DOCKER, &["version", "--format", "{{.Server.Version}}"], ANSWER);
    let podman = ask(PODMAN, &["info", "--format", "{{.Version.Version}}"], ANSWER);
    let (docker, podman) = tokio::join!(docker, podman);
    [(DOCKER, docker), (PODMAN, podman)]
        .map(|(engine, answer)| (engine, answer.map_err(|error| unusable(engine, &error))))
}

/// The engine to use (`None`: the backend runs as a process), and the reason for this choice. An engine that the user
/// names must work.
pub async fn choose(settings: &SupervisorSettings) -> Result<(Option<Engine>, String), SupervisorError> {
    let named = match settings.runtime {
        RuntimeChoice::Process => return Ok((None, "it was requested".to_owned())),
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
            Err(error) => error,
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
    let why = if installed { error.to_string() } else { "no program of this name is in PATH".to_owned() };
    let fix = how_to_get(engine, installed, OS, &read("/etc/os-release"), &read("/proc/version"));
    SupervisorError::RuntimeMissing { engine, installed, why, fix }
}
