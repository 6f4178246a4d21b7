//! The machine process (`pixelrts machine`): it owns one machine for the backend, and outlives the backend.
//!
//! It has a session of its own, so no terminal reaches it. It reads what to boot from `spec.json` in its run directory,
//! serves the control socket, and stays after the end of the machine just long enough for the backend to learn of it.
//! Its standard error is a file in the run directory. Nothing that a guest can repeat is written there, so that the file
//! stays small.

use std::future::pending;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use pixelrts_shared::Problem;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use super::MachineError;
use super::boot_bridge::{BootBridge, Spec};
use super::control;
use super::run_dir::RunDir;
use crate::process::enter_mount_namespace;
use crate::task::Scope;

/// From the end of the machine to the end of its process, when no client asks.
const LINGER: Duration = Duration::from_secs(3);
const TASKS_WITHIN: Duration = Duration::from_secs(1);

/// The line on standard output that says that the control socket accepts connections.
pub(super) const READY: &str = "ready";

/// Runs the machine of `directory` to its end. Call it before the first thread is started.
pub fn run(directory: &Path) -> Result<(), Problem> {
    // This fails only for the leader of a process group, which a child of the backend is not.
    let _ = nix::unistd::setsid();
    enter_mount_namespace();
    let dir = RunDir::open(directory)?;
    let fail = |source| MachineError::RunDir { path: directory.to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let ended = runtime.block_on(own(&dir));
    // The verification of a large image may still run, for a machine that was stopped meanwhile.
    runtime.shutdown_background();
    dir.remove().map_err(fail)?;
    Ok(ended?)
}

async fn own(dir: &RunDir) -> Result<(), MachineError> {
    let fail = |source| MachineError::RunDir { path: dir.path().to_owned(), source };
    let text = std::fs::read(dir.spec()).map_err(fail)?;
    let spec: Spec = serde_json::from_slice(&text).map_err(|error| fail(error.into()))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let listener = UnixListener::bind(dir.control_socket()).map_err(fail)?;

    let scope = Scope::new();
    let bridge = BootBridge::boot(spec, dir, &scope)?;
    let (informed, mut received) = watch::channel(0);
    scope.spawn(control::serve(listener, bridge.changes(), bridge.stop(), informed, scope.clone()));
    announce().map_err(fail)?;

    let stop = bridge.stop();
    let mut ended = Box::pin(bridge.ended());
    let stop_on_signal = async {
        while terminate.recv().await.is_some() {
            let _ = stop.try_send(());
        }
        pending().await
    };
    tokio::select! {
        _ = &mut ended => {}
        () = stop_on_signal => {}
    }
    let _ = timeout(LINGER, received.wait_for(|count| *count > 0)).await;
    if let Err(error) = scope.shutdown(TASKS_WITHIN).await {
        tracing::warn!(%error, "the machine process ends although some of its tasks have not");
    }
    Ok(())
}

/// Reports that it is ready and closes standard output, because the other end belongs to the backend, which may end.
fn announce() -> io::Result<()> {
    // This fails when the backend has ended. The next backend finds the machine by its run directory.
    let _ = writeln!(io::stdout(), "{READY}");
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    Ok(nix::unistd::dup2_stdout(null)?)
}
