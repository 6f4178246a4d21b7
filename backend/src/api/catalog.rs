//! `/catalog`: what this server offers itself, and the merged catalog of all servers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use pixelrts_shared::image_status::Status;
use pixelrts_shared::{Problem, ProblemCode, ServerId};
use serde::{Deserialize, Serialize};

use super::extract::{Json, Path, Query, ServerQuery};
use super::responses::ProblemResponse;
use super::state::{Public, Shell};
use super::{catalog_documents as documents, etag};
use crate::catalog::Cursor;

/// The entries of a page, when the request does not say how many.
const USUAL_PAGE: usize = 500;
const LARGEST_PAGE: usize = 1_000;

/// The response of `/catalog/{key}/status`.
#[derive(Serialize)]
pub(super) struct EntryStatus {
    status: Status,
    cached: bool,
}

/// The document that every catalog server speaks.
pub(super) async fn own(
    State(public): State<Arc<Public>>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    Ok(public.own_catalog.reply(&public.offered.local, &request_headers).await?)
}

/// Which part of the merged view.
#[derive(Deserialize)]
pub(super) struct ViewQuery {
    server: Option<ServerId>,
    limit: Option<usize>,
    after: Option<String>,
    since: Option<String>,
}

/// The merged view: all of it, a page of it, or what has changed in it.
pub(super) async fn merged(
    State(shell): State<Shell>,
    Query(query): Query<ViewQuery>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    if let Ok(remote) = shell.library.remote.get() {
        remote.catalogs.refresh_old();
    }
    let library = shell.library.clone();
    Ok(match query {
        ViewQuery { server: None, limit: None, after: None, since: None } => {
            shell.whole_view.reply(&library, &request_headers).await?
        }
        ViewQuery { server: Some(server), limit: None, after: None, since: None } => {
            documents::reply_written(move || library.written_of(&server), &request_headers).await?
        }
        ViewQuery { server: None, limit: None, after: None, since: Some(revision) } => {
            documents::reply(move || library.since(&revision), &request_headers).await?
        }
        ViewQuery { server: None, limit, after, since: None } => {
            let after = after.map(|after| after.parse::<Cursor>()).transpose().map_err(|()| bad_cursor())?;
            let limit = limit.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE);
            documents::reply(move || library.page(limit, after), &request_headers).await?
        }
        ViewQuery { .. } => return Err(contradiction().into()),
    })
}

fn bad_cursor() -> Problem {
    Problem::new(
        ProblemCode::Usage,
        "There is no such page of the catalog.",
        "`after` is not what an earlier page gave as `next`.",
        "Begin again with the first page: leave `after` out.",
    )
}

fn contradiction() -> Problem {
    Problem::new(
        ProblemCode::Usage,
        "The request asks for several parts of the catalog at once.",
        "`server`, `since`, and `limit` with `after` each choose another part.",
        "Use one of them. Pages and changes are those of all servers.",
    )
}

pub(super) async fn of_server(
    State(shell): State<Shell>,
    Query(query): Query<ServerQuery>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let catalog = shell.library.catalog_of(&query.server.unwrap_or_else(ServerId::local)).await?;
    Ok(documents::reply(move || Ok(catalog), &request_headers).await?)
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
