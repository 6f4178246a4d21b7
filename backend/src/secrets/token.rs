//! Secrets of 256 bits: the API's token, which is kept in a file of mode 0600, and the login that a browser can use
//! once.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::SecretsError;
use super::file::{SECRET, exists, read_secret, write_new};
use crate::random;

/// It is compared in constant time and never printed by `Debug`.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn random() -> Result<Self, SecretsError> {
        Ok(Self(random::hex::<32>().map_err(SecretsError::Random)?))
    }

    /// The token in the file, or a new one when there is no file.
    pub fn load_or_make(path: &Path) -> Result<Self, SecretsError> {
        if !exists(path)? {
            let token = Self::random()?;
            match write_new(path, &token.0, SECRET) {
                // Another process was faster, so its token is used.
                Err(SecretsError::File { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| token),
            }
        }
        Self::load(path)
    }

    /// The token in the file, which only its owner may be able to read.
    pub fn load(path: &Path) -> Result<Self, SecretsError> {
        let text = read_secret(path, "The token of the API")?.trim().to_owned();
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text))
        } else {
            Err(SecretsError::Malformed { path: path.to_owned() })
        }
    }

    #[must_use]
    pub fn is(&self, offered: &str) -> bool {
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }

    /// What a browser keeps instead of the token: it cannot be turned back into it.
    pub(crate) fn session(&self) -> String {
        hex::encode(Sha256::digest(format!("session {}", self.0)))
    }

    pub(crate) fn is_session(&self, offered: &str) -> bool {
        self.session().as_bytes().ct_eq(offered.as_bytes()).into()
    }

    /// The secret itself, for the address that is printed once.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

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
        assert!(matches!(Token::load_or_make(&path), Err(SecretsError::Exposed { mode: 0o644, .. })));
    }

    #[test]
    fn a_damaged_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        Token::load_or_make(&path).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(Token::load_or_make(&path), Err(SecretsError::Malformed { .. })));
    }
}
