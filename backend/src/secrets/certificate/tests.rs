use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

struct Files {
    _folder: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
}

fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    // The folder is made too.
    let (cert, key) = (folder.path().join("tls/cert.pem"), folder.path().join("tls/key.pem"));
    Files { _folder: folder, cert, key }
}

impl Files {
    fn get(&self) -> Result<Certificate, SecretsError> {
        Certificate::load_or_make(&self.cert, &self.key, &["shelf.lan".to_owned(), "0.0.0.0".to_owned()])
    }
}

/// Replaces the pair by one that is valid in those years.
fn between(files: &Files, from: i32, until: i32) {
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    fs::create_dir_all(files.cert.parent().unwrap()).unwrap();
    fs::write(&files.cert, params.self_signed(&pair).unwrap().pem()).unwrap();
    fs::write(&files.key, pair.serialize_pem()).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What a client says that trusts this certificate alone.
fn trusted_as(certificate: &Certificate, name: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.chain[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&certificate.chain[0], &[], &name, &[], UnixTime::now()).map(drop)
}

#[test]
fn it_is_made_once_for_its_names_and_its_key_is_for_its_owner() {
    let files = files();
    let made = files.get().unwrap();
    assert_eq!(fs::metadata(&files.key).unwrap().mode() & 0o777, 0o600);
    assert_eq!(files.get().unwrap().fingerprint(), made.fingerprint());
    assert_eq!(made.fingerprint().len(), 32 * 3 - 1);
    for name in ["shelf.lan", "localhost", "127.0.0.1", "::1"] {
        trusted_as(&made, name).unwrap();
    }
    for name in ["evil.example", "0.0.0.0"] {
        assert!(trusted_as(&made, name).is_err(), "{name}");
    }
    assert!(made.valid_at(SystemTime::now() + VALID - Duration::from_secs(DAY)).is_ok());
    assert!(made.valid_at(SystemTime::now() + VALID + Duration::from_secs(DAY)).is_err());
}

#[test]
fn what_a_crash_between_the_two_files_leaves_is_completed() {
    let files = files();
    let made = files.get().unwrap();
    let key = fs::read(&files.key).unwrap();
    fs::remove_file(&files.cert).unwrap();
    assert_ne!(files.get().unwrap().fingerprint(), made.fingerprint());
    assert_eq!(fs::read(&files.key).unwrap(), key, "the key stays");
    fs::remove_file(&files.key).unwrap();
    assert!(matches!(files.get(), Err(SecretsError::KeyMissing { .. })), "a certificate is never replaced");
}

#[test]
fn every_pair_that_cannot_be_used_is_told_apart() {
    let files = files();
    between(&files, 2001, 2002);
    assert!(matches!(files.get(), Err(SecretsError::Expired { until, .. }) if until.starts_with("2002-01-01")));
    between(&files, 2901, 2902);
    assert!(matches!(files.get(), Err(SecretsError::NotYetValid { .. })));
    between(&files, 2001, 2901);
    let other = KeyPair::generate().unwrap();
    fs::write(&files.key, other.serialize_pem()).unwrap();
    assert!(matches!(files.get(), Err(SecretsError::Mismatch { .. })));
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(files.get(), Err(SecretsError::Exposed { mode: 0o640, .. })));
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&files.key, "no key").unwrap();
    assert!(matches!(files.get(), Err(SecretsError::NoKey { .. })));
    between(&files, 2001, 2901);
    for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(&files.cert, broken).unwrap();
        assert!(matches!(files.get(), Err(SecretsError::NoCertificate { .. })), "{broken:?}");
    }
}

#[test]
fn keys_of_all_three_kinds_and_chains_are_taken() {
    let openssl = |arguments: &[&str], folder: &Path| {
        std::process::Command::new("openssl")
            .args(arguments)
            .current_dir(folder)
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let request = |key: &str, cert: &str, new: &[&str]| {
        let rest = ["-nodes", "-keyout", key, "-out", cert, "-days", "9", "-subj", "/CN=a"];
        openssl(&[&["req", "-x509"], new, &rest].concat(), folder.path())
    };
    if !request("pkcs8", "rsa.pem", &["-newkey", "rsa:2048"]) {
        return pixelrts_testing::skip("openssl", "the program openssl does not make a certificate here");
    }
    assert!(openssl(&["rsa", "-in", "pkcs8", "-out", "pkcs1", "-traditional"], folder.path()));
    assert!(openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sec1"], folder.path()));
    assert!(request("unused", "ec.pem", &["-key", "sec1"]));
    fs::write(at("chain.pem"), [fs::read(at("ec.pem")).unwrap(), fs::read(at("rsa.pem")).unwrap()].concat()).unwrap();
    for (cert, key) in [("rsa.pem", "pkcs8"), ("rsa.pem", "pkcs1"), ("ec.pem", "sec1"), ("chain.pem", "sec1")] {
        fs::set_permissions(at(key), fs::Permissions::from_mode(0o600)).unwrap();
        let loaded = Certificate::load(&at(cert), &at(key)).unwrap();
        assert_eq!(loaded.chain.len(), if cert == "chain.pem" { 2 } else { 1 }, "{cert} {key}");
    }
}
