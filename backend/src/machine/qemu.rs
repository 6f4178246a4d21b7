//! The QEMU process. It ends with this process, and inherits two sockets and nothing else.

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

/// So much of QEMU's standard error is kept, in bytes.
const STDERR: usize = 8 << 10;
/// When memory runs out, the kernel ends processes with a high score first; the range is -1000 to 1000.
const OOM_SCORE: &str = "500";

#[derive(Debug)]
pub(super) struct Qemu {
    child: Child,
    pid: u32,
    output: Arc<Mutex<VecDeque<u8>>>,
    reader: JoinHandle<Option<()>>,
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
    /// Starts QEMU. Call this on the main thread, because QEMU dies with the thread that starts it.
    pub(super) fn start(plan: &Plan, ends: Ends, scope: &Scope) -> Result<Self, MachineError> {
        let mut command = std::process::Command::new(&plan.program);
        // It has a process group of its own: Ctrl-C on the terminal reaches this process only, which then stops QEMU in order.
        command.args(&plan.arguments).process_group(0);
        // QEMU keeps there what guests write to disks, until it ends: on a disk rather than in memory, where possible.
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
            tracing::debug!(%error, "QEMU's score for the case that memory runs out cannot be set");
        }
        let stderr = child.stderr.take().expect("standard error was piped");
        let output = Arc::default();
        let reader = scope.spawn(keep_output(stderr, Arc::clone(&output)));
        Ok(Self { child, pid, output, reader })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end and reaps it. Cancel-safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    pub(super) fn kill(&mut self) {
        // This fails when QEMU has ended already: then there is nothing to kill.
        let _ = self.child.start_kill();
    }

    /// The end of what it wrote to standard error.
    pub(super) async fn last_output(&mut self) -> String {
        // QEMU has ended, so its end of the pipe is closed and this ends at once.
        let _ = tokio::time::timeout(Duration::from_millis(500), &mut self.reader).await;
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(output.make_contiguous()).trim().to_owned()
    }
}

async fn keep_output(mut stderr: ChildStderr, output: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.extend(&buffer[..length]);
        let over = output.len().saturating_sub(STDERR);
        output.drain(..over);
    }
}
