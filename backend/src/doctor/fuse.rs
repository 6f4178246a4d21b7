//! FUSE: the device, the helper for users other than root, and a real mount.
//!
//! Only a mount proves that mounting works. A process of its own makes it (`pixelrts try-mount`, hidden), because a
//! mount namespace must be entered before there are threads, and because a process that hangs can be killed.

use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use nix::unistd::geteuid;
use pixelrts_shared::catalog::Role;
use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use crate::export::Mount;
use crate::files;
use crate::image::{Image, Limits, Pack, SegmentFile};
use crate::machine;
use crate::paths;
use crate::process::{Mounts, enter_mount_namespace};
use crate::random;
use crate::task::{self, blocking};

const TRIAL: &str = "fuse.trial";
const HELPER: &str = "fuse.helper";
/// Usually it takes a tenth of a second.
const LIMIT: Duration = Duration::from_secs(10);
/// What is packed and read back.
const CONTENT: &str = "PixelRTS tries a mount.\n";
const SEGMENT: &str = "trial";

/// What made it possible to mount the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    Root,
    UserNamespace,
    Helper,
}

pub(super) async fn look(program: PathBuf) -> Vec<Finding> {
    let helper = blocking(helper).await;
    if let Err(error) = Mount::available() {
        // Then nothing can be mounted, not even by root.
        return vec![Finding::of("fuse.device", FindingState::Error, error), judge_helper(helper, geteuid().is_root())];
    }
    let trial = trial(&program).await;
    let works = trial.state == FindingState::Ok;
    vec![Finding::ok("fuse.device", "/dev/fuse opens."), judge_helper(helper, works || geteuid().is_root()), trial]
}

/// The helper with its mode. The library looks into `/bin` too.
fn helper() -> Option<(PathBuf, u32)> {
    let path = paths::programs("fusermount3").next().unwrap_or_else(|| PathBuf::from("/bin/fusermount3"));
    let mode = path.metadata().ok()?.permissions().mode();
    Some((path, mode))
}

/// `spare` means that images can be mounted without it.
fn judge_helper(found: Option<(PathBuf, u32)>, spare: bool) -> Finding {
    const SETUID: u32 = 0o4000;
    let state = if spare { FindingState::Note } else { FindingState::Error };
    let problem = match found {
        Some((path, mode)) if mode & SETUID != 0 => {
            return Finding::ok(HELPER, format!("{} has its setuid bit.", path.display()));
        }
        Some((path, mode)) => Problem::new(
            ProblemCode::PermissionDenied,
            "fusermount3 can mount for root only.",
            format!("{} has mode {:o}, without the setuid bit.", path.display(), mode & 0o7777),
            format!("sudo chmod u+s {}", path.display()),
        ),
        None => Problem::new(
            ProblemCode::DependencyMissing,
            "fusermount3 is not installed.",
            "Users other than root need it where they may not make user namespaces.",
            "sudo apt-get install fuse3",
        ),
    };
    Finding::of(HELPER, state, problem)
}

async fn trial(program: &Path) -> Finding {
    match timeout(LIMIT + Duration::from_secs(2), run_trial(program)).await {
        Ok(Ok(trial)) => Finding::ok(
            TRIAL,
            match trial {
                Trial::Root => "An image was mounted as root, read and unmounted.",
                Trial::UserNamespace => "An image was mounted in a user namespace, read and unmounted.",
                Trial::Helper => "An image was mounted with fusermount3, read and unmounted.",
            },
        ),
        Ok(Err(problem)) => Finding::of(TRIAL, FindingState::Error, problem),
        Err(_) => Finding::of(TRIAL, FindingState::Error, hangs()),
    }
}

async fn run_trial(program: &Path) -> Result<Trial, Problem> {
    let failed = |error: io::Error| {
        let fix = "Check the space and the permissions of the directory for temporary files (TMPDIR).";
        Problem::new(ProblemCode::StorageFailed, "A test mount cannot be prepared.", error.to_string(), fix)
    };
    // This is only a name. The child makes the folder, and removes it whatever happens to this process.
    let name = random::hex::<8>().map_err(|error| failed(io::Error::other(error.to_string())))?;
    let folder = files::temporary_folders().pop().unwrap_or_else(|| PathBuf::from("/tmp"));
    let place = TrialFolder(folder.join(format!("pixelrts-trial-{name}")));
    let mut command = Command::new(program);
    command.args(["--json", "try-mount"]).arg(&place.0).kill_on_drop(true);
    // The child cleans up when its standard input ends, which happens when this process ends.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let _held = child.stdin.take();
    let output = timeout(LIMIT, child.wait_with_output()).await;
    blocking(move || drop(place)).await;
    let output = output.map_err(|_| hangs())?.map_err(failed)?;
    let unreadable = |error: serde_json::Error| failed(error.into());
    if output.status.success() {
        serde_json::from_slice(&output.stdout).map_err(unreadable)
    } else {
        Err(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            Problem::new(
                ProblemCode::Internal,
                "The test mount failed without a message.",
                format!("{} ended with {}.", program.display(), output.status),
                "Mount an image by hand to see more: pixelrts mount -v SOURCE DIR",
            )
        }))
    }
}

