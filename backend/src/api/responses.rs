//! A problem as an answer.
//!
//! Handlers return it with `?` from any error that is a `Problem`. It travels in the response's extensions; the frame
//! around all routes gives it the request's id and writes `application/problem+json`.

use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::{Problem, ProblemCode};

#[derive(Debug)]
pub(super) struct ProblemResponse(pub(super) Problem);

impl<E: Into<Problem>> From<E> for ProblemResponse {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

pub(super) async fn no_route(uri: Uri) -> ProblemResponse {
    let what = format!("There is nothing at {}.", uri.path());
    Problem::new(ProblemCode::RouteNotFound, what, "No part of the API has this path.", "See docs/API.md.").into()
}

pub(super) async fn no_method(method: Method, uri: Uri) -> ProblemResponse {
    let what = format!("{} does not take {method}.", uri.path());
    Problem::new(ProblemCode::MethodNotAllowed, what, "The path exists, with other methods.", "See docs/API.md.").into()
}
