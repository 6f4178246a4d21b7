//! `GET /remote/fetch`: an image's bytes, through the cache while they are downloaded.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, RANGE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::{Problem, ProblemCode, ServerId};
use serde::Deserialize;

use super::extract::Query;
use super::images::{file_reply, image_headers};
use super::responses::ProblemResponse;
use super::state::Shell;
use crate::catalog::{Extent, ImageBytes};

#[derive(Deserialize)]
pub(super) struct WhichImage {
    id: String,
    server: Option<ServerId>,
}

pub(super) async fn fetch(
    State(shell): State<Shell>,
    Query(image): Query<WhichImage>,
    method: Method,
    request_headers: HeaderMap,
) -> Result<Response, ProblemResponse> {
    let entry = shell.library.find(&image.id, image.server.as_ref()).await?.entry;
    let extent = match method {
        Method::HEAD => Extent::Head,
        _ if request_headers.contains_key(RANGE) => Extent::Part,
        _ => Extent::Whole,
    };
    let bytes = shell.library.bytes(&entry, image.server.as_ref(), extent);
    let body = match shell.shutdown.run_until_cancelled(bytes).await.ok_or_else(stopping)?? {
        ImageBytes::File(file) => return Ok(file_reply(file, &request_headers)?),
        ImageBytes::Arriving(image) => Body::from_stream(image.pieces()),
        ImageBytes::Elsewhere => Body::empty(),
    };
    let mut headers = image_headers(&entry.sha256);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(entry.size));
    Ok((headers, body).into_response())
}

fn stopping() -> Problem {
    Problem::new(
        ProblemCode::NotReady,
        "The image was not sent.",
        "The backend is being stopped.",
        "Ask again when it runs; what has been downloaded is kept.",
    )
}
