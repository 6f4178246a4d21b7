//! The backend's side: starts machine processes, follows them, finds those that were there before.
//!
//! Each machine has one task here. It waits for the image, starts the process, then repeats what the process says
//! over its control socket. Machines do not end with the backend: a [`Fleet`] that is dropped or detached only stops
//! listening, and the next one adopts whatever lives in the run directories.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pixelrts_shared::machine::{BootStage, Machine, MachineState, StageTime};
use pixelrts_shared::{Digest, MachineId, Problem, ProblemCode};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::MachineError;
use super::accel::HostFacts;
use super::bridge::{Spec, until};
use super::child;
use super::control::Client;
use super::plan::BootOptions;
use super::process::READY;
use super::run_dir::{RunDir, sweep};
use crate::task::{Scope, blocking};

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

/// A machine to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The image's SHA-256.
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
/// A process makes its control socket within some 10 ms of its start.
const READY_WITHIN: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(2);
/// The ladder of a machine process takes 9 s at most; after this the process itself is killed, which ends QEMU too.
const STOP: Duration = Duration::from_secs(15);
/// From the kill to the news of it.
const KILLED: Duration = Duration::from_secs(5);
/// Of a log, when its process died.
const LOG_TAIL: usize = 8 << 10;

impl Fleet {
    /// Finds the machines that live, and removes what dead ones left behind.
    pub async fn open(settings: Settings, scope: &Scope) -> Result<Self, MachineError> {
        let directory = settings.runtime_dir.clone();
        let inner =
            Inner { settings, scope: scope.child(), machines: Mutex::default(), changes: watch::Sender::new(0) };
        let fleet = Self(Arc::new(inner));
        let paths = blocking(move || {
            sweep(&directory)?;
            let entries =
                std::fs::read_dir(&directory).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
            Ok::<Vec<_>, MachineError>(entries.unwrap_or_default())
        })
        .await?;
        for path in paths {
            fleet.adopt(&path).await;
        }
        Ok(fleet)
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
    pub fn launch(
        &self,
        launch: Launch,
        image: impl Future<Output = Result<PathBuf, Problem>> + Send + 'static,
    ) -> Result<MachineId, Problem> {
        launch.options.check(&HostFacts::gather())?;
        let dir = RunDir::create(&self.0.settings.runtime_dir)?;
        let id = dir.id().clone();
        let spec = Spec { key: launch.key, name: launch.name, image: PathBuf::new(), options: launch.options };
        let machine =
            Machine { state: MachineState::Fetching, stage: Some(BootStage::Fetching), ..spec.machine(id.clone()) };
        let stops = match self.enlist(machine, dir.serial_socket(), self.0.settings.max_machines) {
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
                "Stop one, or raise boot.max_machines.",
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
        self.update(id, |machine| {
            machine.state = state;
            machine.stage = None;
            machine.problem = Some(problem);
        });
    }

    /// The task of a new machine: image, process, then its news.
    async fn raise(
        self,
        mut spec: Spec,
        dir: RunDir,
        mut stops: mpsc::Receiver<()>,
        image: impl Future<Output = Result<PathBuf, Problem>>,
    ) {
        let id = dir.id().clone();
        let began = Instant::now();
        let fetched = tokio::select! {
            fetched = image => fetched,
            _ = stops.recv() => {
                self.update(&id, |machine| {
                    machine.state = MachineState::Stopped;
                    machine.stage = None;
                    machine.ended = Some("stopped on request".to_owned());
                });
                let _ = dir.remove();
                return;
            }
        };
        let started = match fetched {
            Ok(path) => {
                spec.image = path;
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.update(&id, |machine| {
                    machine.state = MachineState::Starting;
                    machine.stage = None;
                    machine.stages.push(StageTime { name: BootStage::Fetching, ms });
                });
                self.start(&spec, &dir).await
            }
            Err(problem) => Err(problem),
        };
        match started {
            Ok(client) => self.follow(client, dir, stops).await,
            Err(problem) => {
                self.fail(&id, MachineState::Failed, problem);
                let _ = dir.remove();
            }
        }
    }

    /// Starts the machine process and waits until it answers.
    async fn start(&self, spec: &Spec, dir: &RunDir) -> Result<Client, Problem> {
        let fail = |source| MachineError::RunDir { path: dir.path().to_owned(), source };
        let text = serde_json::to_vec(spec).map_err(|error| fail(error.into()))?;
        std::fs::write(dir.spec(), text).map_err(fail)?;
        let log = std::fs::File::create(dir.log()).map_err(fail)?;
        let program = &self.0.settings.program;
        let mut command = std::process::Command::new(program);
        command.args(["machine", "--dir"]).arg(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        child::seal(&mut command);
        let mut process = Command::from(command)
            .spawn()
            .map_err(|source| MachineError::Spawn { program: program.display().to_string(), source })?;
        let stdout = process.stdout.take().expect("standard output was piped");
        let answer = answer(stdout, dir).await;
        if answer.is_err() {
            let _ = process.kill().await;
        }
        // Its end is heard of over the socket; it is reaped by the runtime, because nobody else waits for it.
        Ok(answer?)
    }

    /// Repeats what the process says, until it has ended.
    async fn follow(self, mut client: Client, dir: RunDir, mut stops: mpsc::Receiver<()>) {
        let id = dir.id().clone();
        let mut deadline = None;
        let over = loop {
            tokio::select! {
                news = client.next() => match news {
                    Ok(Some(machine)) => {
                        let over = machine.state.is_over();
                        self.update(&id, |known| {
                            // The fetching was ours; its process does not know of it.
                            let fetched = known.stages.iter().filter(|stage| stage.name == BootStage::Fetching);
                            let stages = fetched.chain(&machine.stages).copied().collect();
                            *known = Machine { stages, ..machine };
                        });
                        if over {
                            break true;
                        }
                    }
                    Ok(None) => break false,
                    Err(error) => {
                        tracing::warn!(machine = %id, %error, "a machine process speaks nonsense");
                        break false;
                    }
                },
                Some(()) = stops.recv() => {
                    deadline.get_or_insert(tokio::time::Instant::now() + STOP);
                    if let Err(error) = client.stop().await {
                        tracing::debug!(machine = %id, %error, "a stop cannot be sent");
                    }
                }
                () = until(deadline) => {
                    deadline = None;
                    kill(&client);
                }
            }
        };
        if !over {
            self.fail(&id, MachineState::Crashed, MachineError::ProcessDied { said: log_tail(&dir) }.into());
        }
        // The process removes it, unless it died.
        drop(client);
        if let Err(error) = dir.remove() {
            tracing::debug!(machine = %id, %error, "its run directory");
        }
    }

    /// Follows a machine that another backend started.
    async fn adopt(&self, path: &Path) {
        let Ok(dir) = RunDir::open(path) else { return };
        let first = timeout(CONNECT, async {
            // Machines in the foreground have no control socket: they belong to their terminal.
            let mut client = Client::connect(&dir.control_socket()).await.ok()?;
            let machine = client.next().await.ok()??;
            Some((client, machine))
        });
        match first.await {
            Ok(Some((client, machine))) => {
                if let Ok(stops) = self.enlist(machine, dir.serial_socket(), usize::MAX) {
                    self.0.scope.spawn(self.clone().follow(client, dir, stops));
                }
            }
            Ok(None) => {}
            Err(_) => tracing::warn!(path = %path.display(), "a machine process does not answer"),
        }
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

/// Waits until a new process says that it is ready, then connects to it.
async fn answer(stdout: ChildStdout, dir: &RunDir) -> Result<Client, MachineError> {
    let mut lines = BufReader::new(stdout).lines();
    // The line comes, or the process ends and with it the pipe.
    match timeout(READY_WITHIN, lines.next_line()).await {
        Ok(Ok(Some(line))) if line == READY => Client::connect(&dir.control_socket())
            .await
            .map_err(|source| MachineError::RunDir { path: dir.control_socket(), source }),
        Ok(_) => Err(MachineError::ProcessDied { said: log_tail(dir) }),
        Err(_) => Err(MachineError::Slow { step: "starting the machine's process", seconds: READY_WITHIN.as_secs() }),
    }
}

/// The last rung: the socket is open, so the id still belongs to the machine process, and QEMU dies with it.
fn kill(client: &Client) {
    if let Some(pid) = client.pid {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}

fn log_tail(dir: &RunDir) -> String {
    let text = std::fs::read(dir.log()).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL)..]).trim().to_owned()
}

fn unknown(id: &MachineId) -> Problem {
    Problem::new(
        ProblemCode::MachineNotFound,
        format!("There is no machine {id}."),
        "It has never been there, or it was taken from the list.",
        "See all of them: pixelrts machines ls",
    )
}

#[cfg(test)]
mod tests;
