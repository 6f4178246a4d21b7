//! One task per machine: it waits for the next event, lets [`State`] decide, and performs the effects.

use std::path::Path;
use std::time::Instant;

use pixelrts_shared::{Level, Problem};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::MachineError;
use super::super::boot_bridge::{Spec, until};
use super::super::control::Client;
use super::super::run_dir::RunDir;
use super::change::{Change, End};
use super::deadlines::CONNECT_WITHIN;
use super::link::{BoxFuture, Link};
use super::state::{Effect, Event, State};
use super::{Fetched, Fleet};
use crate::report;

/// Supplies the image of a machine. The second time it gets the problem of what it supplied first.
pub(super) type Supplier = Box<dyn Fn(Option<Problem>) -> BoxFuture<Result<Fetched, Problem>> + Send>;

struct MachineTask {
    fleet: Fleet,
    link: Link,
    stops: mpsc::Receiver<()>,
    /// What the process is started with; absent when another backend has started it.
    launch: Option<(Spec, Supplier)>,
}

impl Fleet {
    /// The task of a new machine.
    pub(super) async fn run_new(self, spec: Spec, dir: RunDir, stops: mpsc::Receiver<()>, supplier: Supplier) {
        let mut task = MachineTask { fleet: self, link: Link::new(dir), stops, launch: Some((spec, supplier)) };
        let (state, effects) = State::launched(Instant::now());
        task.perform(effects).await;
        task.run(state).await;
    }

    /// Adopts the machine in this run directory, if one lives there.
    pub(super) async fn adopt_one(&self, path: &Path) -> Result<(), MachineError> {
        let Ok(dir) = RunDir::open(path) else { return Ok(()) };
        let first = timeout(CONNECT_WITHIN, async {
            // Machines in the foreground have no control socket: they belong to their terminal.
            let mut client = Client::connect(&dir.control_socket()).await.ok()?;
            let machine = client.next_change().await.ok()??;
            Some((client, machine))
        });
        match first.await {
            Ok(Some((client, machine))) => {
                let serial_socket = dir.serial_socket();
                let link = Link::adopt(dir, client, &machine);
                let stops = self.0.members.adopt(machine, serial_socket);
                let task = MachineTask { fleet: self.clone(), link, stops, launch: None };
                self.0.scope.spawn(task.run(State::adopted(Instant::now())));
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(_) => Err(MachineError::ProcessSilent { seconds: CONNECT_WITHIN.as_secs() }),
        }
    }
}

impl MachineTask {
    /// Runs until the machine is over and its process has ended.
    async fn run(mut self, mut state: State) {
        while state != State::Over {
            let event = self.next(state.deadline()).await;
            let (next, effects) = state.step(event, Instant::now());
            state = next;
            self.perform(effects).await;
        }
        // Here again, for a process that had to be killed after its machine was over.
        self.release_directory();
    }

    /// What the process has reported comes before the conclusion that it reports nothing.
    async fn next(&mut self, deadline: Option<Instant>) -> Event {
        tokio::select! {
            biased;
            event = self.link.next() => event,
            Some(()) = self.stops.recv() => Event::StopRequested,
            () = until(deadline.map(Into::into)) => Event::DeadlinePassed,
        }
    }

    async fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::RequestImage(problem) => {
                    // The state requests no image for an adopted machine.
                    if let Some((_, supplier)) = &self.launch {
                        self.link.await_image(supplier(problem));
                    }
                }
                Effect::Start(Fetched { key, path, expected, options }) => {
                    if let Some((spec, _)) = &mut self.launch {
                        (spec.key, spec.image, spec.expected, spec.options) = (key, path, expected, options);
                        self.link.start(spec, &self.fleet.0.options.program);
                    }
                }
                Effect::SendStop => self.link.send_stop().await,
                Effect::Kill => self.link.kill(),
                Effect::AwaitEnd => self.link.await_end(),
                Effect::Publish(change) => self.publish(change),
            }
        }
    }

    fn publish(&mut self, change: Change) {
        let id = self.link.dir.id();
        match &change {
            Change::Over(End { how: Err(problem), .. }) => {
                report::problem(Level::Warn, problem, &format!("the machine {id} failed"));
            }
            Change::Stuck => tracing::warn!(machine = %id, "a machine process was killed and has not ended"),
            _ => {}
        }
        // Whoever sees that the machine is over should find nothing of it.
        if change.is_last() {
            self.release_directory();
        }
        self.fleet.0.members.update(self.link.dir.id(), |machine| change.apply(machine));
    }

    /// Whoever uses the directory last removes it: the process, unless it was killed or never ran.
    fn release_directory(&self) {
        match self.link.dir.remove() {
            // The process has removed it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::debug!(%error, "a run directory stays behind"),
            Ok(()) => {}
        }
    }
}
