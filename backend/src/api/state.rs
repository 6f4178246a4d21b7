//! What handlers are given: small structs of handles.

use std::time::Instant;

use axum::extract::FromRef;
use pixelrts_shared::machine::Machine;
use tokio_util::sync::CancellationToken;

use crate::boot::BootService;
use crate::bootstrap::Outcome;
use crate::catalog::{Library, Offered};
use crate::doctor::Subject;
use crate::machine::Fleet;
use crate::policy::module::Module;

/// For the public routes, in both roles.
#[derive(Clone, Debug)]
pub struct Public {
    pub offered: Offered,
    /// What is wrong with the modules.
    pub bootstrap: Outcome,
    pub started: Instant,
}

/// For all routes of role `shell`.
#[derive(Clone, Debug)]
pub struct Shell {
    pub public: Public,
    pub library: Library,
    pub machines: Module<Fleet>,
    pub boot: BootService,
    /// What the doctor looks at.
    pub subject: Subject,
    /// Ends streams at shutdown, or nothing would.
    pub shutdown: CancellationToken,
}

impl Shell {
    /// All machines, for the status of entries.
    pub(super) fn machines(&self) -> Vec<Machine> {
        self.machines.get().map(Fleet::list).unwrap_or_default()
    }
}

impl FromRef<Shell> for Public {
    fn from_ref(shell: &Shell) -> Self {
        shell.public.clone()
    }
}
