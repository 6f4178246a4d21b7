//! `GET /api/v1/doctor` and `pixelrts doctor --json`: what is right and wrong with a computer.

use serde::{Deserialize, Serialize};

use crate::problem::{Level, Problem};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Whether no finding is an error, so that images can be booted here.
    pub ok: bool,
    pub findings: Vec<Finding>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The area and what was checked, as in `fuse.trial`.
    pub check: String,
    pub state: FindingState,
    /// One sentence for people.
    pub says: String,
    /// Every finding that is not `ok` has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    Ok,
    /// Nothing is wrong, but it could be better.
    Note,
    /// Something does not work; booting does.
    Warning,
    Error,
}

impl Finding {
    #[must_use]
    pub fn ok(check: impl Into<String>, says: impl Into<String>) -> Self {
        Self { check: check.into(), state: FindingState::Ok, says: says.into(), problem: None }
    }

    /// A finding that is not `ok`; the problem takes its level.
    #[must_use]
    pub fn of(check: impl Into<String>, state: FindingState, problem: impl Into<Problem>) -> Self {
        let level = match state {
            FindingState::Ok | FindingState::Note => Level::Info,
            FindingState::Warning => Level::Warn,
            FindingState::Error => Level::Error,
        };
        let problem = Problem { level, ..problem.into() };
        Self { check: check.into(), state, says: problem.what.clone(), problem: Some(problem) }
    }
}

impl Diagnosis {
    #[must_use]
    pub fn new(findings: Vec<Finding>) -> Self {
        Self { ok: findings.iter().all(|finding| finding.state != FindingState::Error), findings }
    }

    #[must_use]
    pub fn count(&self, state: FindingState) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    /// What does not work, and what is wrong.
    #[must_use]
    pub fn faults(&self) -> Vec<&Finding> {
        let is_fault = |state| matches!(state, FindingState::Warning | FindingState::Error);
        self.findings.iter().filter(|finding| is_fault(finding.state)).collect()
    }

    /// 0 without an error, else the exit code of the most serious one: first missing dependencies, then permissions, then
    /// the configuration, then all others.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let errors = self.findings.iter().filter(|finding| finding.state == FindingState::Error);
        let codes = errors.map(|finding| finding.problem.as_ref().map_or(1, |problem| problem.code.exit_code()));
        codes.min_by_key(|code| ([69, 77, 78].iter().position(|grave| grave == code).unwrap_or(3), *code)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProblemCode;

    #[test]
    fn the_gravest_error_decides() {
        let of = |state, code| Finding::of("a.b", state, Problem::new(code, "What.", "Why.", "Fix."));
        let (error, warning) = (FindingState::Error, FindingState::Warning);
        for (findings, exit) in [
            (vec![], 0),
            (vec![Finding::ok("a.b", "Fine."), of(warning, ProblemCode::DependencyMissing)], 0),
            (vec![of(error, ProblemCode::Busy)], 6),
            (vec![of(error, ProblemCode::StorageFull), of(error, ProblemCode::ConfigExposed)], 78),
            (vec![of(error, ProblemCode::PermissionDenied), of(error, ProblemCode::DependencyMissing)], 69),
        ] {
            let diagnosis = Diagnosis::new(findings);
            assert_eq!((diagnosis.exit_code(), diagnosis.ok), (exit, exit == 0), "{diagnosis:?}");
        }
    }

    #[test]
    fn a_finding_reads_as_documented() {
        let problem = Problem::new(ProblemCode::Busy, "What.", "Why.", "Fix.");
        let json = serde_json::to_value(Finding::of("address", FindingState::Warning, problem)).unwrap();
        assert_eq!((&json["state"], &json["says"]), (&"warning".into(), &"What.".into()));
        assert_eq!((&json["problem"]["level"], &json["problem"]["code"]), (&"warn".into(), &"conflict.busy".into()));
        assert!(serde_json::to_value(Finding::ok("a", "b")).unwrap().get("problem").is_none());
    }
}
