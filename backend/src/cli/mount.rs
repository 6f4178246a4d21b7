//! `pixelrts mount` and `umount`: an image as a folder of files, for people to look into.
//!
//! `mount` returns when the files are there; a process of its own serves them until they are unmounted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pixelrts_shared::{Digest, Problem, ProblemCode};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, Outcome, local, locate, on_this_thread};
use crate::export::{Mount, MountError, UnmountError, mounted, place, unmount};
use crate::process::{Detached, detach};
use crate::task::{abandonable, blocking};

/// So long a mount may take to say that it lives.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Browse an image as files: every segment by its name, and metadata.json
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts mount debian.rts.png /mnt && ls -l /mnt && pixelrts umount /mnt")]
pub(super) struct MountImage {
    /// A file, an http(s) URL, an entry's SHA-256, an id, or id@server
    source: String,
    /// The folder for the files; made if it is not there
    dir: PathBuf,
    /// Serve the files from this process, until it is interrupted or they are unmounted
    #[arg(long)]
    foreground: bool,
}

/// Unmount an image
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pixelrts umount /mnt")]
pub(super) struct Umount {
    /// The folder that `mount` was given
    dir: PathBuf,
    /// Also when something in it is in use: who uses it keeps it until then
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
    /// Of the process that serves it.
    pid: u32,
    name: String,
    /// Of the image, where it is known: a file is not read to its end for it.
    sha256: Option<Digest>,
}

impl MountImage {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let dir = mountpoint(&self.dir)?;
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

    /// Finds the image, mounts it, says so, and keeps it there until it is unmounted or a signal comes.
    fn serve(&self, dir: &Path, context: &Context, ready: impl FnOnce(Served) -> io::Result<()>) -> Outcome {
        let runtime = on_this_thread()?;
        let found = runtime.block_on(locate::image(&self.source, context))?;
        runtime.block_on(clear(dir))?;
        let mount = Mount::new(Arc::new(local::open(&found.path, &context.output)?), dir)?;
        let served = Served { pid: std::process::id(), sha256: found.digest, name: found.name };
        runtime.block_on(attend(mount, || ready(served)))
    }
}

/// Where it will be mounted; from the root, because the process that serves it works there.
fn mountpoint(dir: &Path) -> Result<PathBuf, MountError> {
    let found = place(dir).or_else(|error| match error.kind() {
        // To be made; nothing is mounted where nothing is.
        io::ErrorKind::NotFound => std::path::absolute(dir),
        _ => Err(error),
    });
    found.map_err(|source| MountError::Directory { path: dir.to_owned(), source })
}

/// Keeps the files there until they are unmounted or a signal comes.
async fn attend(mount: Mount, ready: impl FnOnce() -> io::Result<()>) -> Outcome {
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
    let fix = "Run it again; what it says then is the reason.";
    Problem::new(ProblemCode::Internal, "The files cannot be served.", error.to_string(), fix)
}

fn not_detached(error: &io::Error) -> Problem {
    let what = "The process that serves the files cannot be started.";
    Problem::new(ProblemCode::Internal, what, error.to_string(), "See what it says: add --foreground")
}

/// A mount of ours whose process is gone is removed; one that lives is not covered by another.
async fn clear(dir: &Path) -> Outcome {
    if !mounted().unwrap_or_default().iter().any(|mounted| mounted == dir) {
        return Ok(());
    }
    let path = dir.to_owned();
    // Its process is asked, which may have stopped: a thread that waits for it ends with this process.
    match abandonable(SIGN_OF_LIFE, || std::fs::read_dir(path).map(drop)).await {
        None => Err(hangs(dir)),
        // A dead one still has its place in the table.
        Some(Err(error)) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::ConnectionAborted) => {
            Ok(unmount(dir, true)?)
        }
        // Others may not look into it.
        Some(Ok(()) | Err(_)) => Err(UnmountError::Busy { path: dir.to_owned() }.into()),
    }
}

fn hangs(dir: &Path) -> Problem {
    let why = format!("The process that serves {} does not answer.", dir.display());
    let fix = format!("Let go of it: pixelrts umount --lazy {}", dir.display());
    Problem::new(ProblemCode::Busy, "The image that is mounted there hangs.", why, fix)
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
