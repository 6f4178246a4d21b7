//! Makes the secrets that the role needs before anything is offered: the token of the API, a TLS certificate.

use std::path::PathBuf;

use pixelrts_shared::Problem;

use super::{Handler, Rule, Site, handler};
use crate::secrets::{Certificate, Token};

/// A secret that must exist before anything is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The file of the API's token.
    Token(PathBuf),
    /// Certificate and key as PEM, for these names.
    Certificate { cert: PathBuf, key: PathBuf, names: Vec<String> },
}

struct Security;

handler!(Security);

impl Handler for Security {
    fn name(&self) -> &'static str {
        "security"
    }

    fn priority(&self) -> u32 {
        60
    }

    fn rule(&self) -> Rule {
        Rule::Required
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        Ok(site.secrets.iter().any(Secret::is_missing))
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        site.secrets.iter().filter(|secret| secret.is_missing()).map(Secret::make).collect()
    }
}

impl Secret {
    fn is_missing(&self) -> bool {
        match self {
            Self::Token(file) => !file.exists(),
            Self::Certificate { cert, key, .. } => !cert.exists() || !key.exists(),
        }
    }

    fn make(&self) -> Result<String, Problem> {
        Ok(match self {
            Self::Token(file) => Token::load_or_make(file).map(|_| format!("made the token {}", file.display())),
            Self::Certificate { cert, key, names } => Certificate::load_or_make(cert, key, names)
                .map(|made| format!("made the certificate {}, SHA-256 {}", cert.display(), made.fingerprint())),
        }?)
    }
}
