//! Trust in exactly one certificate: how a command recognizes the backend on the same computer.
//!
//! The backend's own file says which certificate it has, so neither its name nor an authority is checked. What the
//! holder of the certificate signs during the handshake is checked as always.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::SecretsError;
use super::certificate::{no_certificate, read_chain};

/// A client that talks to the holder of the first certificate in the PEM file only.
pub fn pinned(certificate: &Path) -> Result<ClientConfig, SecretsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let known = read_chain(certificate)?.swap_remove(0);
    let pin = Pin { known, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| no_certificate(certificate, &error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(pin)).with_no_client_auth())
}

#[derive(Debug)]
struct Pin {
    known: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        offered: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *offered == self.known {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Certificate;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    #[tokio::test]
    async fn only_the_known_certificate_is_talked_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let ours = Certificate::load_or_make(&at("cert"), &at("key"), &[]).unwrap();
        Certificate::load_or_make(&at("other"), &at("other-key"), &[]).unwrap();
        for (known, trusted) in [("cert", true), ("other", false)] {
            let (here, there) = tokio::io::duplex(64 << 10);
            let acceptor = TlsAcceptor::from(Arc::new(ours.server_config()));
            let connector = TlsConnector::from(Arc::new(pinned(&at(known)).unwrap()));
            // It is not made for this name.
            let name = ServerName::try_from("backend.example").unwrap();
            let (served, asked) = tokio::join!(acceptor.accept(there), connector.connect(name, here));
            assert_eq!((served.is_ok(), asked.is_ok()), (trusted, trusted), "{known}");
        }
    }
}
