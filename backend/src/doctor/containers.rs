//! Container engines: nothing needs them, and `pixelrts up` uses one where it works.

use pixelrts_shared::doctor::{Finding, FindingState};

use crate::supervisor::{SupervisorError, engines};

pub(super) async fn look() -> Vec<Finding> {
    engines().await.into_iter().map(|(engine, found)| judge(engine.0, found)).collect()
}

fn judge(name: &str, found: Result<String, SupervisorError>) -> Finding {
    let check = format!("containers.{name}");
    match found {
        Ok(version) => Finding::ok(check, format!("{name} {version} answers.")),
        // Nothing needs it.
        Err(error) => Finding::of(check, FindingState::Note, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::Engine;

    #[test]
    fn a_client_without_an_engine_is_no_runtime() {
        assert_eq!(judge("podman", Ok("4.3.1".to_owned())).says, "podman 4.3.1 answers.");
        let missing = |installed| SupervisorError::RuntimeMissing {
            engine: Engine("docker"),
            installed,
            why: "Cannot connect to the Docker daemon".to_owned(),
            fix: "Start it: sudo systemctl start docker".to_owned(),
        };
        let silent = judge("docker", Err(missing(true)));
        assert!(silent.says.contains("is installed, but") && silent.state == FindingState::Note, "{silent:?}");
        let absent = judge("docker", Err(missing(false)));
        assert!(absent.says.contains("is not installed") && absent.problem.unwrap().fix.contains("--runtime process"));
    }
}
