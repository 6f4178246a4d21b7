//! Responses that report a problem.
//!
//! Handlers return one with `?` from any error that can become a `Problem`. It travels in the response's extensions; the
//! middleware adds the request's id and writes it as `application/problem+json`.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::{Problem, ProblemCode};

/// In seconds: when what is not ready now is worth another request.
const READY_AFTER: &str = "2";

/// A problem as a response.
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
        if status == StatusCode::SERVICE_UNAVAILABLE && self.0.code == ProblemCode::NotReady {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(READY_AFTER));
        }
        response.extensions_mut().insert(self.0);
        response
    }
}

pub(super) async fn no_route(uri: Uri) -> ProblemResponse {
    let what = format!("There is nothing at {}.", uri.path());
    Problem::new(ProblemCode::RouteNotFound, what, "The API does not have this path.", "See docs/API.md.").into()
}

pub(super) async fn no_method(method: Method, uri: Uri) -> ProblemResponse {
    let what = format!("{} does not allow {method}.", uri.path());
    Problem::new(ProblemCode::MethodNotAllowed, what, "The path exists for other methods.", "See docs/API.md.").into()
}
