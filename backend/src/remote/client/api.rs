//! Calls to the API of the backend on this computer.

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use pixelrts_shared::Problem;
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, Endpoint, next_chunk, status_kind};
use crate::remote::RemoteError;
use crate::remote::error::Kind;

/// The backend's largest document is the merged catalog.
const LIMIT: usize = 64 << 20;

impl Client {
    /// Calls the API of a backend, with POST when there is a body. A problem in the response becomes the error.
    pub async fn json<T: DeserializeOwned>(
        &self,
        backend: &Endpoint,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Problem> {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        self.call(backend, method, path, body).await
    }

    /// Calls the API of a backend. An answer without a body is read as `()`.
    pub async fn call<T: DeserializeOwned>(
        &self,
        backend: &Endpoint,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Problem> {
        let response = self.api(backend, method, path, body).await?;
        let body = self.body(backend, response, LIMIT).await?;
        serde_json::from_slice(if body.is_empty() { b"null" } else { &body })
            .map_err(|error| RemoteError::new(&backend.name, Kind::BadReply(error.to_string().into())).into())
    }

    /// A long response of a backend's API, piece by piece, with POST when there is a body.
    pub async fn stream<B: Serialize>(
        &self,
        backend: &Endpoint,
        path: &str,
        body: Option<&B>,
    ) -> Result<impl Stream<Item = Result<Bytes, RemoteError>> + Unpin + use<B>, Problem> {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let response = self.api(backend, method, path, body).await?;
        Ok(Box::pin(stream::try_unfold((response, backend.name.clone()), |(mut response, name)| async move {
            Ok(next_chunk(&name, &mut response).await?.map(|piece| (piece, (response, name))))
        })))
    }

    async fn api(
        &self,
        backend: &Endpoint,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response, Problem> {
        let bad = |why: String| RemoteError::new(&backend.name, Kind::BadReply(why.into()));
        let url = backend.base.join(path).map_err(|error| bad(error.to_string()))?;
        let response = self
            .send(backend, &url, |client, url| {
                let request = client.request(method, url);
                match body {
                    Some(body) => request.json(body),
                    None => request,
                }
            })
            .await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let kind = status_kind(&response, &url);
        let body = self.body(backend, response, LIMIT).await?;
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| RemoteError::new(&backend.name, kind).into()))
    }
}
