//! `GET /doctor`: what is right and wrong with the backend's computer.

use axum::extract::State;
use pixelrts_shared::doctor::Diagnosis;
use tokio::sync::Mutex;

use super::extract::Json;
use super::state::Shell;
use crate::doctor::examine;

/// It starts programs: one examination at a time, however many ask.
static ONE: Mutex<()> = Mutex::const_new(());

pub(super) async fn diagnosis(State(shell): State<Shell>) -> Json<Diagnosis> {
    let _one = ONE.lock().await;
    let offers = shell.library.catalogs.offers();
    let servers = offers.map(|offers| offers.into_iter().map(|offer| offer.server).collect());
    Json(examine(&shell.subject, &shell.client, servers.map_err(Into::into)).await)
}
