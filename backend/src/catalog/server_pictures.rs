//! The pictures that servers show for their images, until these are here.
//!
//! Each is fetched when somebody looks at it, decoded within limits, drawn again, and kept in a folder of the server's
//! address. So no server can replace the picture of another one, and what a server showed goes with it, also when only
//! its address changed. A server has a budget: its oldest pictures make room for new ones.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pixelrts_shared::{Digest, Problem};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::files::{Existing, write_atomically};

/// The pictures of one server may take so many bytes on the disk.
const BUDGET: u64 = 16 << 20;
/// A picture that could not be had is not asked for again within this time, however often a page shows it...
const AGAIN: Duration = Duration::from_secs(600);
/// ...as far as so many of them are remembered.
const MOST_FAILURES: usize = 1000;

/// By the key of an address and the digest of an image: when a picture could not be had, and why.
type Failures = HashMap<(Digest, Digest), (Instant, Problem)>;

/// A folder with a folder for each address. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ServerPictures {
    folder: PathBuf,
    failures: Arc<Mutex<Failures>>,
}

impl ServerPictures {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, failures: Arc::default() }
    }

    /// The picture that a server at this address showed, if it is kept.
    pub(super) fn find(&self, base: &Url, digest: &Digest) -> Option<Vec<u8>> {
        fs::read(self.path(base, digest)).ok()
    }

    /// Keeps a picture. When that fails, it is fetched again the next time.
    pub(super) fn keep(&self, base: &Url, digest: &Digest, picture: &[u8]) {
        let path = self.path(base, digest);
        let kept = make_room(&self.folder_of(base), picture.len() as u64, BUDGET)
            .and_then(|()| write_atomically(&path, Existing::Replace, |file| file.write_all(picture)));
        if let Err(error) = kept {
            tracing::debug!(%error, "the picture of a server cannot be kept");
        }
    }

    /// Why the picture could not be had a moment ago.
    pub(super) fn failure(&self, base: &Url, digest: &Digest, now: Instant) -> Option<Problem> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, problem) = failures.get(&(key(base), *digest))?;
        (now.saturating_duration_since(*at) < AGAIN).then(|| problem.clone())
    }

    pub(super) fn failed(&self, base: &Url, digest: &Digest, now: Instant, problem: &Problem) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST_FAILURES {
            failures.clear();
        }
        failures.insert((key(base), *digest), (now, problem.clone()));
    }

    /// Removes the pictures of all other addresses.
    pub(super) fn retain(&self, bases: &[Url]) {
        let stay: Vec<_> = bases.iter().map(|base| self.folder_of(base)).collect();
        let folders = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|found| found.path());
        for gone in folders.filter(|folder| !stay.contains(folder)) {
            if let Err(error) = fs::remove_dir_all(&gone) {
                tracing::warn!(%error, "the pictures of a server that is gone cannot be removed");
            }
        }
    }

    fn folder_of(&self, base: &Url) -> PathBuf {
        self.folder.join(&key(base).to_string()[..32])
    }

    fn path(&self, base: &Url, digest: &Digest) -> PathBuf {
        self.folder_of(base).join(format!("{digest}.png"))
    }
}

fn key(base: &Url) -> Digest {
    Digest::new(Sha256::digest(base.as_str()).into())
}

/// Makes the folder, and removes its oldest files until `more` bytes fit into the budget.
fn make_room(folder: &Path, more: u64, budget: u64) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter_map(|file| {
            let found = file.metadata().ok()?;
            Some((found.modified().unwrap_or(SystemTime::UNIX_EPOCH), found.len(), file.path()))
        })
        .collect();
    let mut size = more + files.iter().map(|(_, size, _)| size).sum::<u64>();
    files.sort_unstable();
    for (_, length, path) in files {
        if size <= budget {
            break;
        }
        fs::remove_file(path)?;
        size -= length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::ProblemCode;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn digest(n: u8) -> Digest {
        Digest::new([n; 32])
    }

    #[test]
    fn a_picture_belongs_to_its_address_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = ServerPictures::new(folder.path().join("servers"));
        let (a, b) = (url("http://a/"), url("http://a:81/"));
        pictures.keep(&a, &digest(1), b"of a");
        assert_eq!(pictures.find(&b, &digest(1)), None, "another port is another origin");
        pictures.keep(&b, &digest(1), b"of b");
        assert_eq!(pictures.find(&a, &digest(1)).unwrap(), b"of a");
        pictures.retain(std::slice::from_ref(&b));
        assert_eq!((pictures.find(&a, &digest(1)), pictures.find(&b, &digest(1)).unwrap()), (None, b"of b".to_vec()));
        pictures.retain(&[]);
        assert_eq!(fs::read_dir(folder.path().join("servers")).unwrap().count(), 0);
    }

    #[test]
    fn the_oldest_pictures_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let keep = |n: u8| {
            make_room(folder.path(), 100, 250).unwrap();
            let file = fs::File::create(folder.path().join(format!("{n}"))).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(n.into())).unwrap();
        };
        (1..=5).for_each(keep);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["4", "5"]);
    }

    #[test]
    fn a_picture_that_failed_is_left_alone_for_a_while() {
        let pictures = ServerPictures::new(PathBuf::new());
        let (a, now) = (url("http://a/"), Instant::now());
        let problem = Problem::new(ProblemCode::NetworkRefused, "It failed.", "On purpose.", "None.");
        pictures.failed(&a, &digest(1), now, &problem);
        assert_eq!(pictures.failure(&a, &digest(1), now + AGAIN / 2), Some(problem.clone()));
        assert_eq!(pictures.failure(&a, &digest(1), now + AGAIN), None);
        assert_eq!(pictures.failure(&a, &digest(2), now), None);
        for n in 0..3000_u32 {
            pictures.failed(&url(&format!("http://a:{n}/")), &digest(1), now, &problem);
        }
        assert!(pictures.failures.lock().unwrap().len() <= MOST_FAILURES);
    }
}
