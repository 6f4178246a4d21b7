//! `pixelrts mount` and `umount`: an image as a folder of files, for people to look into.
//!
//! `mount` returns when the files are there; a process of its own serves them until they are unmounted.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use clap::Args;
use pixelrts_shared::{Digest, Problem, ProblemCode};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, Outcome, local, runtime, source};
use crate::export::{Mount, UnmountError, mounted, unmount};
use crate::task::blocking;

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
    /// What the other process is started with: SOURCE is a file
    #[arg(long, hide = true, conflicts_with = "foreground")]
    serve: bool,
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
struct Mounted {
    mountpoint: PathBuf,
    /// Of the process that serves it.
    pid: u32,
    name: String,
    sha256: Digest,
}

/// With this line a process says that the files are there.
const READY: &str = "ready\n";

impl MountImage {
    pub(super) fn run(self, context: &Context) -> Outcome {
        if self.serve {
            let mounted = mount(Path::new(&self.source), &self.dir)?;
            return runtime()?.block_on(attend(mounted, || {
                let _ = io::stdout().write_all(READY.as_bytes()).and_then(|()| io::stdout().flush());
            }));
        }
        let bar = context.output.progress("fetching", 0);
        let found = runtime()?.block_on(source::resolve(&self.source, context, |download| {
            bar.set_length(download.total.unwrap_or(download.received));
            bar.set_position(download.received);
        }));
        bar.finish_and_clear();
        let source::Resolved { path, digest, name } = found?;
        let mountpoint = std::path::absolute(&self.dir).unwrap_or(self.dir);
        let answer = |pid| {
            let mounted = Mounted { mountpoint: mountpoint.clone(), pid, name: name.clone(), sha256: digest };
            let said = format!("{name} is mounted at {}", mountpoint.display());
            context.output.answer(&mounted, || said);
        };
        if self.foreground {
            let mounted = mount(&path, &mountpoint)?;
            return runtime()?.block_on(attend(mounted, || answer(std::process::id())));
        }
        answer(start(&path, &mountpoint)?);
        Ok(())
    }
}

fn mount(path: &Path, dir: &Path) -> Result<Mount, Problem> {
    clear(dir)?;
    Ok(Mount::new(Arc::new(local::open(path)?), dir)?)
}

/// Keeps the files there until they are unmounted or a signal comes.
async fn attend(mount: Mount, ready: impl FnOnce()) -> Outcome {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else {
        return Err(failed(&io::Error::other("signals cannot be caught")));
    };
    ready();
    tokio::select! {
        () = mount.ended() => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    blocking(move || drop(mount)).await;
    Ok(())
}

/// Starts the process that serves, and waits for its word. Gives its id.
fn start(path: &Path, dir: &Path) -> Result<u32, Problem> {
    let serve = || -> io::Result<(u32, String)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["mount", "--json", "--serve", "--"]).args([path, dir]);
        // Nothing of this terminal: it lives on when the terminal is closed.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn()?;
        let mut output = BufReader::new(child.stdout.take().expect("standard output was piped"));
        let mut said = String::new();
        output.read_line(&mut said)?;
        if said != READY {
            // A problem, which has several lines.
            output.read_to_string(&mut said)?;
            child.wait()?;
        }
        Ok((child.id(), said))
    };
    let (pid, said) = serve().map_err(|error| failed(&error))?;
    if said == READY {
        return Ok(pid);
    }
    Err(serde_json::from_str(&said).unwrap_or_else(|_| failed(&io::Error::other("it ended without a word"))))
}

fn failed(error: &io::Error) -> Problem {
    let what = "The process that serves the files cannot be started.";
    Problem::new(ProblemCode::Internal, what, error.to_string(), "See what it says: pixelrts mount --foreground")
}

/// A mount of ours whose process is gone is removed; one that lives is not covered by another.
fn clear(dir: &Path) -> Outcome {
    if !mounted().unwrap_or_default().iter().any(|mounted| mounted == dir) {
        return Ok(());
    }
    // A dead one still has its place in the table, but answers nothing.
    if std::fs::read_dir(dir).is_ok() {
        return Err(UnmountError::Busy { path: dir.to_owned() }.into());
    }
    Ok(unmount(dir, true)?)
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
