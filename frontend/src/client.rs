//! Calls to the backend. Whatever goes wrong is a [`Problem`], also when nobody answers.

use gloo_net::http::{Method, RequestBuilder, Response};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use web_sys::AbortSignal;

use crate::json;

/// An answer that is not here by then does not come.
const DEADLINE_MS: u32 = 30_000;

/// What a conditional question led to.
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) text: String,
    pub(crate) etag: Option<String>,
}

pub(crate) async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    let response = exchange(Method::GET, path, None, None).await?;
    decode(&text(response).await?)
}

/// `None`: it is as it was when `etag` was given.
pub(crate) async fn get_if_changed<T: DeserializeOwned>(
    path: &str,
    etag: Option<&str>,
) -> Result<Option<Answer<T>>, Problem> {
    let response = exchange(Method::GET, path, None, etag).await?;
    if response.status() == 304 {
        return Ok(None);
    }
    let etag = response.headers().get("etag");
    let text = text(response).await?;
    Ok(Some(Answer { value: decode(&text)?, text, etag }))
}

pub(crate) async fn send<T: DeserializeOwned>(method: Method, path: &str, body: &impl Serialize) -> Result<T, Problem> {
    let body = serde_json::to_string(body).map_err(|error| unreadable(&error.to_string()))?;
    let response = exchange(method, path, Some(body), None).await?;
    decode(&text(response).await?)
}

/// A call without a body whose answer does not matter.
pub(crate) async fn tell(method: Method, path: &str) -> Result<(), Problem> {
    exchange(method, path, None, None).await.map(drop)
}

/// The body as it arrives; it may take forever.
pub(crate) async fn stream(path: &str) -> Result<web_sys::ReadableStream, Problem> {
    let response = RequestBuilder::new(path).send().await.map_err(|error| unreachable(&error.to_string()))?;
    let response = refuse_errors(response).await?;
    response.body().ok_or_else(|| unreadable("The reply has no body."))
}

async fn exchange(method: Method, path: &str, body: Option<String>, etag: Option<&str>) -> Result<Response, Problem> {
    let mut request =
        RequestBuilder::new(path).method(method).abort_signal(Some(&AbortSignal::timeout_with_u32(DEADLINE_MS)));
    if let Some(etag) = etag {
        request = request.header("If-None-Match", etag);
    }
    let sent = match body {
        Some(body) => match request.header("Content-Type", "application/json").body(body) {
            Ok(request) => request.send().await,
            Err(error) => Err(error),
        },
        None => request.send().await,
    };
    refuse_errors(sent.map_err(|error| unreachable(&error.to_string()))?).await
}

async fn refuse_errors(response: Response) -> Result<Response, Problem> {
    if response.ok() || response.status() == 304 {
        return Ok(response);
    }
    let status = response.status();
    let text = text(response).await?;
    Err(json::read(&text).unwrap_or_else(|_| unreadable(&format!("It answered {status}, without a reason."))))
}

async fn text(response: Response) -> Result<String, Problem> {
    response.text().await.map_err(|error| unreachable(&error.to_string()))
}

fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    json::read(text).map_err(|error| unreadable(&error.to_string()))
}

fn unreachable(error: &str) -> Problem {
    Problem::new(
        ProblemCode::NetworkRefused,
        "The backend is not running.",
        "Nothing answered where this page came from.",
        "Start it with `pixelrts serve`. This page goes on by itself.",
    )
    .context(error)
}

fn unreadable(why: &str) -> Problem {
    Problem::new(
        ProblemCode::Internal,
        "The backend's answer cannot be read.",
        why,
        "Reload the page: it may be older than the backend.",
    )
}
