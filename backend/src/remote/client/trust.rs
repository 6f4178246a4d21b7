//! How a server proves that it is the right one.
//!
//! The certificates of this computer's authorities are read with the first secure connection, so that a computer without
//! any can use plain HTTP. Each refusal is a [`TlsFault`], because each cause has another fix.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use std::{fmt, fs};

use pixelrts_shared::Digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::Digest as _;

use crate::clock;
use crate::files::FileIdentity;
use crate::remote::error::TlsFault;
use crate::secrets;

/// What makes a certificate the right one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// An authority that this computer knows has signed it.
    #[default]
    System,
    /// An authority of this file (PEM) has signed it.
    Authority(PathBuf),
    /// Its SHA-256 is this one, whatever it says and whoever signed it.
    Pin(Digest),
    /// It is the first one of this file: how a command recognizes the backend on the same computer.
    Certificate(PathBuf),
}

/// The authorities of this computer, read once.
#[derive(Clone, Debug, Default)]
pub(super) struct Authorities(Arc<Mutex<Option<Arc<WebPkiServerVerifier>>>>);

impl Authorities {
    fn get(&self) -> Result<Arc<WebPkiServerVerifier>, TlsFault> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        let verifier = verifier(roots).ok_or_else(|| TlsFault::NoAuthorities(why.into()))?;
        Ok(known.insert(verifier).clone())
    }
}

/// The authorities of a file, read again when the file is another one or has changed: who replaces a certificate need
/// not start the backend again.
#[derive(Debug)]
struct AuthorityFile {
    path: PathBuf,
    known: Mutex<Option<(FileIdentity, Arc<WebPkiServerVerifier>)>>,
}

impl AuthorityFile {
    fn new(path: PathBuf) -> Self {
        Self { path, known: Mutex::default() }
    }

    fn get(&self) -> Result<Arc<WebPkiServerVerifier>, TlsFault> {
        let unusable = |error: &dyn fmt::Display| TlsFault::AuthorityFile(error.to_string().into());
        let path = self.path.display();
        let found = fs::metadata(&self.path).map_err(|error| unusable(&format!("{path}: {error}")))?;
        let found = FileIdentity::of(&found);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = known.as_ref().filter(|(as_it_was, _)| *as_it_was == found) {
            return Ok(known.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain(&self.path)?);
        let none = format!("{path} has no certificate of an authority");
        let verifier = verifier(roots).ok_or_else(|| unusable(&none))?;
        Ok(known.insert((found, verifier)).1.clone())
    }
}

/// `None` without a single authority.
fn verifier(roots: RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Trust {
    /// The file of authorities and the pin, where there are any.
    #[must_use]
    pub fn parts(&self) -> (Option<String>, Option<Digest>) {
        match self {
            Self::System | Self::Certificate(_) => (None, None),
            Self::Authority(file) => (Some(file.to_string_lossy().into_owned()), None),
            Self::Pin(pin) => (None, Some(*pin)),
        }
    }

    /// What TLS needs for this.
    pub(super) fn config(&self, authorities: &Authorities) -> Result<ClientConfig, TlsFault> {
        let unusable = |error: &dyn fmt::Display| TlsFault::AuthorityFile(error.to_string().into());
        let rule = match self {
            Self::System => Rule::System(authorities.clone()),
            Self::Authority(file) => {
                let known = AuthorityFile::new(file.clone());
                known.get()?;
                Rule::Authority(known)
            }
            Self::Pin(digest) => Rule::Pin(*digest),
            Self::Certificate(file) => Rule::Pin(fingerprint(&chain(file)?[0])),
        };
        let checker = Checker { rule, provider: provider() };
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| unusable(&error))?;
        let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(checker)).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// At least one certificate.
fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    secrets::read_chain(file).map_err(|error| TlsFault::AuthorityFile(error.to_string().into()))
}

#[derive(Debug)]
enum Rule {
    System(Authorities),
    Authority(AuthorityFile),
    Pin(Digest),
}

#[derive(Debug)]
struct Checker {
    rule: Rule,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Checker {
    fn verify_server_cert(
        &self,
        offered: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let known = match &self.rule {
            Rule::System(authorities) => authorities.get().map_err(refusal)?,
            Rule::Authority(file) => file.get().map_err(refusal)?,
            Rule::Pin(pin) => {
                let found = fingerprint(offered);
                return match found == *pin {
                    true => Ok(ServerCertVerified::assertion()),
                    false => Err(refusal(TlsFault::OtherCertificate { found })),
                };
            }
        };
        known.verify_server_cert(offered, chain, name, ocsp, now).map_err(|error| match error {
            Error::InvalidCertificate(why) => refusal(fault(&why, offered, name, now)),
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn refusal(fault: TlsFault) -> Error {
    CertificateError::Other(OtherError(Arc::new(fault))).into()
}

fn fault(why: &CertificateError, offered: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> TlsFault {
    let time = |time: &UnixTime| clock::rfc3339(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match why {
        CertificateError::ExpiredContext { time: now, not_after } => {
            TlsFault::Expired { until: time(not_after), now: time(now) }
        }
        CertificateError::Expired => TlsFault::Expired { until: "earlier".to_owned(), now: time(&now) },
        CertificateError::NotValidYetContext { time: now, not_before } => {
            TlsFault::NotYetValid { from: time(not_before), now: time(now) }
        }
        CertificateError::NotValidYet => TlsFault::NotYetValid { from: "later".to_owned(), now: time(&now) },
        CertificateError::NotValidForNameContext { presented, .. } => wrong_name(&presented.join(", "), offered, name),
        CertificateError::NotValidForName => wrong_name("another name", offered, name),
        // A known authority with the same name has another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsFault::UnknownAuthority { fingerprint: fingerprint(offered) }
        }
        // What webpki says of a certificate that is its own authority.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            TlsFault::UnknownAuthority { fingerprint: fingerprint(offered) }
        }
        other => TlsFault::Handshake(Error::InvalidCertificate(other.clone()).to_string().into()),
    }
}

fn wrong_name(names: &str, offered: &CertificateDer<'_>, asked: &ServerName<'_>) -> TlsFault {
    let names = if names.is_empty() { "no name" } else { names };
    TlsFault::WrongName {
        asked: asked.to_str().as_ref().into(),
        names: names.into(),
        fingerprint: fingerprint(offered),
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Digest {
    Digest::new(sha2::Sha256::digest(certificate).into())
}
