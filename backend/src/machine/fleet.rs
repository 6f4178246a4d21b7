//! The backend's side of machines: it starts machine processes, follows them, and adopts those of an earlier backend.
//!
//! | file | what |
//! | --- | --- |
//! | `state` | what to do about one machine: states, events, effects; pure |
//! | `change` | what is published of it; pure |
//! | `deadlines` | how long it waits |
//! | `machine_task` | the task of one machine: waits for events, performs effects |
//! | `link` | its hold on the machine process: start, reports, kill, end |
//! | `members` | the list of machines |
//!
//! Machines do not end with the backend. A [`Fleet`] that is dropped or detached only stops following them, and the next
//! one adopts whatever lives in the run directories.

mod change;
mod deadlines;
mod error;
mod link;
mod machine_task;
mod members;
mod state;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use pixelrts_shared::machine::{BootStage, Machine, MachineState};
use pixelrts_shared::{Digest, MachineId, Problem};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::MachineError;
use super::accel::HostFacts;
use super::boot_bridge::Spec;
use super::opened_image::Expected;
use super::options::BootOptions;
use super::run_dir::{RunDir, check_parent};
use crate::task::Scope;
use deadlines::{CONNECT_WITHIN, END_WITHIN, STOPPED_WITHIN};
use error::FleetError;
use machine_task::Supplier;
use members::Members;

/// How a fleet works.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// The parent of all run directories.
    pub runtime_dir: PathBuf,
    /// This program; it is started again as `machine --dir DIR`.
    pub program: PathBuf,
    /// So many machines may live at once.
    pub max_machines: usize,
}

/// An image that is on this computer, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its computed SHA-256.
    pub key: Digest,
    pub path: PathBuf,
    pub expected: Option<Expected>,
    /// Decided with the image at hand; they replace those that the machine was launched with.
    pub options: BootOptions,
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
    options: FleetOptions,
    scope: Scope,
    members: Members,
}

impl Fleet {
    /// A fleet without machines. Nobody but this user may have access to its directory.
    pub fn open(options: FleetOptions, scope: &Scope) -> Result<Self, MachineError> {
        check_parent(&options.runtime_dir)?;
        let members = Members::new(options.max_machines);
        Ok(Self(Arc::new(Inner { options, scope: scope.child(), members })))
    }

    /// Adopts the machines that live. An error means that one of them did not answer; all others are adopted.
    pub async fn adopt(&self) -> Result<(), MachineError> {
        let directory = &self.0.options.runtime_dir;
        let entries =
            std::fs::read_dir(directory).map_err(|source| MachineError::RunDir { path: directory.clone(), source })?;
        // All at the same time, because each that hangs takes its whole deadline.
        let adopted = entries.flatten().map(|entry| async move { self.adopt_one(&entry.path()).await });
        futures_util::future::join_all(adopted).await.into_iter().collect()
    }

    /// For machines that start from now on; those that live are not ended by it.
    pub fn set_max_machines(&self, most: usize) {
        self.0.members.set_max_living(most);
    }

    /// The newest machine comes last.
    #[must_use]
    pub fn list(&self) -> Vec<Machine> {
        self.0.members.list()
    }

    pub fn get(&self, id: &MachineId) -> Result<Machine, Problem> {
        Ok(self.0.members.get(id)?)
    }

    /// A number that grows with every change of any machine.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.members.changes()
    }

    /// Returns immediately. The machine is `fetching` until `image` has supplied its image; a problem there makes it
    /// `failed`.
    ///
    /// When the machine then finds wrong bytes in the file, `image` is called once more, with that problem (see
    /// [`Attempt`](super::Attempt)).
    pub fn launch<I>(
        &self,
        launch: Launch,
        image: impl Fn(Option<Problem>) -> I + Send + 'static,
    ) -> Result<MachineId, Problem>
    where
        I: Future<Output = Result<Fetched, Problem>> + Send + 'static,
    {
        launch.options.check(&HostFacts::gather())?;
        let dir = RunDir::create(&self.0.options.runtime_dir)?;
        let id = dir.id().clone();
        let spec =
            Spec { key: launch.key, name: launch.name, image: PathBuf::new(), expected: None, options: launch.options };
        let machine =
            Machine { state: MachineState::Fetching, stage: Some(BootStage::Fetching), ..spec.machine(id.clone()) };
        let stops = match self.0.members.add(machine, dir.serial_socket()) {
            Ok(stops) => stops,
            Err(error) => {
                let _ = dir.remove();
                return Err(error.into());
            }
        };
        let supplier: Supplier = Box::new(move |problem| Box::pin(image(problem)));
        self.0.scope.spawn(self.clone().run_new(spec, dir, stops, supplier));
        Ok(id)
    }

    /// Stops a machine, and waits until it has ended. A machine that is still fetching never starts.
    pub async fn stop(&self, id: &MachineId) -> Result<(), Problem> {
        let mut handle = self.0.members.find(id)?;
        // The channel is full when several requests wait already.
        let _ = handle.stop.try_send(());
        match timeout(STOPPED_WITHIN, handle.machine.wait_for(|machine| machine.state.is_over())).await {
            // The machine may have been removed from the list meanwhile: then it was over.
            Ok(Ok(_) | Err(_)) => Ok(()),
            Err(_) => Err(MachineError::ProcessStuck { seconds: END_WITHIN.as_secs() }.into()),
        }
    }

    /// Stops a machine and removes it from the list.
    pub async fn remove(&self, id: &MachineId) -> Result<(), Problem> {
        self.stop(id).await?;
        self.0.members.remove(id);
        Ok(())
    }

    /// The console of a machine: the last 1 MiB of its output, then live, both ways.
    pub async fn serial(&self, id: &MachineId) -> Result<UnixStream, Problem> {
        let path = self.0.members.find(id)?.serial_socket;
        match timeout(CONNECT_WITHIN, UnixStream::connect(&path)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(_)) | Err(_) => Err(FleetError::NoConsole.into()),
        }
    }

    /// Stops following the machines, because the backend ends. They run on.
    pub async fn detach(&self) {
        if let Err(error) = self.0.scope.shutdown(CONNECT_WITHIN).await {
            tracing::warn!(%error, "not all tasks that follow machines have ended");
        }
    }
}

#[cfg(test)]
mod tests;
