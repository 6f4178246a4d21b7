//! The directories of the program and of every module, with their permissions.
//!
//! A private directory has mode 0700 and must belong to this user: in a shared folder like `/tmp`, another user may
//! have made a directory or a link of this name before.

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

/// A directory that must exist, and the module that is excluded without it, if the backend can run without that module.
struct RequiredDirectory {
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
        Ok(required(site).iter().any(|directory| !directory.is_right()))
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let mut made = Vec::new();
        for directory in required(site).iter().filter(|directory| !directory.is_right()) {
            match (directory.make(), directory.only_for) {
                (Ok(()), _) => made.push(format!("directory {}", directory.path.display())),
                (Err(error), None) => return Err(error.into()),
                // This is among the findings.
                (Err(error), Some(module)) => tracing::debug!(module, %error, "a directory of a module"),
            }
        }
        Ok(made)
    }

    fn findings(&self, site: &Site) -> Vec<Finding> {
        let missing = required(site).into_iter().filter(|directory| !directory.is_right());
        missing
            .filter_map(|directory| {
                Some(Finding { module: directory.only_for?, problem: directory.check().err()?.into() })
            })
            .collect()
    }
}

/// All directories that must exist, outer ones first.
fn required(site: &Site) -> Vec<RequiredDirectory> {
    let root = |path: &PathBuf, private| RequiredDirectory { path: path.clone(), private, only_for: None };
    let Paths { cache, state, runtime, .. } = &site.paths;
    let mut required = match site.purpose {
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
        required.extend(declared.map(|one| RequiredDirectory {
            path: (one.at)(&site.paths),
            private: one.private,
            only_for,
        }));
    }
    required
}

impl RequiredDirectory {
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

    /// Checks that it is a directory that this user may write to and, if it is private, that belongs to this user.
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

/// Makes the parents, with the usual permissions. The problem names the path that is in the way.
fn make_all(path: &Path) -> Result<(), BootstrapError> {
    let failed = |error| BootstrapError::Directory { path: path.to_owned(), error };
    fs::create_dir_all(path).map_err(failed)
}
