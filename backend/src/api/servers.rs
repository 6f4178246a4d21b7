//! `/servers`: the user's catalog servers.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::ServerId;
use pixelrts_shared::server::{NewServer, Server, ServerChange, ServerCheck, ServerFound};

use super::etag;
use super::extract::{Json, Path};
use super::responses::ProblemResponse;
use super::state::Shell;

pub(super) async fn list(State(shell): State<Shell>, request_headers: HeaderMap) -> Result<Response, ProblemResponse> {
    Ok(etag::json(&request_headers, &shell.library.remote.get()?.catalogs.list()?))
}

/// The new server is asked for its catalog, too. The response does not wait for that.
pub(super) async fn add(State(shell): State<Shell>, Json(new): Json<NewServer>) -> Result<Response, ProblemResponse> {
    let server = shell.library.remote.get()?.catalogs.add(new)?;
    Ok((StatusCode::CREATED, Json(server)).into_response())
}

pub(super) async fn change(
    State(shell): State<Shell>,
    Path(id): Path<ServerId>,
    Json(change): Json<ServerChange>,
) -> Result<Json<Server>, ProblemResponse> {
    Ok(Json(shell.library.remote.get()?.catalogs.change(&id, change)?))
}

pub(super) async fn remove(
    State(shell): State<Shell>,
    Path(id): Path<ServerId>,
) -> Result<StatusCode, ProblemResponse> {
    shell.library.remote.get()?.catalogs.remove(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn check(
    State(shell): State<Shell>,
    Json(check): Json<ServerCheck>,
) -> Result<Json<ServerFound>, ProblemResponse> {
    Ok(Json(shell.library.remote.get()?.catalogs.check(&check.url).await?))
}

/// Asks a server of the list now, and waits for its answer.
pub(super) async fn check_listed(
    State(shell): State<Shell>,
    Path(id): Path<ServerId>,
) -> Result<Json<ServerFound>, ProblemResponse> {
    Ok(Json(shell.library.remote.get()?.catalogs.check_listed(&id).await?))
}
