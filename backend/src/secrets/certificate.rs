//! The certificate that identifies a backend to browsers and to other backends.
//!
//! When there is none, a self-signed one is made. A browser then asks once, and people compare the fingerprint that is
//! printed at the start. A certificate of a real authority can take its place.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

use super::SecretsError;
use super::file::{SECRET, exists, read_secret, write_new};

/// How long a certificate that is made here is valid: as long as browsers accept one of a private authority.
const VALID: Duration = Duration::from_secs(825 * DAY);
const DAY: u64 = 24 * 3600;
/// Certificates are public.
const PUBLIC: u32 = 0o644;

/// A chain and the key of its first certificate. They belong together and are valid now.
#[derive(Clone, Debug)]
pub struct Certificate {
    path: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    config: ServerConfig,
}

impl Certificate {
    /// The certificate of the two PEM files.
    ///
    /// When neither file exists, a self-signed one is made for `names` (names and addresses), `localhost`, 127.0.0.1
    /// and ::1, valid for 825 days. A key without a certificate remains
    /// after a crash between the two files: then its certificate is made.
    pub fn load_or_make(cert: &Path, key: &Path, names: &[String]) -> Result<Self, SecretsError> {
        match (exists(cert)?, exists(key)?) {
            (true, true) => {}
            (true, false) => {
                return Err(SecretsError::KeyMissing { certificate: cert.to_owned(), key: key.to_owned() });
            }
            (false, true) => {
                let pem = read_secret(key, KEY)?;
                let pair = KeyPair::from_pem(&pem).map_err(|error| no_key(key, &error))?;
                write_new(cert, &self_signed(&pair, names)?, PUBLIC)?;
            }
            (false, false) => {
                let pair = KeyPair::generate().map_err(SecretsError::Make)?;
                let certificate = self_signed(&pair, names)?;
                write_new(key, &pair.serialize_pem(), SECRET)?;
                write_new(cert, &certificate, PUBLIC)?;
            }
        }
        Self::load(cert, key)
    }

    /// The certificate of the two PEM files. Nothing is made.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, SecretsError> {
        let chain = read_chain(cert)?;
        let secret = read_secret(key, KEY)?;
        let secret = PrivateKeyDer::from_pem_slice(secret.as_bytes()).map_err(|error| no_key(key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain.clone(), secret));
        let mut config = config.map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                SecretsError::Mismatch { certificate: cert.to_owned(), key: key.to_owned() }
            }
            rustls::Error::InvalidCertificate(error) => no_certificate(cert, &format!("{error:?}")),
            error => no_key(key, &error),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let this = Self { path: cert.to_owned(), chain, config };
        this.valid_at(SystemTime::now())?;
        Ok(this)
    }

    /// Whether it is valid at that time, which the doctor checks for a later time.
    pub fn valid_at(&self, time: SystemTime) -> Result<(), SecretsError> {
        let at = UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
        let mut roots = RootCertStore::empty();
        roots.add(self.chain[0].clone()).map_err(|error| no_certificate(&self.path, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| no_certificate(&self.path, &error))?;
        // The clients decide whether they accept the signature and the names. The time is checked first, and only it
        // matters.
        let name = ServerName::try_from("localhost").expect("localhost is a name");
        let path = self.path.clone();
        match verifier.verify_server_cert(&self.chain[0], &self.chain[1..], &name, &[], at) {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                Err(SecretsError::Expired { path, until: text(not_after) })
            }
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, time })) => {
                Err(SecretsError::NotYetValid { path, from: text(not_before), now: text(time) })
            }
            _ => Ok(()),
        }
    }

    /// SHA-256 of the certificate, as browsers show it: `AB:CD:...`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(&self.chain[0]);
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// TLS 1.2 and 1.3, for HTTP/1.1.
    #[must_use]
    pub fn server_config(&self) -> ServerConfig {
        self.config.clone()
    }
}

const KEY: &str = "The key of the TLS certificate";

pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, SecretsError> {
    let bytes = std::fs::read(path).map_err(|error| SecretsError::file(path, error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| no_certificate(path, &error))?;
    if chain.is_empty() { Err(no_certificate(path, &"there is no certificate in it")) } else { Ok(chain) }
}

/// A certificate for the key, as PEM.
fn self_signed(pair: &KeyPair, names: &[String]) -> Result<String, SecretsError> {
    let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    // An address that means "all of them" is no address of anyone.
    let everywhere = |name: &String| name.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    all.extend(names.iter().filter(|name| !name.is_empty() && !everywhere(name)).cloned());
    all.sort_unstable();
    all.dedup();
    let mut params = CertificateParams::new(all).map_err(SecretsError::Make)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "PixelRTS");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Clocks differ: yesterday is early enough for any that is right.
    params.not_before = date_time_ymd(1970, 1, 1) + now - Duration::from_secs(DAY);
    params.not_after = date_time_ymd(1970, 1, 1) + now + VALID;
    Ok(params.self_signed(pair).map_err(SecretsError::Make)?.pem())
}

pub(super) fn no_certificate(path: &Path, why: &impl std::fmt::Display) -> SecretsError {
    SecretsError::NoCertificate { path: path.to_owned(), why: why.to_string() }
}

fn no_key(path: &Path, why: &impl std::fmt::Display) -> SecretsError {
    SecretsError::NoKey { path: path.to_owned(), why: why.to_string() }
}

fn text(time: UnixTime) -> String {
    crate::clock::rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

#[cfg(test)]
mod tests;
