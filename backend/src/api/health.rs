//! `GET /health`: answers at once, also before the first scan is done.
//!
//! Every module is listed. One that is degraded is listed once per problem, with what it needs: a file that is no
//! image, a server that does not answer, a program that is not installed, a machine's process that hangs.

use axum::extract::State;
use pixelrts_shared::Problem;
use pixelrts_shared::health::{BackendHealth, HealthStatus, ModuleHealth};
use pixelrts_shared::server::HealthState;

use super::extract::Json;
use super::failure::Failure;
use super::state::{Public, Shell};
use crate::{machine, task};

/// Of role `catalog`.
pub(super) async fn public(State(public): State<Public>) -> Json<BackendHealth> {
    Json(report(&public, [("catalog", public.local.found().problems.clone())]))
}

/// Of role `shell`.
pub(super) async fn shell(State(shell): State<Shell>) -> Result<Json<BackendHealth>, Failure> {
    let offers = shell.library.catalogs.offers()?.into_iter();
    let down = offers.filter(|offer| offer.health.state == HealthState::Down);
    let servers = down.filter_map(|offer| offer.health.last_error).collect();
    let silent = shell.machines().into_iter().filter(|machine| !machine.state.is_over());
    let mut machines: Vec<_> = silent.filter_map(|machine| machine.problem).collect();
    machines.extend(task::blocking(machine::missing).await);
    let catalog = shell.public.local.found().problems.clone();
    Ok(Json(report(&shell.public, [("catalog", catalog), ("servers", servers), ("machines", machines)])))
}

fn report<const N: usize>(public: &Public, found: [(&str, Vec<Problem>); N]) -> BackendHealth {
    let modules: Vec<_> = found.into_iter().flat_map(|(name, problems)| module(name, problems)).collect();
    let degraded = modules.iter().any(|module| module.state == HealthStatus::Degraded);
    BackendHealth {
        status: if degraded { HealthStatus::Degraded } else { HealthStatus::Ok },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: public.started.elapsed().as_secs(),
        modules,
    }
}

fn module(name: &str, problems: Vec<Problem>) -> Vec<ModuleHealth> {
    let name = name.to_owned();
    if problems.is_empty() {
        return vec![ModuleHealth { name, state: HealthStatus::Ok, problem: None }];
    }
    let degraded = |problem| ModuleHealth { name: name.clone(), state: HealthStatus::Degraded, problem: Some(problem) };
    problems.into_iter().map(degraded).collect()
}
