//! The outermost middleware: it gives every request an id, a deadline and a place among those that may run, and every
//! response its headers. Everything that goes wrong, even a panic, gets the same shape.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use pixelrts_shared::{Level, Problem, ProblemCode, paths};
use tokio::sync::Semaphore;

use super::responses::ProblemResponse;
use crate::{random, report};

/// The time until the head of the response, which is longer than any wait inside a handler. Streams may last longer.
const DEADLINE: Duration = Duration::from_secs(60);
const LONGEST_IMPORT: Duration = Duration::from_secs(24 * 60 * 60);
/// Requests that are handled at once. A shell needs a handful; a client that has more floods the backend.
const AT_ONCE: usize = 256;

#[derive(Clone, Debug)]
pub(super) struct Capacity(Arc<Semaphore>);

impl Default for Capacity {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

pub(super) async fn wrap(State(capacity): State<Capacity>, request: Request, next: Next) -> Response {
    let id = request_id();
    let started = Instant::now();
    // The query is left out, because it may contain a login.
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match capacity.0.try_acquire() {
        Err(_) => ProblemResponse(overloaded()).into_response(),
        Ok(_place) => {
            let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
            // An image arrives as long as it takes; a connection on which nothing moves is closed.
            let deadline = if path == paths::CATALOG_IMPORT { LONGEST_IMPORT } else { DEADLINE };
            match tokio::time::timeout(deadline, answer).await {
                Ok(Ok(response)) => response,
                Ok(Err(_panic)) => ProblemResponse(panicked()).into_response(),
                Err(_) => ProblemResponse(late()).into_response(),
            }
        }
    };
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.request_id = Some(id.clone());
        if response.status().is_server_error() {
            report::problem(Level::Warn, &problem, &format!("{method} {path} failed"));
        }
        let body = serde_json::to_vec(&problem).expect("a problem is plain text");
        *response.body_mut() = Body::from(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    let status = response.status().as_u16();
    tracing::debug!(request.id = id, %method, path, status, duration_ms = started.elapsed().as_millis(), "request");
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("x-request-id"),
        HeaderValue::from_str(&id).expect("hex digits are a header value"),
    );
    response
}

/// The first one is random, so that the requests of two backends have different names; it may be guessed. Without
/// randomness it is zero.
fn request_id() -> String {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
        let first = random::hex::<8>().ok().and_then(|digits| u64::from_str_radix(&digits, 16).ok());
        AtomicU64::new(first.unwrap_or_default())
    });
    format!("{:016x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn overloaded() -> Problem {
    Problem::new(
        ProblemCode::Overloaded,
        "The backend is overloaded.",
        format!("It is handling {AT_ONCE} requests already."),
        "Wait a moment, then try again.",
    )
}

fn panicked() -> Problem {
    Problem::new(
        ProblemCode::Internal,
        "An error in PixelRTS ended this request.",
        "The code that handled the request panicked. The backend itself still runs.",
        "Report it with the backend's log and this request's id.",
    )
}

fn late() -> Problem {
    Problem::new(
        ProblemCode::NotReady,
        "The request takes too long.",
        format!("There was no response within {} s.", DEADLINE.as_secs()),
        "Try again. If that does not help, look at /api/v1/health.",
    )
}
