//! Secrets that the role needs exist before anything is offered: the token of the API, a TLS certificate.
//!
//! How one is made is its owner's; here it is made in time, once, and a start that needs one does not go on without.

use std::fmt;
use std::path::PathBuf;

use pixelrts_shared::Problem;

use super::{Handler, Rule, Site, handler};

/// Files that hold a secret, and what makes them when they are missing.
pub struct Secret {
    /// For people.
    pub name: &'static str,
    pub files: Vec<PathBuf>,
    pub make: Box<dyn Fn() -> Result<(), Problem> + Send + Sync>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).field("files", &self.files).finish_non_exhaustive()
    }
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
        let missing = site.secrets.iter().filter(|secret| secret.is_missing());
        missing.map(|secret| (secret.make)().map(|()| format!("made {}", secret.name))).collect()
    }
}

impl Secret {
    fn is_missing(&self) -> bool {
        self.files.iter().any(|file| !file.exists())
    }
}