/// The folder of a trial. A process that hung and was killed leaves it, maybe with a mount that everybody sees.
struct TrialFolder(PathBuf);

impl Drop for TrialFolder {
    fn drop(&mut self) {
        if let Err(error) = machine::clear(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.0.display(), "a trial mount stays behind");
        }
    }
}

fn hangs() -> Problem {
    Problem::new(
        ProblemCode::NotReady,
        "A trial mount hangs.",
        format!("It was not mounted, read and unmounted within {} s; it was killed.", LIMIT.as_secs()),
        "Look at the kernel's messages about FUSE: dmesg | grep -i fuse",
    )
}

/// Packs an image in `folder`, which it makes and removes, mounts it there, reads it back and unmounts it. Call it
/// before the first thread is started; the process ends soon after its standard input.
pub fn try_mount(folder: &Path) -> Result<Trial, Problem> {
    let root = geteuid().is_root();
    let trial = match enter_mount_namespace() {
        Mounts::Private if root => Trial::Root,
        Mounts::Private => Trial::UserNamespace,
        Mounts::Shared if root => Trial::Root,
        Mounts::Shared => Trial::Helper,
    };
    DirBuilder::new().mode(0o700).create(folder).map_err(|error| unusable(&error))?;
    let place = folder.to_owned();
    let watch = move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        // The doctor was killed. A test that does not hang ends in order during this time.
        std::thread::sleep(LIMIT);
        let _ = machine::clear(&place);
        let _ = raise(Signal::SIGKILL);
    };
    task::until_the_end("watch", watch).map_err(|error| unusable(&error))?;
    let read = read_back(folder);
    let cleared = machine::clear(folder).map_err(|error| unusable(&error));
    read.and(cleared).map(|()| trial)
}

fn unusable(error: &io::Error) -> Problem {
    Problem::new(
        ProblemCode::StorageFailed,
        "An image that was mounted as a test cannot be read.",
        error.to_string(),
        "Look at the kernel's messages about FUSE: dmesg | grep -i fuse",
    )
}

fn read_back(folder: &Path) -> Result<(), Problem> {
    let (source, packed) = (folder.join(SEGMENT), folder.join("trial.rts.png"));
    std::fs::write(&source, CONTENT).map_err(|error| unusable(&error))?;
    let segment = SegmentFile { name: SEGMENT.to_owned(), role: Role::Kernel, path: source };
    let pack = Pack { segments: vec![segment], ..Pack::default() };
    pack.write(&packed, &mut |_, _| {})?;
    let mount = Mount::new(Arc::new(Image::open_file(&packed, &Limits::default())?), &folder.join("mnt"))?;
    let read = std::fs::read_to_string(mount.path().join(SEGMENT)).map_err(|error| unusable(&error))?;
    let path = mount.path().to_owned();
    drop(mount);
    let left = std::fs::read_dir(path).map_err(|error| unusable(&error))?.count();
    if read != CONTENT || left > 0 {
        return Err(unusable(&io::Error::other(format!(
            "{} bytes were read back, and {left} files remained",
            read.len()
        ))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_is_needed_only_where_nothing_else_mounts() {
        let at = || PathBuf::from("/usr/bin/fusermount3");
        for (found, spare, state) in [
            (Some((at(), 0o104_755)), false, FindingState::Ok),
            (Some((at(), 0o100_755)), false, FindingState::Error),
            (Some((at(), 0o100_755)), true, FindingState::Note),
            (None, true, FindingState::Note),
            (None, false, FindingState::Error),
        ] {
            assert_eq!(judge_helper(found.clone(), spare).state, state, "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_program_that_says_nothing_useful_fails_the_trial() {
        for (program, code) in [("/bin/false", ProblemCode::Internal), ("/no/such/program", ProblemCode::StorageFailed)]
        {
            let found = trial(Path::new(program)).await;
            assert_eq!(found.problem.unwrap().code, code, "{program}");
        }
    }
}
