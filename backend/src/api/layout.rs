//! `/catalog/layout` and favorites: how people arrange images.

use axum::extract::State;
use axum::http::StatusCode;
use pixelrts_shared::catalog::{Move, Moved, Moves};

use super::extract::{Json, Path, Query, ServerQuery};
use super::responses::ProblemResponse;
use super::state::Shell;

pub(super) async fn place(State(shell): State<Shell>, Json(one): Json<Move>) -> Result<Json<Moved>, ProblemResponse> {
    Ok(Json(shell.library.arrange(&[one]).await?))
}

pub(super) async fn place_all(
    State(shell): State<Shell>,
    Json(moves): Json<Moves>,
) -> Result<Json<Moved>, ProblemResponse> {
    Ok(Json(shell.library.arrange(&moves.entries).await?))
}

pub(super) async fn forget(State(shell): State<Shell>) -> Result<StatusCode, ProblemResponse> {
    shell.library.forget_arrangement().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn like(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Query(query): Query<ServerQuery>,
) -> Result<StatusCode, ProblemResponse> {
    shell.library.set_favorite(&key, query.server.as_ref(), true).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn unlike(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Query(query): Query<ServerQuery>,
) -> Result<StatusCode, ProblemResponse> {
    shell.library.set_favorite(&key, query.server.as_ref(), false).await?;
    Ok(StatusCode::NO_CONTENT)
}
