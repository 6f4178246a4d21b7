//! The list of machines: those that live, and the last of those that have ended.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pixelrts_shared::MachineId;
use pixelrts_shared::machine::Machine;
use tokio::sync::{mpsc, watch};

use super::error::FleetError;

/// So many machines that have ended stay in the list.
pub(super) const MAX_ENDED: usize = 64;

#[derive(Debug)]
pub(super) struct Members {
    /// Oldest first.
    list: Mutex<Vec<Member>>,
    /// Counts changes of any machine.
    changes: watch::Sender<u64>,
    /// So many machines may live at once.
    max_living: AtomicUsize,
}

#[derive(Debug)]
struct Member {
    machine: watch::Sender<Machine>,
    updated: Instant,
    stop: mpsc::Sender<()>,
    serial_socket: PathBuf,
}

/// What others may do with a machine of the list.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) machine: watch::Receiver<Machine>,
    pub(super) stop: mpsc::Sender<()>,
    pub(super) serial_socket: PathBuf,
}

impl Members {
    pub(super) fn new(max_living: usize) -> Self {
        let max_living = AtomicUsize::new(max_living);
        Self { list: Mutex::default(), changes: watch::Sender::new(0), max_living }
    }

    pub(super) fn set_max_living(&self, most: usize) {
        self.max_living.store(most, Ordering::Relaxed);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn list(&self) -> Vec<Machine> {
        self.lock().iter().map(Member::now).collect()
    }

    pub(super) fn get(&self, id: &MachineId) -> Result<Machine, FleetError> {
        let list = self.lock();
        list.iter().find(|member| member.is(id)).map(Member::now).ok_or_else(|| FleetError::Unknown { id: id.clone() })
    }

    pub(super) fn find(&self, id: &MachineId) -> Result<Handle, FleetError> {
        let list = self.lock();
        let member = list.iter().find(|member| member.is(id)).ok_or_else(|| FleetError::Unknown { id: id.clone() })?;
        let (stop, serial_socket) = (member.stop.clone(), member.serial_socket.clone());
        Ok(Handle { machine: member.machine.subscribe(), stop, serial_socket })
    }

    /// Adds a new machine, if one more may live. The result are the requests to stop it.
    pub(super) fn add(&self, machine: Machine, serial_socket: PathBuf) -> Result<mpsc::Receiver<()>, FleetError> {
        let mut list = self.lock();
        let (most, living) = (self.max_living.load(Ordering::Relaxed), list.iter().filter(|m| !m.is_over()).count());
        if living >= most {
            return Err(FleetError::TooMany { living, most });
        }
        Ok(self.push(&mut list, machine, serial_socket))
    }

    /// Adds a machine that lives already, whatever the limit is.
    pub(super) fn adopt(&self, machine: Machine, serial_socket: PathBuf) -> mpsc::Receiver<()> {
        self.push(&mut self.lock(), machine, serial_socket)
    }

    /// The oldest of those that have ended make room in the list.
    fn push(&self, list: &mut Vec<Member>, machine: Machine, serial_socket: PathBuf) -> mpsc::Receiver<()> {
        let ended = list.iter().filter(|member| member.is_over()).count();
        let mut surplus = (ended + 1).saturating_sub(MAX_ENDED);
        list.retain(|member| {
            let drop = surplus > 0 && member.is_over();
            surplus -= usize::from(drop);
            !drop
        });
        let (stop, stops) = mpsc::channel(4);
        list.push(Member { machine: watch::Sender::new(machine), updated: Instant::now(), stop, serial_socket });
        self.changed();
        stops
    }

    pub(super) fn update(&self, id: &MachineId, change: impl FnOnce(&mut Machine)) {
        if let Some(member) = self.lock().iter_mut().find(|member| member.is(id)) {
            member.machine.send_modify(change);
            member.updated = Instant::now();
        }
        self.changed();
    }

    pub(super) fn remove(&self, id: &MachineId) {
        self.lock().retain(|member| !member.is(id));
        self.changed();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Member>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Member {
    fn is(&self, id: &MachineId) -> bool {
        self.machine.borrow().id == *id
    }

    fn is_over(&self) -> bool {
        self.machine.borrow().state.is_over()
    }

    /// A process reports changes only, and time passes between them.
    fn now(&self) -> Machine {
        let mut machine = self.machine.borrow().clone();
        if !machine.state.is_over() {
            machine.uptime_seconds += self.updated.elapsed().as_secs();
        }
        machine
    }
}
