//! The backend's side: starts machine processes, follows them, finds those that were there before.
//!
//! Each machine has one task here (`follow`). Machines do not end with the backend: a [`Fleet`] that is dropped or detached only stops
//! listening, and the next one adopts whatever lives in the run directories.

mod follow;

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pixelrts_shared::machine::{BootStage, Machine, MachineState};
use pixelrts_shared::{Digest, Level, MachineId, Problem, ProblemCode};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::MachineError;
use super::accel::HostFacts;
use super::bridge::Spec;
use super::plan::BootOptions;
use super::run_dir::{RunDir, check_place};
use crate::report;
use crate::task::Scope;

/// What the fleet is given.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where run directories are.
    pub runtime_dir: PathBuf,
    /// This program; it is started again as `machine --dir DIR`.
    pub program: PathBuf,
    /// Machines that may live at once.
    pub max_machines: usize,
}

/// An image that is on this computer, verified.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its computed SHA-256.
    pub key: Digest,
    pub path: PathBuf,
}

/// A machine to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The image's SHA-256, or what stands for it until the image is here.
    pub key: Digest,
    pub name: String,
    pub options: BootOptions,
}

/// All machines of this user. Clones are the same fleet.
#[derive(Clone, Debug)]
pub struct Fleet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    /// Machines that may live at once; begins as in the settings.
    room: AtomicUsize,
    scope: Scope,
    /// Oldest first.
    machines: Mutex<Vec<Entry>>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Entry {
    machine: watch::Sender<Machine>,
    /// When its process said so last.
    heard: Instant,
    stop: mpsc::Sender<()>,
    serial_socket: PathBuf,
}

/// Machines that have ended and are still listed.
const KEPT: usize = 64;
const CONNECT: Duration = Duration::from_secs(2);
/// The ladder of a machine process takes 9 s at most; after this the process itself is killed, which ends QEMU too.
const STOP: Duration = Duration::from_secs(15);
/// From the kill to the news of it.
const KILLED: Duration = Duration::from_secs(5);

impl Fleet {
    /// A fleet without machines; its directory must be this user's alone.
    pub fn open(settings: Settings, scope: &Scope) -> Result<Self, MachineError> {
        check_place(&settings.runtime_dir)?;
        let inner = Inner {
            room: AtomicUsize::new(settings.max_machines),
            settings,
            scope: scope.child(),
            machines: Mutex::default(),
            changes: watch::Sender::new(0),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Finds the machines that live. Those that cannot be taken over are the error; the others are.
    pub async fn adopt(&self) -> Result<(), MachineError> {
        let directory = &self.0.settings.runtime_dir;
        let entries =
            std::fs::read_dir(directory).map_err(|source| MachineError::RunDir { path: directory.clone(), source })?;
        // At once, because each that hangs takes its whole deadline.
        let adopted = entries.flatten().map(|entry| async move { self.adopt_one(&entry.path()).await });
        futures_util::future::join_all(adopted).await.into_iter().collect()
    }

    /// For machines to come: those that live are never ended by it.
    pub fn set_max_machines(&self, most: usize) {
        self.0.room.store(most, Ordering::Relaxed);
    }

    /// Newest last.
    #[must_use]
    pub fn list(&self) -> Vec<Machine> {
        self.entries().iter().map(Entry::now).collect()
    }

    #[must_use]
    pub fn get(&self, id: &MachineId) -> Option<Machine> {
        self.entries().iter().find(|entry| entry.is(id)).map(Entry::now)
    }

    /// Counts changes of any machine.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Returns at once. The machine is `fetching` until `image` is there; a problem there makes it `failed`.
    ///
    /// When the machine then finds wrong bytes in the file, `image` is asked once more, with what was found.
    pub fn launch<I>(
        &self,
        launch: Launch,
        image: impl Fn(Option<Problem>) -> I + Send + 'static,
    ) -> Result<MachineId, Problem>
    where
        I: Future<Output = Result<Fetched, Problem>> + Send + 'static,
    {
        launch.options.check(&HostFacts::gather())?;
        let dir = RunDir::create(&self.0.settings.runtime_dir)?;
        let id = dir.id().clone();
        let spec = Spec { key: launch.key, name: launch.name, image: PathBuf::new(), options: launch.options };
        let machine =
            Machine { state: MachineState::Fetching, stage: Some(BootStage::Fetching), ..spec.machine(id.clone()) };
        let stops = match self.enlist(machine, dir.serial_socket(), self.0.room.load(Ordering::Relaxed)) {
            Ok(stops) => stops,
            Err(problem) => {
                let _ = dir.remove();
                return Err(problem);
            }
        };
        self.0.scope.spawn(self.clone().raise(spec, dir, stops, image));
        Ok(id)
    }

    /// Waits until it has ended. A machine that is still fetching never starts.
    pub async fn stop(&self, id: &MachineId) -> Result<(), Problem> {
        let (mut machine, stop) = {
            let entries = self.entries();
            let entry = entries.iter().find(|entry| entry.is(id)).ok_or_else(|| unknown(id))?;
            (entry.machine.subscribe(), entry.stop.clone())
        };
        // Full: it has been asked several times already.
        let _ = stop.try_send(());
        let over = timeout(STOP + KILLED, machine.wait_for(|machine| machine.state.is_over())).await;
        match over {
            // The entry may have been dropped from the list meanwhile: then it was over.
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::new(
                ProblemCode::Busy,
                "The machine does not stop.",
                format!("Its process is still there {} s after it was killed.", KILLED.as_secs()),
                "Look for a disk or a mount that hangs, then try again.",
            )),
        }
    }

    /// Stops it and takes it from the list.
    pub async fn forget(&self, id: &MachineId) -> Result<(), Problem> {
        self.stop(id).await?;
        self.entries().retain(|entry| !entry.is(id));
        self.changed();
        Ok(())
    }

    /// Its console: the last 1 MiB, then live, both ways.
    pub async fn serial(&self, id: &MachineId) -> Result<UnixStream, Problem> {
        let path = {
            let entries = self.entries();
            entries.iter().find(|entry| entry.is(id)).ok_or_else(|| unknown(id))?.serial_socket.clone()
        };
        match timeout(CONNECT, UnixStream::connect(&path)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(_)) | Err(_) => Err(Problem::new(
                ProblemCode::NotReady,
                "The machine has no console now.",
                "It has not started yet, or it has ended.",
                "Try again while the machine runs.",
            )),
        }
    }

