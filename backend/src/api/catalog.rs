//! `/catalog`: what this server offers itself, and the merged catalog of all servers.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use pixelrts_shared::ServerId;
use pixelrts_shared::image_status::Status;
use serde::Serialize;

use super::etag;
use super::extract::{Json, Path, Query, ServerQuery};
use super::responses::ProblemResponse;
use super::state::{Public, Shell};

/// The response of `/catalog/{key}/status`.
#[derive(Serialize)]
pub(super) struct EntryStatus {
    status: Status,
    cached: bool,
}

/// The document that every catalog server speaks.
pub(super) async fn own(State(public): State<Public>, request_headers: HeaderMap) -> Result<Response, ProblemResponse> {
    Ok(etag::json(&request_headers, &public.offered.local.catalog().await?))
}

pub(super) async fn merged(
    State(shell): State<Shell>,
    Query(query): Query<ServerQuery>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    if let Ok(remote) = shell.library.remote.get() {
        remote.catalogs.refresh_old();
    }
    let merged = match &query.server {
        Some(server) => shell.library.merged_of(server),
        None => shell.library.merged(),
    };
    Ok(etag::json(&request_headers, &merged?))
}

pub(super) async fn of_server(
    State(shell): State<Shell>,
    Query(query): Query<ServerQuery>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    Ok(etag::json(&request_headers, &shell.library.catalog_of(&query.server.unwrap_or_else(ServerId::local)).await?))
}

/// Asks all servers and scans the folders. The response does not wait for them.
pub(super) async fn refresh(State(shell): State<Shell>) -> StatusCode {
    shell.library.refresh();
    StatusCode::ACCEPTED
}

pub(super) async fn entry(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Query(query): Query<ServerQuery>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    Ok(etag::json(&request_headers, &shell.library.find(&key, query.server.as_ref()).await?))
}

pub(super) async fn status(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Query(query): Query<ServerQuery>,
) -> Result<Json<EntryStatus>, ProblemResponse> {
    let entry = shell.library.find(&key, query.server.as_ref()).await?;
    Ok(Json(EntryStatus { status: entry.status, cached: entry.cached }))
}
