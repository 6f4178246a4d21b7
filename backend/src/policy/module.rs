//! A module of the running backend, or the reason why it is missing.
//!
//! Modules load in two phases. *Register* makes a module's services: when that fails the module is excluded, its API
//! calls are refused with the reason, and the others run. *Initialise* does the first work: when that fails the
//! module is degraded, and only says so.

use std::sync::Arc;

use pixelrts_shared::{Level, Problem, ProblemCode};

use crate::report;

/// Clones share the reason.
#[derive(Clone, Debug)]
pub struct Module<T>(Result<T, Arc<Excluded>>);

#[derive(Clone, Debug)]
struct Excluded {
    module: &'static str,
    problem: Problem,
}

impl<T> Module<T> {
    /// Keeps what was made, or reports why it could not be made.
    pub fn register(module: &'static str, made: Result<T, Problem>) -> Self {
        Self(made.map_err(|problem| {
            report::problem(Level::Error, &problem, &format!("the module {module} is excluded"));
            Arc::new(Excluded { module, problem })
        }))
    }

    /// The module, or the refusal of a call to it.
    pub fn get(&self) -> Result<&T, Problem> {
        self.0.as_ref().map_err(|excluded| Excluded::clone(excluded).into())
    }

    /// The module, or the reason itself: for a command, which makes its modules each time it runs.
    pub fn or_reason(&self) -> Result<&T, Problem> {
        self.0.as_ref().map_err(|excluded| excluded.problem.clone())
    }

    /// Why it is missing.
    pub fn excluded(&self) -> Option<&Problem> {
        self.0.as_ref().err().map(|excluded| &excluded.problem)
    }
}

impl From<Excluded> for Problem {
    fn from(Excluded { module, problem }: Excluded) -> Self {
        Self::new(
            ProblemCode::ModuleExcluded,
            format!("The module {module} of the backend is not available."),
            format!("{} {}", problem.what, problem.why),
            format!("Do this, then start the backend again: {}", problem.fix),
        )
        .context(format!("{module}: {}", problem.code.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_the_reason_and_its_fix() {
        let problem = Problem::new(ProblemCode::PermissionDenied, "It is foreign.", "owner 7", "Remove it.");
        let module = Module::<()>::register("machines", Err(problem.clone()));
        let refusal = module.get().unwrap_err();
        assert_eq!((refusal.code, refusal.code.status()), (ProblemCode::ModuleExcluded, 503));
        assert_eq!(refusal.why, "It is foreign. Owner 7.");
        assert_eq!(refusal.fix, "Do this, then start the backend again: Remove it.");
        assert_eq!((module.excluded(), module.or_reason()), (Some(&problem), Err(problem.clone())));
        assert!(Module::register("machines", Ok(())).get().is_ok());
    }
}
