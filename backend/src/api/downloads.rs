//! `/downloads`: start, list, follow, cancel.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::DownloadId;
use pixelrts_shared::download::{Download, NewDownload};

use super::etag;
use super::extract::{Json, Path};
use super::ndjson::lines;
use super::responses::ProblemResponse;
use super::state::Shell;

pub(super) async fn list(State(shell): State<Shell>, request_headers: HeaderMap) -> Result<Response, ProblemResponse> {
    Ok(etag::json(&request_headers, &shell.library.remote.get()?.downloads.list()))
}

/// Starts a download, or joins the one that is in progress.
pub(super) async fn start(
    State(shell): State<Shell>,
    Json(new): Json<NewDownload>,
) -> Result<Response, ProblemResponse> {
    if new.follow {
        let interest = shell.library.join_download(&new).await?;
        let changes = shell.library.remote.get()?.downloads.changes();
        return Ok(lines(move || vec![interest.now()], changes, are_over, shell.shutdown));
    }
    let download = shell.library.download(&new).await?;
    Ok((StatusCode::ACCEPTED, Json(download)).into_response())
}

pub(super) async fn cancel(
    State(shell): State<Shell>,
    Path(id): Path<DownloadId>,
) -> Result<StatusCode, ProblemResponse> {
    shell.library.remote.get()?.downloads.cancel(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn stream_all(State(shell): State<Shell>) -> Result<Response, ProblemResponse> {
    let downloads = shell.library.remote.get()?.downloads.clone();
    let changes = downloads.changes();
    Ok(lines(move || downloads.list(), changes, |_| false, shell.shutdown))
}

/// Ends when the download does.
pub(super) async fn stream_one(
    State(shell): State<Shell>,
    Path(id): Path<DownloadId>,
) -> Result<Response, ProblemResponse> {
    let downloads = shell.library.remote.get()?.downloads.clone();
    let (changes, watch) = (downloads.changes(), downloads.watch(&id)?);
    Ok(lines(move || vec![watch.borrow().clone()], changes, are_over, shell.shutdown))
}

fn are_over(list: &[Download]) -> bool {
    list.iter().all(|download| download.stage.is_over())
}
