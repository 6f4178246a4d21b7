//! Directories: whether they can be written, and how much space is left there.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access, geteuid};
use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode, Size};

use crate::database::{self, Lack};
use crate::paths::Paths;
use crate::report::shell_word;

const MIB: u64 = 1 << 20;
/// Room for a few images with their downloads.
const CACHE: u64 = 5 << 30;
/// Room for the databases and logs, or for sockets.
const OTHER: u64 = 100 * MIB;

pub(super) fn look(paths: &Paths) -> Vec<Finding> {
    let private = |check, variable, path| foreign(check, path).unwrap_or_else(|| one(check, variable, path, OTHER));
    let mut found = vec![
        one("disk.cache", "XDG_CACHE_HOME", &paths.cache, CACHE),
        private("disk.state", "XDG_STATE_HOME", &paths.state),
        private("disk.runtime", "XDG_RUNTIME_DIR", &paths.runtime),
    ];
    found.extend(lacking("disk.cache", "XDG_CACHE_HOME", &paths.cache, |lack| lack == Lack::Locks));
    found.extend(lacking("disk.state", "XDG_STATE_HOME", &paths.state, |_| true));
    found
}

/// What the file system of a directory lacks. Everything works there, but more slowly, and other computers are not
/// noticed. The databases are in the state directory: only they share memory.
fn lacking(check: &str, variable: &str, path: &Path, matters: impl Fn(Lack) -> bool) -> Option<Finding> {
    let place = path.ancestors().find(|place| place.exists())?;
    let lack = database::lack(place).filter(|lack| matters(*lack))?;
    let why = match lack {
        Lack::Locks => {
            "Files on it cannot be locked. Stand-ins on this computer do that instead, so everything works, but programs on \
             other computers that use the same directory are not noticed, and databases are slower."
        }
        Lack::SharedMemory => {
            "Programs cannot share the memory of a file on it. Databases work without that (with a rollback journal instead \
             of WAL), but more slowly."
        }
    };
    let what = format!("{} is on a file system without {lack}.", path.display());
    let fix = format!(
        "Let only one computer use this directory. For more speed, choose a directory on a disk of this computer with \
         {variable}."
    );
    Some(Finding::of(check, FindingState::Warning, Problem::new(ProblemCode::StorageFailed, what, why, fix)))
}

/// The start is refused when a private directory belongs to another user, even for root.
fn foreign(check: &str, path: &Path) -> Option<Finding> {
    let owner = path.metadata().ok()?.uid();
    (owner != geteuid().as_raw()).then(|| {
        let what = format!("{} belongs to another user.", path.display());
        let why = format!("Its owner is user {owner}, but it must belong to this user.");
        let fix = format!("Give it to this user: sudo chown -R \"$USER\" {}", shell_word(path));
        Finding::of(check, FindingState::Error, Problem::new(ProblemCode::PermissionDenied, what, why, fix))
    })
}

/// A directory that does not exist yet will be made in its nearest parent, so that one is examined.
fn one(check: &str, variable: &str, path: &Path, least: u64) -> Finding {
    let place = path.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let shown = path.display();
    let free = match write(place).and_then(|()| Ok(statvfs(place)?)) {
        Ok(found) => found.blocks_available() * found.fragment_size(),
        Err(error) => {
            let (code, fix) = match error.kind() {
                io::ErrorKind::StorageFull => (ProblemCode::StorageFull, "Free some space there".to_owned()),
                io::ErrorKind::PermissionDenied => (
                    ProblemCode::PermissionDenied,
                    format!(
                        "Make it as a directory of this user: sudo install -d -o \"$USER\" -m 0700 {}",
                        shell_word(path)
                    ),
                ),
                _ => (ProblemCode::StorageFailed, "Make its disk writable".to_owned()),
            };
            let fix = format!("{fix}; or choose another place with {variable}.");
            let why = format!("{}: {error}", place.display());
            let problem = Problem::new(code, format!("{shown} cannot be written."), why, fix);
            return Finding::of(check, FindingState::Error, problem);
        }
    };
    if free >= least {
        return Finding::ok(check, format!("{shown} has {} free.", size(free)));
    }
    let problem = Problem::new(
        ProblemCode::StorageFull,
        format!("{shown} has only {} free.", size(free)),
        format!("Less than {} will soon be used up.", size(least)),
        format!("Free some space there, or choose another place with {variable}."),
    );
    Finding::of(check, FindingState::Warning, problem)
}

/// Writes a file without a name, which leaves nothing behind. Where there are no such files, it checks the permission.
fn write(folder: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(folder) {
        Ok(mut file) => file.write_all(&[0; 4096]),
        // EISDIR comes from a kernel without them, EOPNOTSUPP from a file system without them.
        Err(error) if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::Unsupported) => {
            Ok(access(folder, AccessFlags::W_OK | AccessFlags::X_OK)?)
        }
        Err(error) => Err(error),
    }
}

fn size(bytes: u64) -> String {
    Size::from_bytes(bytes).in_words()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_space_is_reported_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert_eq!(one("disk.cache", "XDG_CACHE_HOME", &path, 1).state, FindingState::Ok);
        let little = one("disk.cache", "XDG_CACHE_HOME", &path, u64::MAX);
        assert!(little.state == FindingState::Warning && little.problem.unwrap().fix.contains("XDG_CACHE_HOME"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_system_that_lacks_something_is_named() {
        use nix::libc::ENOLCK;
        use pixelrts_testing::limited_fs::{Lacks, LimitedFs};
        let found = |path: &Path| {
            let found = look(&Paths::below(path)).into_iter();
            let lacks = |finding: &Finding| finding.says.contains("on a file system without");
            found.filter(lacks).map(|finding| finding.check).collect::<Vec<_>>()
        };
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(found(folder.path()), Vec::<String>::new());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        for (lacks, expected) in [
            (Lacks { locks: Some(ENOLCK), shared_memory: true }, &["disk.cache", "disk.state"][..]),
            (Lacks { locks: None, shared_memory: true }, &["disk.state"]),
            (Lacks::default(), &[]),
        ] {
            let fs = match LimitedFs::mount(lacks) {
                Ok(fs) => fs,
                Err(error) => return pixelrts_testing::skip("fuse", &format!("nothing can be mounted: {error}")),
            };
            assert_eq!(found(fs.path()), expected, "{lacks:?}");
            assert_eq!(std::fs::read_dir(fs.below()).unwrap().count(), 0, "nothing is left behind");
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        // Not even root can make a file in something that is not a folder.
        let finding = one("disk.state", "XDG_STATE_HOME", Path::new("/dev/null/none"), 1);
        assert_eq!(finding.state, FindingState::Error, "{finding:?}");
    }
}
