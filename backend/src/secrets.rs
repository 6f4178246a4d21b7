//! What others must not know, and what identifies this backend: the API's token, the TLS certificate and its key.
//!
//! Secrets are files that only their owner can read (mode 0600), and they are written completely or not at all. A
//! missing secret is made. One that exists and cannot be used is never replaced, because it may be somebody's only
//! copy.

mod certificate;
mod error;
mod file;
mod token;

pub use certificate::{Certificate, read_chain};
pub use error::SecretsError;
pub use token::Token;
