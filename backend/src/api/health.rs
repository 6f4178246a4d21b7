//! `GET /health`: answers at once, also before the first scan is done.

use axum::extract::State;
use pixelrts_shared::health::{BackendHealth, HealthStatus, ModuleHealth};

use super::extract::Json;
use super::state::Public;

pub(super) async fn health(State(public): State<Public>) -> Json<BackendHealth> {
    let found = public.local.found();
    let mut modules: Vec<_> = found
        .problems
        .iter()
        .map(|problem| ModuleHealth {
            name: "catalog".to_owned(),
            state: HealthStatus::Degraded,
            problem: Some(problem.clone()),
        })
        .collect();
    if modules.is_empty() {
        modules.push(ModuleHealth { name: "catalog".to_owned(), state: HealthStatus::Ok, problem: None });
    }
    let degraded = modules.iter().any(|module| module.state == HealthStatus::Degraded);
    Json(BackendHealth {
        status: if degraded { HealthStatus::Degraded } else { HealthStatus::Ok },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: public.started.elapsed().as_secs(),
        modules,
    })
}
