//! `GET /health`: responds at once, even before the first scan is done, and within a second when a disk hangs.
//!
//! Every module is listed. A module that could not be made is excluded, and the reason is given. A degraded module is
//! listed once per problem: a file that is not an image, a server that does not answer, a program that is not
//! installed, a machine's process that hangs.

use std::sync::Arc;

use axum::extract::State;
use pixelrts_shared::Problem;
use pixelrts_shared::health::{BackendHealth, HealthStatus, ModuleHealth};
use pixelrts_shared::server::HealthState;

use super::extract::Json;
use super::responses::ProblemResponse;
use super::state::{Public, Shell};
use crate::bootstrap::Finding;

/// A module, and the reason if it is excluded.
type Listed<'a> = (&'static str, Option<&'a Problem>);

/// The health of role `catalog`.
pub(super) async fn public(State(public): State<Arc<Public>>) -> Json<BackendHealth> {
    Json(report(&public, &[("catalog", None)], Vec::new()).await)
}

/// The health of role `shell`.
pub(super) async fn shell(State(shell): State<Shell>) -> Result<Json<BackendHealth>, ProblemResponse> {
    let of = |module| move |problem| Finding { module, problem };
    let known_servers = shell.library.known_servers()?.into_iter();
    let down = known_servers.filter(|known| known.health.state == HealthState::Down);
    let servers = down.filter_map(|known| known.health.last_error).map(of("servers"));
    let living = shell.machines().into_iter().filter(|machine| !machine.state.is_over());
    let silent = living.filter_map(|machine| machine.problem).map(of("machines"));
    let modules = [
        ("cache", None),
        ("catalog", None),
        ("servers", shell.library.remote.excluded()),
        ("machines", shell.machines.excluded()),
    ];
    Ok(Json(report(&shell.public, &modules, servers.chain(silent).collect()).await))
}

async fn report(public: &Public, modules: &[Listed<'_>], mut findings: Vec<Finding>) -> BackendHealth {
    let unread = public.offered.local.found().problems.clone();
    findings.extend(unread.into_iter().map(|problem| Finding { module: "catalog", problem }));
    findings.extend(public.bootstrap.findings().await);
    let modules: Vec<_> = modules.iter().flat_map(|module| rows(*module, &findings)).collect();
    let degraded = modules.iter().any(|module| module.state != HealthStatus::Ok);
    BackendHealth {
        status: if degraded { HealthStatus::Degraded } else { HealthStatus::Ok },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: public.started.elapsed().as_secs(),
        modules,
    }
}

fn rows((name, excluded): Listed<'_>, findings: &[Finding]) -> Vec<ModuleHealth> {
    let row = |state, problem| ModuleHealth { name: name.to_owned(), state, problem };
    if let Some(problem) = excluded {
        return vec![row(HealthStatus::Excluded, Some(problem.clone()))];
    }
    let mine = findings.iter().filter(|finding| finding.module == name);
    let rows: Vec<_> = mine.map(|finding| row(HealthStatus::Degraded, Some(finding.problem.clone()))).collect();
    if rows.is_empty() { vec![row(HealthStatus::Ok, None)] } else { rows }
}
