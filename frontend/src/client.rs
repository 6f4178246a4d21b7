//! Calls to the backend. Whatever goes wrong is a [`Problem`], also when nothing answers.

use gloo_net::http::{Method, RequestBuilder, Response};
use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use web_sys::AbortSignal;

use crate::json;

/// After this time, the request is given up.
const DEADLINE_MS: u32 = 30_000;

/// The reply to a conditional request.
pub(crate) enum Conditional {
    /// It is as it was when the entity tag was given.
    NotModified,
    Modified {
        text: String,
        etag: Option<String>,
    },
}

pub(crate) async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    decode(&reply(Method::GET, path, None).await?)
}

pub(crate) async fn get_if_changed(path: &str, etag: Option<&str>) -> Result<Conditional, Problem> {
    let response = exchange(Method::GET, path, None, etag).await?;
    if response.status() == 304 {
        return Ok(Conditional::NotModified);
    }
    let etag = response.headers().get("etag");
    Ok(Conditional::Modified { text: text(response).await?, etag })
}

pub(crate) async fn send<T: DeserializeOwned>(method: Method, path: &str, body: &impl Serialize) -> Result<T, Problem> {
    // The error of serde_json is left out: its texts would be downloaded by every visitor, and a body of our own types
    // can always be written.
    let body = serde_json::to_string(body).map_err(|_| unwritable())?;
    decode(&reply(method, path, Some(body)).await?)
}

/// Sends a call without a body. Of the reply, only success or failure matters.
pub(crate) async fn command(method: Method, path: &str) -> Result<(), Problem> {
    exchange(method, path, None, None).await.map(drop)
}

/// Returns the body as a stream, without a deadline: it may go on for as long as the page is open.
pub(crate) async fn stream(path: &str) -> Result<web_sys::ReadableStream, Problem> {
    let response = RequestBuilder::new(path).send().await.map_err(|error| unreachable(&error.to_string()))?;
    let response = refuse_errors(response).await?;
    response.body().ok_or_else(|| unreadable("It has no body."))
}

/// The text of a reply. It has no type parameter, so that its code is in the page once and not for every type of reply.
async fn reply(method: Method, path: &str, body: Option<String>) -> Result<String, Problem> {
    text(exchange(method, path, body, None).await?).await
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
    Err(json::read(&text)
        .unwrap_or_else(|_| unreadable(&format!("It replied with status {status} and gave no reason."))))
}

async fn text(response: Response) -> Result<String, Problem> {
    response.text().await.map_err(|error| unreachable(&error.to_string()))
}

pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    json::read(text).map_err(|error| unreadable(&error.to_string()))
}

fn unreachable(error: &str) -> Problem {
    Problem::new(
        ProblemCode::NetworkRefused,
        "The backend does not answer.",
        "No reply came from the address that this page was loaded from.",
        "Check that `pixelrts up` or `pixelrts serve` runs on its computer. This page reconnects without your help.",
    )
    .context(error)
}

fn unwritable() -> Problem {
    Problem::new(
        ProblemCode::Internal,
        "The request cannot be written.",
        "A value in it has no form in JSON.",
        "Report it: this is a fault of the page.",
    )
}

fn unreadable(why: &str) -> Problem {
    Problem::new(
        ProblemCode::Internal,
        "The reply of the backend cannot be read.",
        why,
        "Reload the page: it may be older than the backend.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Backend;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn a_reply_is_read_and_an_unchanged_one_is_not() {
        let backend = Backend::start();
        backend.reply_text("GET /x", 200, "7", Some("\"a\"")).reply_text("GET /x", 304, "", None);
        let Ok(Conditional::Modified { text, etag }) = get_if_changed("/x", None).await else {
            panic!("it was never read before")
        };
        assert_eq!((&*text, etag.as_deref()), ("7", Some("\"a\"")));
        assert!(matches!(get_if_changed("/x", etag.as_deref()).await, Ok(Conditional::NotModified)));
    }

    #[wasm_bindgen_test]
    async fn a_body_is_sent_as_json() {
        let backend = Backend::start();
        backend.reply("POST /x", 202, &json!([1, 2]));
        assert_eq!(send::<Vec<u64>>(Method::POST, "/x", &json!({"a": "b"})).await, Ok(vec![1, 2]));
        assert_eq!(backend.calls(), [r#"POST /x {"a":"b"}"#]);
    }

    #[wasm_bindgen_test]
    async fn the_backend_s_own_problem_is_what_is_shown() {
        let problem = Problem::new(ProblemCode::HashMismatch, "what", "why", "fix");
        let backend = Backend::start();
        backend.reply("DELETE /x", 409, &serde_json::to_value(&problem).unwrap());
        assert_eq!(command(Method::DELETE, "/x").await, Err(problem));
    }

    #[wasm_bindgen_test]
    async fn everything_else_that_goes_wrong_is_a_problem_too() {
        let backend = Backend::start();
        backend.reply_text("GET /bare", 502, "<html>", None).reply_text("GET /odd", 200, "<html>", None);
        let problem = async |path| get::<u64>(path).await.unwrap_err();
        let (bare, odd, gone) = (problem("/bare").await, problem("/odd").await, problem("/gone").await);
        assert_eq!(bare.why, "It replied with status 502 and gave no reason.");
        assert_eq!((odd.code, &*odd.why), (ProblemCode::Internal, "It is not JSON."));
        assert_eq!((gone.code, &*gone.what), (ProblemCode::NetworkRefused, "The backend does not answer."));
        assert!(gone.context.iter().any(|line| line.contains("nobody answers")), "{:?}", gone.context);
    }
}
