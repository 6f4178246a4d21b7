//! Why no secure connection comes about. Each cause has another fix.

use pixelrts_shared::text::{LongText, Text};
use pixelrts_shared::{Digest, Problem, ProblemCode};

/// Times are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    #[error("it was valid until {until}; the clock of this computer says {now}")]
    Expired { until: String, now: String },
    #[error("it is valid from {from} on; the clock of this computer says {now}")]
    NotYetValid { from: String, now: String },
    #[error("no authority that this computer knows has signed its certificate")]
    UnknownAuthority { fingerprint: Digest },
    #[error("its certificate is for {names}, and the address says {asked}")]
    WrongName { asked: Text, names: LongText, fingerprint: Digest },
    /// Another one than the operator has pinned.
    #[error("its certificate has the SHA-256 {found}")]
    OtherCertificate { found: Digest },
    #[error("this computer has no certificates of authorities{0}")]
    NoAuthorities(LongText),
    #[error("the file of its authority cannot be used: {0}")]
    AuthorityFile(LongText),
    /// Often a server that speaks plain HTTP.
    #[error("what it sends is not TLS")]
    NotTls,
    #[error("{0}")]
    Handshake(LongText),
}

const PIN: &str = "If you know that the server is the right one, set the SHA-256 of its certificate as `pin`, or the file of \
    its authority as `ca_file`, under servers in the configuration. SSL_CERT_FILE names a file of authorities for all \
    servers.";

/// A fault with the server's name for people, which the sentences need.
#[derive(Debug)]
pub(super) struct FaultOf<'a> {
    pub(super) server: &'a str,
    pub(super) fault: TlsFault,
}

impl From<FaultOf<'_>> for Problem {
    fn from(FaultOf { server, fault }: FaultOf<'_>) -> Self {
        let why = fault.to_string();
        match fault {
            TlsFault::Expired { .. } => Self::new(
                ProblemCode::TlsExpired,
                format!("The certificate of {server} has expired."),
                why,
                "If the clock is right, ask the person who runs the server to renew the certificate. Otherwise set the \
                 clock of this computer.",
            ),
            TlsFault::NotYetValid { .. } => Self::new(
                ProblemCode::TlsNotYetValid,
                format!("The certificate of {server} is not valid yet."),
                why,
                "Check the clock of this computer, which is probably wrong: timedatectl shows it.",
            ),
            TlsFault::UnknownAuthority { fingerprint } => Self::new(
                ProblemCode::TlsUnknownAuthority,
                format!("The certificate of {server} is not trusted."),
                why,
                PIN,
            )
            .context(format!("the SHA-256 of the certificate is {fingerprint}")),
            TlsFault::WrongName { fingerprint, .. } => Self::new(
                ProblemCode::TlsWrongName,
                format!("The certificate of {server} is for another name."),
                why,
                format!("Use a name of the certificate in the address. {PIN}"),
            )
            .context(format!("the SHA-256 of the certificate is {fingerprint}")),
            TlsFault::OtherCertificate { .. } => Self::new(
                ProblemCode::TlsOtherCertificate,
                format!("{server} has another certificate than the one that is set for it."),
                why,
                "Ask the person who runs the server whether it has a new certificate. If so, set its SHA-256 as `pin`. \
                 Otherwise somebody is between you and the server.",
            ),
            TlsFault::NoAuthorities(_) => Self::new(
                ProblemCode::TlsNoAuthorities,
                "Nothing on this computer can check the certificates of servers.".to_owned(),
                why,
                "Install the certificates of authorities: apt-get install ca-certificates. Addresses with http:// work \
                 without them.",
            ),
            TlsFault::AuthorityFile(_) => Self::new(
                ProblemCode::ConfigInvalid,
                format!("The certificate of {server} cannot be checked."),
                why,
                "Correct `ca_file` of this server: it names a file with certificates (PEM).",
            ),
            TlsFault::NotTls => Self::new(
                ProblemCode::TlsNotOffered,
                format!("{server} does not speak TLS."),
                why,
                "If the server has no TLS, write http:// instead of https:// in its address. Otherwise correct the port.",
            ),
            TlsFault::Handshake(_) => Self::new(
                ProblemCode::NetworkTls,
                format!("No secure connection to {server} is possible."),
                why,
                "Check the server's certificate and the versions of TLS that it offers: 1.2 and 1.3 are possible here.",
            ),
        }
    }
}
