//! What others must not know, and by what we are known: the API's token, the TLS certificate and its key.
//!
//! Secrets are files of their owner alone (mode 0600), written complete or absent. What is missing is made; what is
//! there and cannot be used is never replaced, because it may be someone's only copy.

mod certificate;
mod error;
mod file;
mod pin;
mod token;

pub use certificate::Certificate;
pub use error::SecretsError;
pub use pin::pinned;
pub use token::Token;
