//! Why the list of machines refuses a request. What goes wrong with one machine is a [`MachineError`](crate::machine).

use pixelrts_shared::text::counted;
use pixelrts_shared::{MachineId, Problem, ProblemCode};

#[derive(Debug, thiserror::Error)]
pub(super) enum FleetError {
    #[error("there never was one, or it has been removed from the list")]
    Unknown { id: MachineId },
    #[error("{}, and the limit is {most}", running(*living))]
    TooMany { living: usize, most: usize },
    #[error("it has not started yet, or it has ended")]
    NoConsole,
}

fn running(living: usize) -> String {
    counted(living, "machine is running", "machines are running")
}

impl From<FleetError> for Problem {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::Unknown { id } => Self::new(
                ProblemCode::MachineNotFound,
                format!("There is no machine {id}."),
                "There never was one, or it has been removed from the list.",
                "Open the shell to see all machines, or request GET /api/v1/machines.",
            ),
            FleetError::TooMany { living, most } => Self::new(
                ProblemCode::TooManyMachines,
                "No more machines can be started.",
                format!("{}, and the limit is {most}.", running(living)),
                "Stop one of them, then boot again; or set boot.max_machines higher.",
            ),
            FleetError::NoConsole => Self::new(
                ProblemCode::NotReady,
                "The machine has no console now.",
                "It has not started yet, or it has ended.",
                "Try again while the machine runs.",
            ),
        }
    }
}
