//! The directories of the program and of every module, with their permissions.
//!
//! A private one is 0700 and this user's: in a shared place like `/tmp` another user may have made the name before
//! us, as a directory or as a link.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getuid};
use pixelrts_shared::Problem;

use super::{BootstrapError, Finding, Handler, Purpose, Rule, Site, handler};
use crate::paths::Paths;

struct Directories;

handler!(Directories);

/// A directory, and the module that can be left out without it.
struct Wanted {
    path: PathBuf,
    private: bool,
    only_for: Option<&'static str>,
}

impl Handler for Directories {
    fn name(&self) -> &'static str {
        "directories"
    }

    fn priority(&self) -> u32 {
        5
    }

    fn rule(&self) -> Rule {
        Rule::Required
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        Ok(wanted(site).iter().any(|wanted| !wanted.is_right()))
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let mut made = Vec::new();
        for wanted in wanted(site).iter().filter(|wanted| !wanted.is_right()) {
            match (wanted.make(), wanted.only_for) {
                (Ok(()), _) => made.push(format!("directory {}", wanted.path.display())),
                (Err(error), None) => return Err(error.into()),
                // It is among the findings.
                (Err(error), Some(module)) => tracing::debug!(module, %error, "a directory of a module"),
            }
        }
        Ok(made)
    }

    fn findings(&self, site: &Site) -> Vec<Finding> {
        let wanted = wanted(site).into_iter().filter(|wanted| !wanted.is_right());
        wanted
            .filter_map(|wanted| Some(Finding { module: wanted.only_for?, problem: wanted.check().err()?.into() }))
            .collect()
    }
}

/// Outer ones first.
fn wanted(site: &Site) -> Vec<Wanted> {
    let root = |path: &PathBuf, private| Wanted { path: path.clone(), private, only_for: None };
    let Paths { cache, state, runtime, .. } = &site.paths;
    let mut wanted = match site.purpose {
        Purpose::Catalog => vec![root(cache, false)],
        Purpose::Boot => vec![root(runtime, true)],
        // The state holds the token and the secrets of servers.
        Purpose::Shell | Purpose::Command | Purpose::Beside => {
            vec![root(cache, false), root(state, true), root(runtime, true)]
        }
    };
    for manifest in site.manifests() {
        let only_for = (!manifest.essential).then_some(manifest.module);
        let declared = manifest.directories.iter();
        wanted.extend(declared.map(|one| Wanted { path: (one.at)(&site.paths), private: one.private, only_for }));
    }
    wanted
}

impl Wanted {
    fn is_right(&self) -> bool {
        let is_closed = || fs::symlink_metadata(&self.path).is_ok_and(|found| found.mode() & 0o077 == 0);
        self.check().is_ok() && (!self.private || is_closed())
    }

    fn make(&self) -> Result<(), BootstrapError> {
        let failed = |error| BootstrapError::Directory { path: self.path.clone(), error };
        if let Some(parent) = self.path.parent() {
            make_all(parent)?;
        }
        let mode = if self.private { 0o700 } else { 0o777 };
        match DirBuilder::new().mode(mode).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            Ok(()) | Err(_) => self.check()?,
        }
        if self.private && !self.is_right() {
            fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(())
    }

    /// It is a directory that this user may write to and, if it is private, nobody else made.
    fn check(&self) -> Result<(), BootstrapError> {
        let path = || self.path.clone();
        let failed = |error| BootstrapError::Directory { path: path(), error };
        let found = if self.private { fs::symlink_metadata(&self.path) } else { fs::metadata(&self.path) };
        let found = found.map_err(failed)?;
        if !found.is_dir() {
            return Err(BootstrapError::NotADirectory { path: path() });
        }
        if self.private && found.uid() != getuid().as_raw() {
            return Err(BootstrapError::Owner { path: path(), expected: getuid(), found: found.uid() });
        }
        access(&self.path, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|errno| failed(errno.into()))
    }
}

/// Parents belong to the user, with the usual permissions. The one that is in the way is the one that is named.
fn make_all(path: &Path) -> Result<(), BootstrapError> {
    let failed = |error| BootstrapError::Directory { path: path.to_owned(), error };
    fs::create_dir_all(path).map_err(failed)
}
