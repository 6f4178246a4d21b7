//! What a crash left behind: run directories of dead machines with their mounts, a socket on which nobody listens,
//! temporary files.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use pixelrts_shared::Problem;

use super::{BootstrapError, Handler, Purpose, Rule, Site, handler};
use crate::files::{Lock, UNFINISHED};
use crate::machine;
use crate::paths::Paths;

struct Leftovers;

handler!(Leftovers);

impl Handler for Leftovers {
    fn name(&self) -> &'static str {
        "leftovers"
    }

    fn priority(&self) -> u32 {
        50
    }

    fn rule(&self) -> Rule {
        Rule::Degrading("machines")
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        // Where they cannot be read there are no machines at all, which their module says.
        let dead = || machine::dead(&site.paths.machines()).is_ok_and(|dead| !dead.is_empty());
        let machines = site.purpose != Purpose::Catalog && dead();
        Ok(machines || stale(site).is_some() || !temporary(site).is_empty())
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let mut made = Vec::new();
        for path in stale(site).into_iter().chain(temporary(site)) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BootstrapError::File { path, error }.into()),
                Ok(()) => made.push(format!("removed {}", path.display())),
            }
        }
        if site.purpose != Purpose::Catalog {
            let dead = machine::sweep(&site.paths.machines())?;
            made.extend((dead > 0).then(|| format!("removed the run directories of {dead} dead machines")));
        }
        Ok(made)
    }
}

/// Only the next backend may remove the socket of the previous one.
fn stale(site: &Site) -> Option<PathBuf> {
    if site.purpose == Purpose::Shell { stale_socket(&site.paths) } else { None }
}

/// The socket of a backend that has ended.
pub(crate) fn stale_socket(paths: &Paths) -> Option<PathBuf> {
    let path = paths.health_socket();
    let refused = UnixStream::connect(&path).err()?.kind() == io::ErrorKind::ConnectionRefused;
    refused.then_some(path)
}

/// Files under the names of unfinished writes that nobody writes any more, in this program's own folders.
fn temporary(site: &Site) -> Vec<PathBuf> {
    let list = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let Paths { cache, state, config, .. } = &site.paths;
    let thumbnails = site.paths.thumbnails();
    let by_server = list(thumbnails.join("servers")).map(|entry| entry.path()).filter(|path| path.is_dir());
    let own = [cache.clone(), state.clone(), config.clone(), thumbnails.clone()];
    let left = |entry: &fs::DirEntry| {
        let (name, path) = (entry.file_name(), entry.path());
        let is_unfinished = name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
        let is_file = || entry.metadata().is_ok_and(|found| found.is_file());
        let is_free = || File::open(path).is_ok_and(|file| matches!(Lock::try_exclusive(file), Ok(Some(_))));
        is_unfinished && is_file() && is_free()
    };
    own.into_iter().chain(by_server).flat_map(list).filter(left).map(|entry| entry.path()).collect()
}
