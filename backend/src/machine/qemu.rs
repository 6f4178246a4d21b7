//! The QEMU process: bound to this one, with two sockets and nothing else of ours.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use super::MachineError;
use super::plan::{Plan, Wires};
use crate::files::temporary_folders;
use crate::process::{end_with_this_thread, inherit_only};
use crate::task::Scope;

/// What is kept of QEMU's standard error, in bytes.
const STDERR: usize = 8 << 10;
/// How much rather the kernel ends QEMU than others when memory runs out; -1000 to 1000.
const OOM_SCORE: &str = "500";

#[derive(Debug)]
pub(super) struct Qemu {
    child: Child,
    pid: u32,
    said: Arc<Mutex<VecDeque<u8>>>,
    listener: JoinHandle<Option<()>>,
}

/// QEMU's ends of the serial line and of its control socket.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) serial: OwnedFd,
    pub(super) qmp: OwnedFd,
}

impl Ends {
    pub(super) fn wires(&self) -> Wires {
        Wires { serial: self.serial.as_raw_fd(), qmp: self.qmp.as_raw_fd() }
    }
}

impl Qemu {
    /// Starts it. Call this on the main thread: QEMU dies with the thread that started it.
    pub(super) fn start(plan: &Plan, ends: Ends, scope: &Scope) -> Result<Self, MachineError> {
        let mut command = std::process::Command::new(&plan.program);
        // A process group of its own: Ctrl-C on the terminal reaches us alone, and we stop it in order.
        command.args(&plan.arguments).process_group(0);
        // Writes to disks go there until QEMU ends: to a disk rather than to memory, where that is possible.
        if let Some(folder) = temporary_folders().into_iter().find(|folder| access(folder, AccessFlags::W_OK).is_ok()) {
            command.env("TMPDIR", folder);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        end_with_this_thread(&mut command, Signal::SIGKILL);
        inherit_only(&mut command, vec![ends.serial, ends.qmp]);
        let mut child = Command::from(command).kill_on_drop(true).spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                MachineError::QemuMissing { program: plan.program.clone(), package: plan.package }
            }
            _ => MachineError::Spawn { program: plan.program.clone(), source },
        })?;
        let pid = child.id().expect("a child that was not waited for has an id");
        if let Err(error) = std::fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE) {
            tracing::debug!(%error, "QEMU's score for running out of memory stays as it is");
        }
        let stderr = child.stderr.take().expect("standard error was piped");
        let said = Arc::default();
        let listener = scope.spawn(listen(stderr, Arc::clone(&said)));
        Ok(Self { child, pid, said, listener })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Cancel-safe; reaps it.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    pub(super) fn kill(&mut self) {
        // It may have ended already: then there is nothing to kill.
        let _ = self.child.start_kill();
    }

    /// The end of what it printed to standard error.
    pub(super) async fn last_words(&mut self) -> String {
        // It is gone, so its end of the pipe is closed and this ends at once.
        let _ = tokio::time::timeout(Duration::from_millis(500), &mut self.listener).await;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(said.make_contiguous()).trim().to_owned()
    }
}

async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend(&buffer[..length]);
        let over = said.len().saturating_sub(STDERR);
        said.drain(..over);
    }
}
