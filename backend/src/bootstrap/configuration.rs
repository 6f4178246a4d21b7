//! A first configuration file, and what only the file system can say about the settings.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pixelrts_shared::Problem;

use super::{BootstrapError, Finding, Handler, Rule, Site, handler};
use crate::files::{Existing, write_atomically};

struct Configuration;

handler!(Configuration);

impl Handler for Configuration {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn priority(&self) -> u32 {
        20
    }

    fn rule(&self) -> Rule {
        Rule::Required
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        // A link that leads nowhere belongs to the user too.
        Ok(site.template.as_ref().is_some_and(|(path, _)| fs::symlink_metadata(path).is_err()))
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let Some((path, text)) = &site.template else { return Ok(Vec::new()) };
        match begin(path, text, 0o600) {
            Ok(()) => Ok(vec![format!("configuration {}", path.display())]),
            // All of its lines are comments, so nothing is missing where it cannot be written, as in a read-only
            // container.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
            {
                tracing::debug!(path = %path.display(), %error, "no configuration file can be made");
                Ok(Vec::new())
            }
            Err(error) => Err(BootstrapError::File { path: path.clone(), error }.into()),
        }
    }

    fn findings(&self, site: &Site) -> Vec<Finding> {
        // The scan reports a folder that cannot be read.
        let missing = site.folders.iter().filter(|path| !path.exists()).cloned();
        let missing = missing.map(|path| BootstrapError::FolderMissing { path });
        missing.map(|error| Finding { module: "catalog", problem: error.into() }).collect()
    }
}

/// Makes a file completely or not at all. A file that exists already, or appears meanwhile, is kept.
pub(super) fn begin(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let made = write_atomically(path, Existing::Keep, |file| {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())
    });
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
