//! Extractors that refuse a request with a problem.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use pixelrts_shared::{Problem, ProblemCode, ServerId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::responses::ProblemResponse;

/// A JSON body of a request or a response. A missing body counts as `{}`. The guard has already checked the body's type.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ProblemResponse(Problem::new(
                ProblemCode::GuardTooLarge,
                "The request is too large.",
                format!("A body may have at most {} KiB.", super::BODY_LIMIT >> 10),
                "Send a smaller body.",
            )),
            _ => unreadable("the body cannot be read", &rejection.body_text()),
        })?;
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        // From an array serde would take the fields in their order, which no document promises.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(unreadable("the body is not as expected", "it is not a JSON object"));
        }
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| unreadable("the body is not as expected", &error.to_string()))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The variable parts of the path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(value)| Self(value))
            .map_err(|rejection| unreadable("a name in the path is not as expected", &rejection.body_text()))
    }
}

/// The parameters of the query.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| unreadable("the query is not as expected", &rejection.body_text()))
    }
}

/// The query of calls that can be about one server.
#[derive(Deserialize)]
pub(super) struct ServerQuery {
    pub(super) server: Option<ServerId>,
}

fn unreadable(what: &str, why: &str) -> ProblemResponse {
    let what = format!("The request cannot be understood: {what}.");
    ProblemResponse(Problem::new(ProblemCode::Usage, what, why, "See docs/API.md for what this path takes."))
}
