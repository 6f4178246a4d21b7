//! The running backend, as commands ask it.

use pixelrts_shared::{Problem, ProblemCode};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Context;
use crate::app::Backend;
use crate::remote::Client;
use crate::remote::client::{Credentials, Endpoint, Trust};
use crate::secrets::Token;

#[derive(Debug)]
pub(super) struct Running {
    client: Client,
    endpoint: Endpoint,
}

impl Running {
    /// The backend that uses the same state as this command, if one runs.
    pub(super) fn find(context: &Context) -> Result<Option<Self>, Problem> {
        let Some(backend) = Backend::running(&context.paths)? else { return Ok(None) };
        let endpoint = endpoint(&backend)?;
        // It is on this computer: no proxy is needed.
        Ok(Some(Self { client: Client::default(), endpoint }))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.call(Method::GET, path, None::<&()>).await
    }

    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Problem> {
        self.client.call(&self.endpoint, method, path, body).await
    }
}

/// How the backend is reached.
pub(super) fn endpoint(backend: &Backend) -> Result<Endpoint, Problem> {
    let base = Url::parse(&backend.url).map_err(|error| {
        let fix = "Stop the backend and start it again.";
        Problem::new(ProblemCode::Internal, "The address of the running backend is none.", error.to_string(), fix)
    })?;
    let token = backend.token.as_deref().map(Token::load).transpose()?;
    let credentials = token.map(|token| Credentials::Bearer(token.reveal().to_owned()));
    let trust = backend.certificate.clone().map_or(Trust::System, Trust::Certificate);
    Ok(Endpoint { credentials, trust, is_own_backend: true, ..Endpoint::new("the running backend".into(), base) })
}