    /// For the end of the backend: stops listening; the machines run on.
    pub async fn detach(&self) {
        if let Err(error) = self.0.scope.shutdown(CONNECT).await {
            tracing::warn!(%error, "followers of machines");
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// Adds it to the list, if there is room among the living; the oldest of the ended make room in the list.
    fn enlist(&self, machine: Machine, serial_socket: PathBuf, room: usize) -> Result<mpsc::Receiver<()>, Problem> {
        let mut entries = self.entries();
        let over = |entry: &Entry| entry.machine.borrow().state.is_over();
        let ended = entries.iter().filter(|entry| over(entry)).count();
        if entries.len() - ended >= room {
            return Err(Problem::new(
                ProblemCode::TooManyMachines,
                "No more machines can be started.",
                format!("{room} are running, which is the limit."),
                "Stop one of them, then boot again.",
            ));
        }
        let mut surplus = (ended + 1).saturating_sub(KEPT);
        entries.retain(|entry| {
            let drop = surplus > 0 && over(entry);
            surplus -= usize::from(drop);
            !drop
        });
        let (stop, stops) = mpsc::channel(4);
        entries.push(Entry { machine: watch::Sender::new(machine), heard: Instant::now(), stop, serial_socket });
        drop(entries);
        self.changed();
        Ok(stops)
    }

    fn update(&self, id: &MachineId, change: impl FnOnce(&mut Machine)) {
        if let Some(entry) = self.entries().iter_mut().find(|entry| entry.is(id)) {
            entry.machine.send_modify(change);
            entry.heard = Instant::now();
        }
        self.changed();
    }

    fn fail(&self, id: &MachineId, state: MachineState, problem: Problem) {
        report::problem(Level::Warn, &problem, &format!("the machine {id} failed"));
        self.update(id, |machine| {
            machine.state = state;
            machine.stage = None;
            machine.problem = Some(problem);
        });
    }
}

impl Entry {
    fn is(&self, id: &MachineId) -> bool {
        self.machine.borrow().id == *id
    }

    fn now(&self) -> Machine {
        let mut machine = self.machine.borrow().clone();
        if !machine.state.is_over() {
            machine.uptime_seconds += self.heard.elapsed().as_secs();
        }
        machine
    }
}

fn unknown(id: &MachineId) -> Problem {
    Problem::new(
        ProblemCode::MachineNotFound,
        format!("There is no machine {id}."),
        "It has never been there, or it was taken from the list.",
        "Open the shell, or ask for GET /api/v1/machines, to see all of them.",
    )
}

#[cfg(test)]
mod tests;
