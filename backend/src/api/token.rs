//! Secrets of 256 bits: the API's token, kept in a file of mode 0600, and the login that lets a browser in once.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pixelrts_shared::{Problem, ProblemCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Compared in constant time, never printed by `Debug`.
#[derive(Clone)]
pub struct Token(String);

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} can be read by others (mode {mode:o})", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} does not hold 64 hex digits", path.display())]
    Malformed { path: PathBuf },
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Token {
    pub fn random() -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(TokenError::Random)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// The token in the file; a new one when there is no file.
    pub fn load_or_make(path: &Path) -> Result<Self, TokenError> {
        let failed = |error| TokenError::File { path: path.to_owned(), error };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                let token = Self::random()?;
                file.write_all(token.0.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
                return Ok(token);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        Self::load(path)
    }

    /// The token in the file, which must be its owner's alone.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let failed = |error| TokenError::File { path: path.to_owned(), error };
        let mode = fs::metadata(path).map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed { path: path.to_owned(), mode });
        }
        let text = fs::read_to_string(path).map_err(failed)?.trim().to_owned();
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text))
        } else {
            Err(TokenError::Malformed { path: path.to_owned() })
        }
    }

    #[must_use]
    pub fn is(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }

    /// What a browser keeps instead of the token: it cannot be turned back into it.
    pub(super) fn session(&self) -> String {
        hex::encode(Sha256::digest(format!("session {}", self.0)))
    }

    pub(super) fn is_session(&self, offered: &str) -> bool {
        self.session().as_bytes().ct_eq(offered.as_bytes()).into()
    }

    /// For the address that is printed once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let why = error.to_string();
        match error {
            TokenError::File { path, .. } => Self::new(
                ProblemCode::StorageFailed,
                "The token of the API cannot be read or made.",
                why,
                format!("Make {} readable for this user, or remove it.", path.display()),
            ),
            TokenError::Exposed { path, .. } => Self::new(
                ProblemCode::ConfigExposed,
                "The token of the API may be known to others.",
                why,
                format!("Remove it, so that a new one is made: rm {}", path.display()),
            ),
            TokenError::Malformed { path } => Self::new(
                ProblemCode::ConfigInvalid,
                "The token of the API is damaged.",
                why,
                format!("Remove it, so that a new one is made: rm {}", path.display()),
            ),
            TokenError::Random(_) => {
                Self::new(ProblemCode::Internal, "No secret can be made.", why, "Check the system's random device.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::load_or_make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(Token::load_or_make(&path).unwrap().is(token.reveal()));
        assert!(!token.is("") && !token.is(&token.session()) && token.is_session(&token.session()));
        assert!(!format!("{token:?}").contains(token.reveal()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Token::load_or_make(&path), Err(TokenError::Exposed { mode: 0o644, .. })));
    }

    #[test]
    fn a_damaged_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        Token::load_or_make(&path).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(Token::load_or_make(&path), Err(TokenError::Malformed { .. })));
    }
}
