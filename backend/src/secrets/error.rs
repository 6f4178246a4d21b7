//! Why a secret cannot be used or made.

use std::io;
use std::path::{Path, PathBuf};

use pixelrts_shared::{Problem, ProblemCode};

use crate::random;
use crate::report::shell_word;

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// `what` is the secret, as people call it.
    #[error("{} can be read by others (mode {mode:o})", path.display())]
    Exposed { what: &'static str, path: PathBuf, mode: u32 },
    #[error("{} does not hold 64 hex digits", path.display())]
    Malformed { path: PathBuf },
    #[error("the system gives no random bytes: {0}")]
    Random(random::Error),
    #[error("{}: {why}", path.display())]
    NoCertificate { path: PathBuf, why: String },
    #[error("{}: {why}", path.display())]
    NoKey { path: PathBuf, why: String },
    #[error("there is {}, but not {}", certificate.display(), key.display())]
    KeyMissing { certificate: PathBuf, key: PathBuf },
    #[error("the key in {} is not the one of {}", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("{} is not valid after {until}", path.display())]
    Expired { path: PathBuf, until: String },
    #[error("{} is valid from {from}, and the clock says {now}", path.display())]
    NotYetValid { path: PathBuf, from: String, now: String },
    #[error("{0}")]
    Make(rcgen::Error),
}

impl SecretsError {
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }
}

impl From<SecretsError> for Problem {
    fn from(error: SecretsError) -> Self {
        let why = error.to_string();
        let invalid = |what: &str, fix: String| Self::new(ProblemCode::ConfigInvalid, what, why.clone(), fix);
        match error {
            SecretsError::File { path, error } => Self::new(
                match error.kind() {
                    io::ErrorKind::PermissionDenied => ProblemCode::PermissionDenied,
                    io::ErrorKind::StorageFull => ProblemCode::StorageFull,
                    _ => ProblemCode::StorageFailed,
                },
                "A secret cannot be read or made.",
                why,
                format!(
                    "Make {} readable and its folder writable for this user, or name another file.",
                    path.display()
                ),
            ),
            SecretsError::Exposed { what, path, .. } => Self::new(
                ProblemCode::ConfigExposed,
                format!("{what} may be known to others."),
                why,
                format!(
                    "If nobody else has read it: chmod 600 {}. Otherwise replace it, because it is not a secret any more.",
                    shell_word(path)
                ),
            ),
            SecretsError::Malformed { path } => invalid(
                "The token of the API is damaged.",
                format!("Remove it, so that a new one is made: rm {}", shell_word(path)),
            ),
            SecretsError::Random(_) => {
                Self::new(ProblemCode::Internal, "No secret can be made.", why, "Check the system's random device.")
            }
            SecretsError::NoCertificate { .. } => invalid(
                "The TLS certificate cannot be used.",
                "Give a file with PEM certificates, the server's own first.".to_owned(),
            ),
            SecretsError::NoKey { .. } => invalid(
                "The key of the TLS certificate cannot be used.",
                "Give a file with one PEM key (PKCS#8, PKCS#1 or SEC1), without a password.".to_owned(),
            ),
            SecretsError::KeyMissing { certificate, .. } => invalid(
                "The TLS certificate has no key.",
                format!("Put its key there, or remove {}, so that both are made.", certificate.display()),
            ),
            SecretsError::Mismatch { certificate, key } => invalid(
                "The TLS certificate and its key do not belong together.",
                format!(
                    "Give the two that were made together, or remove both, so that new ones are made: rm {} {}",
                    shell_word(certificate),
                    shell_word(key)
                ),
            ),
            SecretsError::Expired { path, .. } => invalid(
                "The TLS certificate has expired.",
                format!("Renew it. If PixelRTS made it, remove it, and a new one is made: rm {}", shell_word(path)),
            ),
            SecretsError::NotYetValid { .. } => invalid(
                "The TLS certificate is not valid yet.",
                "Set this computer's clock: sudo timedatectl set-ntp \
                    true"
                    .to_owned(),
            ),
            SecretsError::Make(_) => Self::new(
                ProblemCode::Internal,
                "No TLS certificate can be made.",
                why,
                "Give one of your own with --tls-cert and --tls-key.",
            ),
        }
    }
}
