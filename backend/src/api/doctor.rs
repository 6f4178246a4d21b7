//! `GET /doctor`: what is right and what is wrong with the backend's computer.

use axum::extract::State;
use pixelrts_shared::doctor::Diagnosis;
use tokio::sync::Mutex;

use super::extract::Json;
use super::state::Shell;
use crate::doctor::examine;

/// An examination starts programs, so only one runs at a time.
static ONE: Mutex<()> = Mutex::const_new(());

pub(super) async fn diagnosis(State(shell): State<Shell>) -> Json<Diagnosis> {
    let _one = ONE.lock().await;
    let servers = shell.library.remote.get().and_then(|remote| {
        let servers = remote.catalogs.known_servers()?.into_iter().map(|known| known.server);
        Ok((remote.client.clone(), servers.collect()))
    });
    Json(examine(&shell.subject, servers).await)
}
