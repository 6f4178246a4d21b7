//! Whether a machine that found wrong bytes in its image is started a second time.
//!
//! A file can be damaged after it was verified. So the image is requested once more, with the problem, and whoever
//! supplies it may repair it or fetch it again. A second copy with wrong bytes would not be cured by a third.

use pixelrts_shared::Problem;
use pixelrts_shared::machine::Machine;

/// Which start of a machine this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    First,
    /// It is the second one, or nobody here could supply the image again.
    Last,
}

impl Attempt {
    /// The problem to request the image again with; `None` when there is no second start.
    ///
    /// Nobody wants a second start of a machine that is to stop.
    #[must_use]
    pub fn retry(self, machine: &Machine, stop_requested: bool) -> Option<Problem> {
        let problem = machine.problem.as_ref().filter(|_| machine.state.is_over())?;
        let found_wrong_bytes = problem.code.as_str().starts_with("verify.");
        (self == Self::First && found_wrong_bytes && !stop_requested).then(|| problem.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BootOptions, Spec};
    use super::*;
    use pixelrts_shared::machine::MachineState;
    use pixelrts_shared::{Digest, ProblemCode};

    fn machine(state: MachineState, code: Option<ProblemCode>) -> Machine {
        let options = BootOptions::default();
        let spec = Spec {
            key: Digest::new([7; 32]),
            name: "test".to_owned(),
            image: "/image".into(),
            expected: None,
            options,
        };
        let problem = code.map(|code| Problem::new(code, "what", "why", "fix"));
        Machine { state, problem, ..spec.machine("abcdefgh".parse().unwrap()) }
    }

    #[test]
    fn only_wrong_bytes_of_a_first_attempt_are_worth_a_second() {
        use MachineState::{Failed, Starting, Stopped};
        let wrong = Some(ProblemCode::HashMismatch);
        let problem = Problem::new(ProblemCode::HashMismatch, "what", "why", "fix");
        assert_eq!(Attempt::First.retry(&machine(Failed, wrong), false), Some(problem));
        assert_eq!(Attempt::Last.retry(&machine(Failed, wrong), false), None);
        assert_eq!(Attempt::First.retry(&machine(Failed, wrong), true), None);
        assert_eq!(Attempt::First.retry(&machine(Starting, wrong), false), None);
        assert_eq!(Attempt::First.retry(&machine(Failed, Some(ProblemCode::NoKernel)), false), None);
        assert_eq!(Attempt::First.retry(&machine(Stopped, None), false), None);
    }
}
