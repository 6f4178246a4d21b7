//! Container runtimes: needed by nobody, used by `pixelrts up` where one answers.

use std::io;

use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode};

use crate::supervisor::engines;

pub(super) async fn look() -> Vec<Finding> {
    engines().await.into_iter().map(|(engine, found)| judge(engine.0, found)).collect()
}

fn judge(name: &str, found: io::Result<String>) -> Finding {
    let check = format!("containers.{name}");
    let missing = |what: String, why: String, fix: String| {
        Finding::of(&check, FindingState::Note, Problem::new(ProblemCode::RuntimeMissing, what, why, fix))
    };
    match found {
        Ok(version) => Finding::ok(check, format!("{name} {version} answers.")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing(
            format!("{name} is not installed."),
            "No program of this name is in PATH; nothing needs it.".to_owned(),
            format!("To run the backend in a container: sudo apt-get install {}", package(name)),
        ),
        Err(error) => missing(
            format!("{name} is installed, but its engine does not answer."),
            error.to_string(),
            match name {
                "docker" => "Start the engine: sudo systemctl start docker; or without: pixelrts up --runtime process",
                _ => "See what is wrong with it: podman info; or without: pixelrts up --runtime process",
            }
            .to_owned(),
        ),
    }
}

fn package(name: &str) -> &str {
    if name == "docker" { "docker.io" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_an_engine_is_no_runtime() {
        assert_eq!(judge("podman", Ok("4.3.1".to_owned())).says, "podman 4.3.1 answers.");
        let silent = judge("docker", Err(io::Error::other("Cannot connect to the Docker daemon")));
        assert!(silent.says.contains("engine does not answer") && silent.state == FindingState::Note, "{silent:?}");
        let absent = judge("docker", Err(io::ErrorKind::NotFound.into()));
        assert!(absent.says.contains("not installed") && absent.problem.unwrap().fix.contains("docker.io"));
    }
}
