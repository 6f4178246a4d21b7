//! What modules need from the host: files that can be made, programs in a sufficient version, devices.
//!
//! Nothing is ever downloaded. While something is missing, the module that declared it is degraded.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pixelrts_shared::Problem;

use super::programs::{are_unknown, ask_unknown, remembered};
use super::{BootstrapError, Finding, Handler, Purpose, Rule, Site, handler};
use crate::files::{Existing, write_atomically};
use crate::policy::manifest::{Content, File};

struct Dependencies;

handler!(Dependencies);

impl Handler for Dependencies {
    fn name(&self) -> &'static str {
        "dependencies"
    }

    fn priority(&self) -> u32 {
        30
    }

    fn rule(&self) -> Rule {
        Rule::Degrading("machines")
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        Ok(files(site).next().is_some() || site.purpose == Purpose::Shell && are_unknown(&site.paths))
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let mut made = Vec::new();
        for (module, file, path) in files(site) {
            let written = match file.content {
                Content::Initially(text) => begin(&path, text, 0o644),
                Content::Exactly(text) => {
                    write_atomically(&path, Existing::Replace, |file| file.write_all(text.as_bytes()))
                }
            };
            match written {
                Ok(()) => made.push(format!("file {}", path.display())),
                // This is among the findings.
                Err(error) => tracing::warn!(module, path = %path.display(), %error, "a file cannot be made"),
            }
        }
        if site.purpose == Purpose::Shell {
            let versions = ask_unknown(&site.paths).into_iter().filter_map(|found| Some((found.path?, found.version?)));
            made.extend(versions.map(|(path, version)| format!("{} is version {version}", path.display())));
        }
        Ok(made)
    }

    fn findings(&self, site: &Site) -> Vec<Finding> {
        let files = files(site).map(|(module, _, path)| {
            let error = fs::metadata(&path).err().unwrap_or_else(|| ErrorKind::InvalidData.into());
            Finding { module, problem: BootstrapError::File { path, error }.into() }
        });
        let mut found: Vec<_> = files.collect();
        if site.purpose == Purpose::Shell {
            let programs = remembered(&site.paths).into_iter();
            found.extend(programs.filter_map(|one| Some(Finding { module: one.module, problem: one.problem? })));
            for manifest in site.manifests() {
                let open = |path| OpenOptions::new().read(true).write(true).open(path);
                let refused =
                    manifest.devices.iter().filter_map(|device| Some((device.refused)(open(device.path).err()?)));
                found.extend(refused.map(|problem| Finding { module: manifest.module, problem }));
            }
        }
        found
    }
}

/// Declared files that are not as they must be.
fn files(site: &Site) -> impl Iterator<Item = (&'static str, &'static File, PathBuf)> {
    let declared = site.manifests().flat_map(|manifest| manifest.files.iter().map(|file| (manifest.module, file)));
    let placed = declared.map(|(module, file)| (module, file, (file.at)(&site.paths)));
    placed.filter(|(_, file, path)| !is_right(file, path))
}

fn is_right(file: &File, path: &Path) -> bool {
    match file.content {
        Content::Initially(_) => path.exists(),
        // Anything other than a file of this size is not even opened.
        Content::Exactly(text) => {
            fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == text.len() as u64)
                && fs::read(path).is_ok_and(|found| found == text.as_bytes())
        }
    }
}

/// Makes a file completely or not at all. A file that exists already, or appears meanwhile, is kept.
fn begin(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let made = write_atomically(path, Existing::Keep, |file| {
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())
    });
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
