//! Files with secrets: their owner, the users that can read them, and whether they can still be used.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::geteuid;
use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode};

use crate::secrets::{Certificate, Token};

/// A certificate that ends within this time should be renewed.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);
const TOKEN: &str = "secrets.token";
const CERTIFICATE: &str = "secrets.certificate";

pub(super) fn look(token: &Path, tls: Option<&(PathBuf, PathBuf)>) -> Vec<Finding> {
    let certificate = tls.map(|(cert, key)| certificate(cert, key));
    std::iter::once(self::token(token)).chain(certificate).collect()
}

fn token(path: &Path) -> Finding {
    let shown = path.display();
    if absent(path) {
        return Finding::ok(TOKEN, format!("There is no token yet. {shown} is made when one is needed."));
    }
    match Token::load(path) {
        Ok(_) => owner(TOKEN, path).unwrap_or_else(|| Finding::ok(TOKEN, format!("Only this user can read {shown}."))),
        Err(error) => Finding::of(TOKEN, FindingState::Error, error),
    }
}

fn certificate(cert: &Path, key: &Path) -> Finding {
    if absent(cert) && absent(key) {
        return Finding::ok(CERTIFICATE, format!("{} is made when the backend starts.", cert.display()));
    }
    let loaded = match Certificate::load(cert, key) {
        Ok(loaded) => loaded,
        Err(error) => return Finding::of(CERTIFICATE, FindingState::Error, error),
    };
    match loaded.valid_at(SystemTime::now() + SOON) {
        Ok(()) => owner(CERTIFICATE, key).unwrap_or_else(|| {
            Finding::ok(
                CERTIFICATE,
                format!("{} is valid and has its key. SHA-256 {}", cert.display(), loaded.fingerprint()),
            )
        }),
        Err(error) => {
            let expired = Problem::from(error);
            let what = "The TLS certificate expires within 30 days.";
            Finding::of(CERTIFICATE, FindingState::Warning, Problem { what: what.to_owned(), ..expired })
        }
    }
}

fn absent(path: &Path) -> bool {
    path.try_exists().is_ok_and(|exists| !exists)
}

/// A secret that belongs to another user can be changed by that user.
fn owner(check: &str, path: &Path) -> Option<Finding> {
    let owner = fs::metadata(path).ok()?.uid();
    (owner != geteuid().as_raw()).then(|| {
        let problem = Problem::new(
            ProblemCode::PermissionDenied,
            format!("{} belongs to another user.", path.display()),
            format!("Its owner is user {owner}, this is user {}.", geteuid()),
            format!("sudo chown \"$USER\" {}", path.display()),
        );
        Finding::of(check, FindingState::Warning, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_that_others_can_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (path, tls) = (at("token"), (at("cert"), at("key")));
        assert_eq!(look(&path, Some(&tls)).iter().map(|found| found.state).collect::<Vec<_>>(), [FindingState::Ok; 2]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
        Token::load_or_make(&path).unwrap();
        Certificate::load_or_make(&tls.0, &tls.1, &[]).unwrap();
        assert!(look(&path, Some(&tls)).iter().all(|found| found.state == FindingState::Ok));
        for file in [&path, &tls.1] {
            fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
        }
        for found in look(&path, Some(&tls)) {
            let problem = found.problem.unwrap();
            assert_eq!((found.state, problem.code), (FindingState::Error, ProblemCode::ConfigExposed));
            assert!(problem.fix.contains("chmod 600"), "{problem}");
        }
    }
}
