//! The one child: the backend, or the attached client of the engine that runs it.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::End;
use super::command::{Launch, label};
use super::engine::{Engine, ask};
use crate::paths::Paths;
use crate::process::end_with_this_thread;

/// The time from the request to end to the kill. The backend gives its responses and its tasks 5 s each.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an engine may take to kill or remove a container.
const ENGINE: Duration = Duration::from_secs(10);

/// It inherits standard output and error, so its log is ours. A process group of its own keeps a terminal's Ctrl-C
/// from it: the order of a stop is ours too.
///
/// The kernel ends the child when the calling *thread* ends: call it on one that lives as long as the program.
pub(super) fn start(launch: &Launch) -> io::Result<Child> {
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    // A client hands SIGTERM on to its container, which would live on without a client after SIGKILL. The backend
    // itself ends at once and in whatever state it is, so that the next supervisor finds the place free.
    let signal = if launch.engine.is_some() { Signal::SIGTERM } else { Signal::SIGKILL };
    end_with_this_thread(command.as_std_mut(), signal);
    command.spawn()
}

/// Forwards SIGHUP to the backend, which then reads its configuration again. This never ends.
pub(super) async fn hand_on_hangups(child: Option<u32>) -> End {
    let mut hangups = signal(SignalKind::hangup()).expect("SIGHUP can be handled");
    loop {
        hangups.recv().await;
        if let Some(id) = child {
            // It fails only when it has ended.
            let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGHUP);
        }
    }
}

/// Ends the child, so that nothing remains of it, also no container. With `requested`, it is requested to end first and
/// gets time for that.
pub(super) async fn end(mut child: Child, launch: &Launch, requested: bool) {
    if let Some(id) = child.id().filter(|_| requested) {
        // Both fail only when it has ended.
        let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM);
        let _ = timeout(PATIENCE, child.wait()).await;
    }
    clear(launch.engine, &launch.paths).await;
    // One that hangs in the kernel is left to it.
    let _ = timeout(ENGINE, child.kill()).await;
}

/// Removes the container, if there is one, also the container of a supervisor that was killed.
pub async fn clear(engine: Option<Engine>, paths: &Paths) {
    let Some(engine) = engine else { return };
    let ours = format!("label={}", label(paths));
    let found = ask(engine, &["ps", "--all", "--quiet", "--filter", &ours], ENGINE).await;
    if let Some(id) = found.ok().filter(|id| !id.is_empty()) {
        // Killed first: `rm --force` alone waits for one that hangs. Both fail when it has gone by itself.
        let _ = ask(engine, &["kill", "--signal", "KILL", &id], ENGINE).await;
        let _ = ask(engine, &["rm", "--force", &id], ENGINE).await;
    }
}
