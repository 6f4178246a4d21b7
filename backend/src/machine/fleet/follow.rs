//! One machine's task: it waits for the image, starts the process, then repeats what the process says over its control
//! socket.
//!
//! A process that hangs keeps its socket open, so silence has a limit too; a stop does not wait for one that is silent.
//! When the machine finds wrong bytes the image is asked for once more: a file can be damaged after it was verified.

use std::future::Future;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pixelrts_shared::machine::{BootStage, Machine, MachineState, StageTime};
use pixelrts_shared::{MachineId, Problem};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant as Clock, timeout};

use super::super::MachineError;
use super::super::bridge::{Spec, until};
use super::super::control::{BEAT, Client, News};
use super::super::machine_process::READY;
use super::super::run_dir::RunDir;
use super::{CONNECT, Fetched, Fleet, KILLED, STOP};
use crate::process::{PidFd, inherit_only};

/// A process makes its control socket within some 10 ms of its start.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Three signs of life are missing.
const SILENT: Duration = Duration::from_secs(3 * BEAT.as_secs());
/// Of a log, when its process died.
const LOG_TAIL: usize = 8 << 10;

impl Fleet {
    /// The task of a new machine.
    pub(super) async fn raise<I>(
        self,
        mut spec: Spec,
        dir: RunDir,
        mut stops: mpsc::Receiver<()>,
        image: impl Fn(Option<Problem>) -> I + Send,
    ) where
        I: Future<Output = Result<Fetched, Problem>> + Send,
    {
        let id = dir.id().clone();
        let mut wrong_bytes = None;
        loop {
            let first = wrong_bytes.is_none();
            let began = Instant::now();
            let fetched = tokio::select! {
                fetched = image(wrong_bytes.take()) => fetched,
                _ = stops.recv() => {
                    self.stopped(&id, "stopped on request");
                    break;
                }
            };
            let started = match fetched {
                Ok(Fetched { key, path }) => {
                    (spec.key, spec.image) = (key, path);
                    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.update(&id, |machine| {
                        machine.key = key;
                        machine.state = MachineState::Starting;
                        machine.stage = None;
                        machine.stages = vec![StageTime { name: BootStage::Fetching, ms }];
                    });
                    self.start(&spec, &dir).await
                }
                Err(problem) => Err(problem),
            };
            match started {
                Ok(client) => wrong_bytes = self.follow(client, &dir, &mut stops, first).await,
                Err(problem) => self.fail(&id, MachineState::Failed, problem),
            }
            if wrong_bytes.is_none() {
                break;
            }
            self.update(&id, |machine| {
                machine.state = MachineState::Fetching;
                machine.stage = Some(BootStage::Fetching);
            });
        }
        forget(dir);
    }

