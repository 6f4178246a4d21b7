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

/// From the order to end to the kill: the backend gives its answers and its tasks 5 s each.
const PATIENCE: Duration = Duration::from_secs(15);
/// For an engine to kill or remove a container.
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

/// A configuration that changed is read again by the backend. It never ends.
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

/// Nothing of it is left afterwards, no container either. `told`: it is asked to end first, and given time for it.
pub(super) async fn end(mut child: Child, launch: &Launch, told: bool) {
    if let Some(id) = child.id().filter(|_| told) {
        // Both fail only when it has ended.
        let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM);
        let _ = timeout(PATIENCE, child.wait()).await;
    }
    clear(launch.engine, &launch.paths).await;
    // One that hangs in the kernel is left to it.
    let _ = timeout(ENGINE, child.kill()).await;
}

/// Removes the container, if there is one; also that of a supervisor which was killed.
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
