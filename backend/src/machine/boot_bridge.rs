//! The bridge from an image to a running machine: one `boot()`, one `stop()`, and everything cleaned up afterwards.
//!
//! One task (`steps`) acts; what the events mean is decided in [`Life`].

mod steps;

use std::future::pending;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::time::Instant;

use pixelrts_shared::machine::{Machine, MachineState};
use pixelrts_shared::{Digest, MachineId};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant as Clock;

use super::MachineError;
use super::console::Console;
use super::life::Life;
use super::opened_image::Expected;
use super::options::BootOptions;
use super::run_dir::RunDir;
use crate::task::Scope;
use steps::Steps;

/// What to boot, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The image's SHA-256.
    pub key: Digest,
    pub name: String,
    /// A file on this computer.
    pub image: PathBuf,
    /// What this file was when it was verified; absent when somebody named it by its path.
    #[serde(flatten)]
    pub expected: Option<Expected>,
    pub options: BootOptions,
}

/// A machine and everything that belongs to it. Dropping it does not stop the machine; its scope does, and so does
/// [`BootBridge::stop`].
#[derive(Debug)]
pub struct BootBridge {
    machine: watch::Receiver<Machine>,
    console: Console,
    stop: mpsc::Sender<()>,
    steps: JoinHandle<()>,
}

impl Spec {
    /// The machine before anything has happened.
    #[must_use]
    pub fn machine(&self, id: MachineId) -> Machine {
        Machine {
            id,
            key: self.key,
            name: self.name.clone(),
            success: false,
            state: MachineState::Starting,
            stage: None,
            stages: Vec::new(),
            accel: None,
            memory: self.options.memory,
            cpus: self.options.cpus,
            pid: None,
            mountpoint: None,
            serial_socket: None,
            vnc_port: None,
            uptime_seconds: 0,
            restarts: 0,
            ended: None,
            notes: self.options.notes.clone(),
            problem: None,
        }
    }
}

impl BootBridge {
    /// Begins to boot, and returns immediately. [`BootBridge::changes`] reports what happens then.
    ///
    /// Call it on a current-thread runtime of the main thread: QEMU is bound to the thread that starts it.
    pub fn boot(spec: Spec, dir: &RunDir, scope: &Scope) -> Result<Self, MachineError> {
        let fail = |source| MachineError::RunDir { path: dir.path().to_owned(), source };
        let (serial, serial_end) = StdUnixStream::pair().map_err(fail)?;
        let (signs, seen) = mpsc::channel(4);
        let console = Console::start(serial, spec.options.ready_marker.clone(), signs, scope).map_err(fail)?;
        let listener = UnixListener::bind(dir.serial_socket()).map_err(fail)?;
        scope.spawn(console.clone().serve(listener, scope.clone()));

        let life = Life::new(spec.machine(dir.id().clone()), Instant::now());
        let (publish, machine) = watch::channel(life.machine(Instant::now()));
        let (stop, stops) = mpsc::channel(4);
        let steps = Steps {
            life,
            publish,
            stops,
            signs: seen,
            console: console.clone(),
            mountpoint: dir.mountpoint(),
            serial_socket: dir.serial_socket(),
            disk_socket: dir.disk_socket(),
            scope: scope.clone(),
        };
        let steps = scope.spawn_careful(steps.run(spec, serial_end.into()));
        Ok(Self { machine, console, stop, steps })
    }

    /// The machine, and again after every change. The last value is over; then nothing is left of the machine but its
    /// run directory.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Machine> {
        self.machine.clone()
    }

    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// Requests the machine to stop. A second request does not wait for the guest any more.
    #[must_use]
    pub fn stop(&self) -> mpsc::Sender<()> {
        self.stop.clone()
    }

    /// Waits for the end.
    pub async fn ended(self) -> Machine {
        // The task ends with its scope at the latest. When it panics, what it published last is still there.
        let _ = self.steps.await;
        self.machine.borrow().clone()
    }
}

/// Waits for the deadline; without one it waits for ever.
pub(super) async fn until(deadline: Option<Clock>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}
