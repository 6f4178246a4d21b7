//! `/cache`: the images that are kept on this computer.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use pixelrts_shared::cache::{CacheCleared, CachedImage};

use super::etag;
use super::extract::{Json, Path};
use super::responses::ProblemResponse;
use super::state::Shell;

pub(super) async fn list(State(shell): State<Shell>, request_headers: HeaderMap) -> Result<Response, ProblemResponse> {
    Ok(etag::json(&request_headers, &shell.library.cache().await?))
}

/// Everything goes that is neither pinned nor in use.
pub(super) async fn clear(State(shell): State<Shell>) -> Json<CacheCleared> {
    Json(shell.library.clear_cache().await)
}

pub(super) async fn gc(State(shell): State<Shell>) -> Json<CacheCleared> {
    Json(shell.library.tidy_cache().await)
}

pub(super) async fn remove(
    State(shell): State<Shell>,
    Path(key): Path<String>,
) -> Result<Json<CacheCleared>, ProblemResponse> {
    Ok(Json(shell.library.remove_cached(&key).await?))
}

pub(super) async fn pin(
    State(shell): State<Shell>,
    Path(key): Path<String>,
) -> Result<Json<CachedImage>, ProblemResponse> {
    Ok(Json(shell.library.pin_cached(&key, true).await?))
}

pub(super) async fn unpin(
    State(shell): State<Shell>,
    Path(key): Path<String>,
) -> Result<Json<CachedImage>, ProblemResponse> {
    Ok(Json(shell.library.pin_cached(&key, false).await?))
}
