//! `GET /settings`: defaults and limits that the shell shows.

use axum::extract::State;
use pixelrts_shared::boot_decision::ShellSettings;

use super::extract::Json;
use super::state::Shell;

pub(super) async fn settings(State(shell): State<Shell>) -> Json<ShellSettings> {
    Json(ShellSettings { boot: shell.boot.settings() })
}
