//! The state of handlers: small structs of handles.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRef;
use pixelrts_shared::machine::Machine;
use tokio_util::sync::CancellationToken;

use super::{Events, OwnCatalog, WholeView};
use crate::boot::BootService;
use crate::bootstrap::Outcome;
use crate::catalog::{Library, Offered};
use crate::doctor::Subject;
use crate::machine::Fleet;
use crate::policy::module::Module;

/// The state of the public routes, in both roles. Handlers share it: a clone for each request would take longer than
/// many of them.
#[derive(Debug)]
pub struct Public {
    pub offered: Offered,
    pub own_catalog: OwnCatalog,
    /// Knows what is wrong with the modules.
    pub bootstrap: Outcome,
    pub started: Instant,
    /// Connections use TLS.
    pub secure: bool,
}

/// The state of all routes of role `shell`.
#[derive(Clone, Debug)]
pub struct Shell {
    pub public: Arc<Public>,
    pub library: Library,
    pub whole_view: WholeView,
    pub machines: Module<Fleet>,
    pub boot: BootService,
    pub events: Events,
    /// What the doctor examines.
    pub subject: Subject,
    /// Ends streams at shutdown, which would never end by themselves.
    pub shutdown: CancellationToken,
}

impl Shell {
    /// All machines, from which the status of entries follows.
    pub(super) fn machines(&self) -> Vec<Machine> {
        self.machines.get().map(Fleet::list).unwrap_or_default()
    }
}

impl FromRef<Shell> for Arc<Public> {
    fn from_ref(shell: &Shell) -> Self {
        shell.public.clone()
    }
}
