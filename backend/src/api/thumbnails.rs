//! `/thumbnails/{sha256}.png`: the picture of a local image, or of a remote entry as its server shows it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::{Digest, Problem, ProblemCode};

use super::etag;
use super::extract::{Path, Query, ServerQuery};
use super::responses::ProblemResponse;
use super::state::{Public, Shell};

pub(super) async fn local(
    State(public): State<Arc<Public>>,
    Path(file): Path<String>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let digest = digest(&file)?;
    let picture = public.offered.thumbnail(&digest).await?.ok_or_else(|| missing(&file))?;
    Ok(reply(picture, &format!("\"{digest}\""), &request_headers))
}

/// The image's own picture if it is here, otherwise the one of the server in the request.
pub(super) async fn any(
    State(shell): State<Shell>,
    Path(file): Path<String>,
    Query(query): Query<ServerQuery>,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let (digest, offered) = (digest(&file)?, &shell.public.offered);
    if let Some(picture) = offered.thumbnail(&digest).await? {
        return Ok(reply(picture, &format!("\"{digest}\""), &request_headers));
    }
    let server = query.server.ok_or_else(|| missing(&file))?;
    let picture = offered.remote_thumbnail(shell.library.remote.get()?, &server, &digest).await?;
    Ok(reply(picture, &format!("\"{digest}-{server}\""), &request_headers))
}

fn reply(picture: Vec<u8>, etag: &str, request_headers: &HeaderMap) -> Response {
    // Once the image is here its own picture replaces that of the server, so clients request it again after a day.
    let headers = [(ETAG, etag), (CACHE_CONTROL, "max-age=86400"), (CONTENT_TYPE, "image/png")];
    if etag::matches(request_headers, etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, picture).into_response()
}

fn digest(file: &str) -> Result<Digest, Problem> {
    file.strip_suffix(".png").and_then(|name| name.parse().ok()).ok_or_else(|| missing(file))
}

fn missing(file: &str) -> Problem {
    Problem::new(
        ProblemCode::EntryNotFound,
        format!("There is no thumbnail {file} here."),
        "The image is not on this computer.",
        "Name the server that offers it in the request: ?server=ID",
    )
}