    /// Starts the machine process and waits until it answers.
    async fn start(&self, spec: &Spec, dir: &RunDir) -> Result<Client, Problem> {
        let fail = |source| MachineError::RunDir { path: dir.path().to_owned(), source };
        let text = serde_json::to_vec(spec).map_err(|error| fail(error.into()))?;
        std::fs::write(dir.spec(), text).map_err(fail)?;
        for socket in [dir.control_socket(), dir.serial_socket()] {
            // Of a first try.
            match std::fs::remove_file(socket) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error).into()),
                Ok(()) | Err(_) => {}
            }
        }
        let log = std::fs::File::create(dir.log()).map_err(fail)?;
        let program = &self.0.settings.program;
        let mut command = std::process::Command::new(program);
        command.args(["machine", "--dir"]).arg(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        inherit_only(&mut command, Vec::new());
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

    /// Repeats what the process says, until it has ended. Wrong bytes, where they are to be `returned`, are not told
    /// to anyone else.
    async fn follow(
        &self,
        mut client: Client,
        dir: &RunDir,
        stops: &mut mpsc::Receiver<()>,
        returned: bool,
    ) -> Option<Problem> {
        let id = dir.id();
        // When a stop must have had its effect.
        let mut deadline = None;
        let mut asked = false;
        // When the process is taken for hung; `None` once it is.
        let mut patience = Some(Clock::now() + SILENT);
        // Known already when another backend started it.
        let mut qemu = self.get(id).and_then(|machine| PidFd::open(machine.pid?.cast_signed()).ok());
        loop {
            tokio::select! {
                // What has been said comes before the conclusion that nothing was.
                biased;
                news = client.next() => {
                    if patience.replace(Clock::now() + SILENT).is_none() {
                        self.update(id, |machine| machine.problem = None);
                    }
                    match news {
                        Ok(News::Alive) => {}
                        Ok(News::Changed(machine)) if returned && !asked && has_wrong_bytes(&machine) => {
                            let gone = async { while matches!(client.next().await, Ok(news) if news != News::Gone) {} };
                            if timeout(KILLED, gone).await.is_err() {
                                kill(&client);
                            }
                            return machine.problem;
                        }
                        Ok(News::Changed(machine)) => {
                            let over = machine.state.is_over();
                            qemu = qemu.or_else(|| PidFd::open(machine.pid?.cast_signed()).ok());
                            self.update(id, |known| {
                                // The fetching was ours; its process does not know of it.
                                let fetched = known.stages.iter().filter(|stage| stage.name == BootStage::Fetching);
                                let stages = fetched.chain(&machine.stages).copied().collect();
                                *known = Machine { stages, ..*machine };
                            });
                            if over {
                                return None;
                            }
                        }
                        Ok(News::Gone) => break,
                        Err(error) => {
                            // One that was killed has not read all that it was told: its socket is reset.
                            tracing::info!(machine = %id, %error, "the line to a machine process broke");
                            break;
                        }
                    }
                }
                Some(()) = stops.recv() => {
                    asked = true;
                    if patience.is_none() {
                        kill(&client);
                        continue;
                    }
                    deadline.get_or_insert(Clock::now() + STOP);
                    if let Err(error) = client.stop().await {
                        tracing::debug!(machine = %id, %error, "a stop cannot be sent");
                    }
                }
                () = until(deadline) => {
                    deadline = None;
                    kill(&client);
                }
                () = until(patience) => {
                    patience = None;
                    let problem = MachineError::ProcessSilent { seconds: SILENT.as_secs() }.into();
                    self.update(id, |machine| machine.problem = Some(problem));
                    if asked {
                        kill(&client);
                    }
                }
            }
        }
        // The line breaks before the process has let go of its directory, and QEMU dies after it.
        let gone = async {
            for process in client.process.iter().chain(&qemu) {
                process.ended().await;
            }
        };
        if timeout(KILLED, gone).await.is_err() {
            tracing::warn!(machine = %id, "a machine was killed and is not gone yet");
        }
        if asked {
            self.stopped(id, "killed on request, because it did not stop");
        } else {
            self.fail(id, MachineState::Crashed, MachineError::ProcessDied { said: log_tail(dir) }.into());
        }
        None
    }

    /// Follows a machine that another backend started.
    pub(super) async fn adopt_one(&self, path: &Path) -> Result<(), MachineError> {
        let Ok(dir) = RunDir::open(path) else { return Ok(()) };
        let first = timeout(CONNECT, async {
            // Machines in the foreground have no control socket: they belong to their terminal.
            let mut client = Client::connect(&dir.control_socket()).await.ok()?;
            let machine = client.next_change().await.ok()??;
            Some((client, machine))
        });
        match first.await {
            Ok(Some((client, machine))) => {
                if let Ok(stops) = self.enlist(machine, dir.serial_socket(), usize::MAX) {
                    self.0.scope.spawn(self.clone().follow_adopted(client, dir, stops));
                }
            }
            Ok(None) => {}
            Err(_) => return Err(MachineError::ProcessSilent { seconds: CONNECT.as_secs() }),
        }
        Ok(())
    }

    async fn follow_adopted(self, client: Client, dir: RunDir, mut stops: mpsc::Receiver<()>) {
        // Nobody here knows where its image came from.
        self.follow(client, &dir, &mut stops, false).await;
        forget(dir);
    }

    fn stopped(&self, id: &MachineId, how: &str) {
        self.update(id, |machine| {
            machine.state = MachineState::Stopped;
            machine.stage = None;
            machine.ended = Some(how.to_owned());
        });
    }
}

fn has_wrong_bytes(machine: &Machine) -> bool {
    machine.problem.as_ref().is_some_and(|problem| problem.code.as_str().starts_with("verify."))
}

/// The process removes its directory, unless it died or never was.
fn forget(dir: RunDir) {
    if let Err(error) = dir.remove() {
        tracing::debug!(%error, "a run directory");
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

/// The last rung: QEMU dies with it.
fn kill(client: &Client) {
    if let Some(process) = &client.process {
        process.kill();
    }
}

fn log_tail(dir: &RunDir) -> String {
    let text = std::fs::read(dir.log()).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL)..]).trim().to_owned()
}
