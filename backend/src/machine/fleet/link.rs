//! The fleet's hold on one machine process: it starts the process, receives its reports, kills it, and sees its end.
//!
//! It decides nothing. At any time it waits for one thing ([`Source`]), and turns it into an [`Event`].

use std::fs::File;
use std::future::{Future, pending};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};

use pixelrts_shared::Problem;
use pixelrts_shared::machine::Machine;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::time::timeout;

use super::super::MachineError;
use super::super::boot_bridge::Spec;
use super::super::control::{Client, News};
use super::super::machine_process::READY;
use super::super::run_dir::RunDir;
use super::Fetched;
use super::deadlines::END_WITHIN;
use super::state::Event;
use crate::process::{PidFd, inherit_only};

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is read of the log of a process that died, in bytes.
const LOG_TAIL: usize = 8 << 10;

pub(super) struct Link {
    pub(super) dir: RunDir,
    source: Source,
    process: Option<PidFd>,
    /// It dies with the process, but it may need a moment longer.
    qemu: Option<PidFd>,
}

/// Where the next event comes from.
enum Source {
    Nothing,
    Image(BoxFuture<Result<Fetched, Problem>>),
    Answer(BoxFuture<Result<Client, MachineError>>),
    Reports(Box<Client>),
    End,
}

impl Link {
    pub(super) fn new(dir: RunDir) -> Self {
        Self { dir, source: Source::Nothing, process: None, qemu: None }
    }

    /// To a process that another backend has started.
    pub(super) fn adopt(dir: RunDir, mut client: Client, machine: &Machine) -> Self {
        let process = client.process.take();
        Self { dir, source: Source::Reports(Box::new(client)), process, qemu: qemu_of(machine) }
    }

    pub(super) fn await_image(&mut self, image: BoxFuture<Result<Fetched, Problem>>) {
        self.source = Source::Image(image);
    }

    /// Starts the machine process. Whether it answers, and why not, is the next event.
    pub(super) fn start(&mut self, spec: &Spec, program: &Path) {
        self.qemu = None;
        self.source = match spawn(spec, program, &self.dir) {
            Ok((process, stdout)) => {
                self.process = Some(process);
                Source::Answer(Box::pin(answer(stdout, self.dir.control_socket(), self.dir.log())))
            }
            Err(error) => {
                self.process = None;
                Source::Answer(Box::pin(async { Err(error) }))
            }
        };
    }

    pub(super) async fn send_stop(&mut self) {
        if let Source::Reports(client) = &mut self.source
            && let Err(error) = client.stop().await
        {
            tracing::debug!(machine = %self.dir.id(), %error, "a stop cannot be sent");
        }
    }

    /// Kills the process; QEMU dies with it.
    pub(super) fn kill(&self) {
        self.process.iter().for_each(PidFd::kill);
    }

    pub(super) fn await_end(&mut self) {
        self.source = Source::End;
    }

    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        match &mut self.source {
            Source::Nothing => pending().await,
            Source::Image(image) => Event::Image(image.await),
            Source::Answer(answer) => match answer.await {
                Ok(client) => {
                    self.source = Source::Reports(Box::new(client));
                    Event::Started(Ok(()))
                }
                Err(error) => Event::Started(Err(error.into())),
            },
            Source::Reports(client) => match client.next().await {
                Ok(News::Alive) => Event::Alive,
                Ok(News::Changed(machine)) => {
                    self.qemu = self.qemu.take().or_else(|| qemu_of(&machine));
                    Event::Reported(machine)
                }
                Ok(News::Gone) => Event::Disconnected,
                Err(error) => {
                    // The connection is reset when a killed process has not read everything that was sent to it.
                    tracing::info!(machine = %self.dir.id(), %error, "the connection to a machine process broke");
                    Event::Disconnected
                }
            },
            Source::End => {
                // The connection breaks before the process releases its directory, and QEMU dies after the process.
                if let Some(process) = &self.process {
                    process.ended().await;
                }
                // One that hangs in the kernel keeps nothing that a person could still use.
                if let Some(qemu) = &self.qemu
                    && timeout(END_WITHIN, qemu.ended()).await.is_err()
                {
                    tracing::warn!(machine = %self.dir.id(), "QEMU was killed and has not ended yet");
                }
                Event::Ended { log: log_tail(&self.dir.log()) }
            }
        }
    }
}

/// Its process id is known once it was started.
fn qemu_of(machine: &Machine) -> Option<PidFd> {
    PidFd::open(machine.pid?.cast_signed()).ok()
}

fn spawn(spec: &Spec, program: &Path, dir: &RunDir) -> Result<(PidFd, ChildStdout), MachineError> {
    let fail = |source| MachineError::RunDir { path: dir.path().to_owned(), source };
    let text = serde_json::to_vec(spec).map_err(|error| fail(error.into()))?;
    std::fs::write(dir.spec(), text).map_err(fail)?;
    for socket in [dir.control_socket(), dir.serial_socket()] {
        // The first process of this machine may have left it.
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            Ok(()) | Err(_) => {}
        }
    }
    let log = File::create(dir.log()).map_err(fail)?;
    let mut command = Command::new(program);
    command.args(["machine", "--dir"]).arg(dir.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    inherit_only(&mut command, Vec::new());
    let fail = |source| MachineError::Spawn { program: program.display().to_string(), source };
    // The runtime reaps it when it has ended, because nobody here waits for the child itself.
    let mut child = tokio::process::Command::from(command).spawn().map_err(fail)?;
    let id = child.id().expect("a child that was not waited for has an id");
    let stdout = child.stdout.take().expect("standard output was piped");
    match PidFd::open(id.cast_signed()) {
        Ok(process) => Ok((process, stdout)),
        Err(error) => {
            // This fails only when it has ended already.
            let _ = child.start_kill();
            Err(fail(error))
        }
    }
}

/// Waits until a new process reports that it is ready, then connects to it.
async fn answer(stdout: ChildStdout, control: PathBuf, log: PathBuf) -> Result<Client, MachineError> {
    let mut lines = BufReader::new(stdout).lines();
    // Either the line comes, or the process ends, and the pipe with it.
    match lines.next_line().await {
        Ok(Some(line)) if line == READY => {
            Client::connect(&control).await.map_err(|source| MachineError::RunDir { path: control, source })
        }
        Ok(_) | Err(_) => Err(MachineError::ProcessDied { log: log_tail(&log) }),
    }
}

fn log_tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL)..]).trim().to_owned()
}
