//! What can go wrong with a server. The cases are told apart because each of them has another fix.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use pixelrts_shared::{Digest, Problem, ProblemCode};
use url::Url;

use crate::cache::CacheError;

/// A failure with the server's name for people, as in `office` or `images.example.org:8080`.
#[derive(Debug, thiserror::Error)]
#[error("{server}: {kind}")]
pub struct RemoteError {
    pub server: String,
    pub kind: Kind,
}

#[derive(Debug, thiserror::Error)]
pub enum Kind {
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("its name cannot be found: {0}")]
    Dns(String),
    #[error("nothing listens at {0}")]
    Refused(String),
    #[error("the connection broke: {0}")]
    Interrupted(String),
    #[error("{0}")]
    Tls(String),
    #[error("nothing was found at {0}")]
    NotFound(Url),
    #[error("it answered with the HTTP status {0}")]
    Denied(u16),
    #[error("it answered with the HTTP status {0}")]
    Status(u16),
    #[error("{0}")]
    Redirect(String),
    #[error("{0}")]
    BadCatalog(String),
    #[error("{0}")]
    BadReply(String),
    /// More or fewer bytes than the catalog announces.
    #[error("the image has {found} bytes, but the catalog announces {expected}")]
    Length { expected: u64, found: u64 },
    #[error("the SHA-256 of the received bytes is {found}, but the catalog promises {expected}")]
    Mismatch { expected: Digest, found: Digest },
    #[error(transparent)]
    Cache(CacheError),
}

/// The network client itself cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(pub(super) String);

impl From<ClientError> for Problem {
    fn from(ClientError(why): ClientError) -> Self {
        Self::new(
            ProblemCode::DependencyMissing,
            "The network client cannot be set up.",
            why,
            "Install the CA certificates: apt-get install ca-certificates",
        )
    }
}

impl RemoteError {
    pub(super) fn new(server: &str, kind: Kind) -> Self {
        Self { server: server.to_owned(), kind }
    }

    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Timeout(_) | Kind::Dns(_) | Kind::Refused(_) | Kind::Interrupted(_) => true,
            Kind::Status(status) => *status >= 500 || matches!(status, 408 | 429),
            Kind::Tls(_)
            | Kind::NotFound(_)
            | Kind::Denied(_)
            | Kind::Redirect(_)
            | Kind::BadCatalog(_)
            | Kind::BadReply(_)
            | Kind::Length { .. }
            | Kind::Mismatch { .. }
            | Kind::Cache(_) => false,
        }
    }

    /// Finds out what kind of failure of the network this is. `limit` is the deadline that applied.
    pub(super) fn network(server: &str, error: &reqwest::Error, limit: Duration) -> Self {
        let mut chain = Vec::new();
        let mut next = error.source();
        let mut kind = None;
        while let Some(link) = next {
            let text = link.to_string();
            if let Some(tls) = tls_error(link) {
                kind = Some(Kind::Tls(tls));
                break;
            }
            if text.starts_with("dns error") {
                kind = Some(Kind::Dns(link.source().map_or(text, ToString::to_string)));
                break;
            }
            if let Some(io) = link.downcast_ref::<io::Error>() {
                match io.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        let at = error.url().map_or_else(String::new, |url| url.authority().to_owned());
                        kind = Some(Kind::Refused(at));
                        break;
                    }
                    io::ErrorKind::TimedOut => {
                        kind = Some(Kind::Timeout(limit));
                        break;
                    }
                    _ => {}
                }
            }
            chain.push(text);
            next = link.source();
        }
        let cause = chain.pop().unwrap_or_else(|| error.to_string());
        let kind = match kind {
            Some(kind) => kind,
            None if error.is_timeout() => Kind::Timeout(limit),
            None if error.is_redirect() => Kind::Redirect(cause),
            None => Kind::Interrupted(cause),
        };
        Self::new(server, kind)
    }
}

fn tls_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let inner = match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref()? as &(dyn std::error::Error + 'static),
        None => error,
    };
    inner.downcast_ref::<rustls::Error>().map(ToString::to_string)
}

impl From<RemoteError> for Problem {
    fn from(RemoteError { server, kind }: RemoteError) -> Self {
        let why = kind.to_string();
        match kind {
            Kind::Timeout(_) => Self::new(
                ProblemCode::NetworkTimeout,
                format!("{server} does not answer."),
                why,
                "Check that the server is running and can be reached from here. A firewall may drop the packets.",
            ),
            Kind::Dns(_) => Self::new(
                ProblemCode::NetworkDns,
                format!("{server} cannot be found."),
                why,
                "Check the spelling of its address, and whether this computer has a network connection.",
            ),
            Kind::Refused(_) => Self::new(
                ProblemCode::NetworkRefused,
                format!("{server} refused the connection."),
                why,
                "Start the server there, or correct the port of its address.",
            ),
            Kind::Interrupted(_) => Self::new(
                ProblemCode::NetworkInterrupted,
                format!("The connection to {server} broke."),
                why,
                "Try again. What has been downloaded is kept, and the download continues from there.",
            ),
            Kind::Tls(_) => Self::new(
                ProblemCode::NetworkTls,
                format!("No secure connection to {server} is possible."),
                why,
                "Check the server's certificate, and the clock and the CA certificates of this computer.",
            ),
            Kind::NotFound(_) => Self::new(
                ProblemCode::RemoteNotFound,
                format!("{server} does not have what was requested."),
                why,
                "Check the address. An image that was removed there disappears from the list within a minute.",
            ),
            Kind::Denied(_) => Self::new(
                ProblemCode::RemoteDenied,
                format!("{server} denies access."),
                why,
                "Set the server's token as auth, under servers in the configuration. The shell has no field for it.",
            ),
            Kind::Status(_) => Self::new(
                ProblemCode::RemoteFailed,
                format!("{server} failed."),
                why,
                "Try again later, or ask the person who runs that server.",
            ),
            Kind::Redirect(_) => Self::new(
                ProblemCode::RemoteFailed,
                format!("{server} redirects to an address that is not followed."),
                why,
                "Enter the final address of the server. At most 5 redirects are followed, and none from https to http.",
            ),
            Kind::BadCatalog(_) => Self::new(
                ProblemCode::BadCatalog,
                format!("The catalog of {server} cannot be used."),
                why,
                "Check that the address is that of a catalog server, or ask the person who runs it to build its catalog again.",
            ),
            Kind::BadReply(_) => Self::new(
                ProblemCode::RemoteFailed,
                format!("The answer of {server} cannot be understood."),
                why,
                "Ask the person who runs that server, or fetch from another server.",
            ),
            Kind::Length { expected, found } => Self::new(
                ProblemCode::HashMismatch,
                format!("{server} sent another image than its catalog promises."),
                why,
                "Wait a minute, until the catalog has been read again, then try again; or fetch from another server.",
            )
            .context(format!("expected {expected} bytes, found {found}")),
            Kind::Mismatch { expected, found } => Self::new(
                ProblemCode::HashMismatch,
                format!("{server} sent another image than its catalog promises."),
                format!("{why}; nothing of it was kept."),
                "Do not use this image. Tell the person who runs that server, or fetch from another server.",
            )
            .context(format!("expected {expected}, found {found}, server {server}")),
            Kind::Cache(error) => error.into(),
        }
    }
}
