//! `/catalog/import`: puts an image into the folder of the local catalog.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Deserialize;

use super::extract::{Json, Query};
use super::responses::ProblemResponse;
use super::state::Shell;
use crate::catalog::{Arrived, FileName};

#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
}

#[derive(Deserialize)]
pub(super) struct Announced {
    name: String,
    size: u64,
}

/// Whether an image would be taken. A browser that still sends a body may not see why it is refused.
pub(super) async fn check(
    State(shell): State<Shell>,
    Query(image): Query<Announced>,
) -> Result<StatusCode, ProblemResponse> {
    shell.library.local.admit(image.name.parse::<FileName>()?, image.size).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn import(
    State(shell): State<Shell>,
    Query(image): Query<Named>,
    request_headers: HeaderMap,
    body: Body,
) -> Result<Response, ProblemResponse> {
    let name = image.name.parse::<FileName>()?;
    let length = request_headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let local = &shell.library.local;
    let admitted = local.admit(name, length.ok_or_else(no_length)?).await?;
    let arrived = local.import(admitted, body.into_data_stream());
    Ok(match shell.shutdown.run_until_cancelled(arrived).await.ok_or_else(stopping)?? {
        Arrived::New(image) => (StatusCode::CREATED, Json(image)).into_response(),
        Arrived::Here(image) => Json(image).into_response(),
    })
}

fn no_length() -> Problem {
    Problem::new(
        ProblemCode::Usage,
        "The size of the image is not known.",
        "The request has no Content-Length.",
        "Send the image with its size.",
    )
}

fn stopping() -> Problem {
    Problem::new(
        ProblemCode::NotReady,
        "The image was not stored.",
        "The backend is being stopped.",
        "Send it again when the backend runs.",
    )
}
