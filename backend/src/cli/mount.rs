//! `pixelrts mount` and `umount`: an image as a folder of files, for people to look into.
//!
//! `mount` returns when the files are there. A process of their own serves them until they are unmounted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pixelrts_shared::{Digest, Problem, ProblemCode};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, Outcome, local, locate, on_this_thread};
use crate::export::{Mount, MountError, mounted, place, unmount};
use crate::files::storage_problem;
use crate::process::{Detached, detach};
use crate::report::shell_word;
use crate::task::{abandonable, blocking};

/// How long the process of a mount may take to answer.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Browse an image as files: its kernel, initrd and disks, and metadata.json
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts mount debian.rts.png /mnt && ls -l /mnt && pixelrts umount /mnt")]
pub(super) struct MountImage {
    /// A file, an http(s) URL, or an image of a catalog: its id (debian-12), its name,
    /// id@server, or its SHA-256
    source: String,
    /// The folder for the files; created if it does not exist
    dir: PathBuf,
    /// Serve the files from this process until it is interrupted or they are unmounted
    #[arg(long)]
    foreground: bool,
}

/// Unmount an image
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts umount /mnt")]
pub(super) struct Umount {
    /// The folder that was given to `mount`
    dir: PathBuf,
    /// Unmount even if files are in use; programs that use them keep them until they close them
    #[arg(long)]
    lazy: bool,
}

#[derive(Debug, Serialize)]
struct Mounted<'a> {
    mountpoint: &'a Path,
    #[serde(flatten)]
    served: Served,
}

#[derive(Debug, Serialize, Deserialize)]
struct Served {
    /// The process that serves the files.
    pid: u32,
    name: String,
    /// The image's digest where it is known. A file is not read to its end to compute it.
    sha256: Option<Digest>,
}

impl MountImage {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let dir = mountpoint(&self.dir)?;
        fit(&dir)?;
        let answer = |served: Served| {
            let said = format!("{} is mounted at {}", served.name, dir.display());
            context.output.answer(&Mounted { mountpoint: &dir, served }, || said);
        };
        if self.foreground {
            return self.serve(&dir, context, |served| {
                answer(served);
                Ok(())
            });
        }
        let detached = detach(|starter| self.serve(&dir, context, |served| starter.report(served)));
        match detached.map_err(|error| not_detached(&error))? {
            Detached::Caller(served) => answer(served?),
            Detached::Copy => {}
        }
        Ok(())
    }

    /// Finds the image, mounts it, reports that, and serves it until it is unmounted or a signal arrives.
    fn serve(&self, dir: &Path, context: &Context, ready: impl FnOnce(Served) -> io::Result<()>) -> Outcome {
        let runtime = on_this_thread()?;
        // First, so that no image is fetched in vain; and again, because somebody else may have come first meanwhile.
        runtime.block_on(clear(dir))?;
        let found = runtime.block_on(locate::image(&self.source, context, locate::Wait::default()))?;
        runtime.block_on(clear(dir))?;
        let mount = Mount::new(Arc::new(local::open_found(&found, &context.output)?), dir).map_err(not_mounted)?;
        let served = Served { pid: std::process::id(), sha256: found.digest(), name: found.name };
        runtime.block_on(serve_until_end(mount, || ready(served)))
    }
}

/// The absolute path of the mountpoint, because the process that serves it works in the root directory.
fn mountpoint(dir: &Path) -> Result<PathBuf, MountError> {
    let found = place(dir).or_else(|error| match error.kind() {
        // It will be created. Nothing can be mounted there yet.
        io::ErrorKind::NotFound => std::path::absolute(dir),
        _ => Err(error),
    });
    found.map_err(|source| MountError::Directory { path: dir.to_owned(), source })
}

/// Serves the files until they are unmounted or a signal arrives.
async fn serve_until_end(mount: Mount, ready: impl FnOnce() -> io::Result<()>) -> Outcome {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        return Err(failed(&io::Error::other("signals cannot be caught")));
    };
    ready().map_err(|error| failed(&error))?;
    tokio::select! {
        () = mount.ended() => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    blocking(move || drop(mount)).await;
    Ok(())
}

fn failed(error: &io::Error) -> Problem {
    let fix = "Run the command again. If it fails again, check the limits on processes and open files: ulimit -a";
    Problem::new(ProblemCode::Internal, "The files cannot be served.", error.to_string(), fix)
}

fn not_detached(error: &io::Error) -> Problem {
    let what = "The process that serves the files cannot be started.";
    Problem::new(
        ProblemCode::Internal,
        what,
        error.to_string(),
        "Run the command with --foreground to see its messages.",
    )
}

/// Removes a mount of ours whose process has ended. A mount that is in use must not be covered by another one.
async fn clear(dir: &Path) -> Outcome {
    if !mounted().unwrap_or_default().iter().any(|mounted| mounted == dir) {
        return Ok(());
    }
    let path = dir.to_owned();
    // The process of the mount is asked, and it may hang. The thread that waits for it ends with this process.
    match abandonable(SIGN_OF_LIFE, || std::fs::read_dir(path).map(drop)).await {
        None => Err(hangs(dir)),
        // The process has ended, but its mount is still listed.
        Some(Err(error)) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionAborted) => {
            Ok(unmount(dir, true)?)
        }
        // Another user's mount cannot be read, but it is in use all the same.
        Some(Ok(()) | Err(_)) => Err(taken(dir)),
    }
}

/// Refuses what is there and no folder. A mount is not asked what it is: it may hang.
fn fit(dir: &Path) -> Outcome {
    let is_mounted = mounted().unwrap_or_default().iter().any(|mounted| mounted == dir);
    if is_mounted || !dir.metadata().is_ok_and(|found| !found.is_dir()) {
        return Ok(());
    }
    let why = format!("{} is a file, and an image is mounted at a folder.", dir.display());
    let fix = "Name a folder. One that does not exist is created.";
    Err(Problem::new(ProblemCode::Usage, "The image cannot be mounted there.", why, fix))
}

/// A mount that failed. A person has chosen the folder of this one.
fn not_mounted(error: MountError) -> Problem {
    match error {
        MountError::Directory { path, source } => {
            let what = format!("The folder {} cannot be created.", path.display());
            let fix = "Choose a folder that you may write to, as in /tmp/image.";
            Problem { fix: fix.to_owned(), ..storage_problem(&source, &what) }
        }
        error => error.into(),
    }
}

fn taken(dir: &Path) -> Problem {
    let why = format!("An image is mounted at {}, and another one would hide its files.", dir.display());
    let fix = format!("Choose another folder, or unmount it first: pixelrts umount {}", shell_word(dir));
    Problem::new(ProblemCode::Busy, "An image is mounted in this folder already.", why, fix)
}

fn hangs(dir: &Path) -> Problem {
    let why = format!("The process that serves {} does not answer.", dir.display());
    let fix = format!("Unmount it: pixelrts umount --lazy {}", shell_word(dir));
    Problem::new(ProblemCode::Busy, "The mount in this folder does not respond.", why, fix)
}

impl Umount {
    pub(super) fn run(self, context: &Context) -> Outcome {
        unmount(&self.dir, self.lazy)?;
        context
            .output
            .answer(&serde_json::json!({ "unmounted": self.dir }), || format!("{} is unmounted", self.dir.display()));
        Ok(())
    }
}
