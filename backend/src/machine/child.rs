//! What must happen in a child between fork and exec.
//!
//! The code in the closures runs in a copy of this process that may hold locks of threads that do not exist there.
//! So it makes plain system calls only: it allocates nothing and takes no lock.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};

/// Makes the child inherit `wires` and no other descriptor, and die at once when the thread that starts it dies.
///
/// The signal is tied to the *thread*: call `spawn` on the main thread. A parent that died before the signal was set
/// is found by asking for the parent again.
pub(super) fn bind(command: &mut Command, wires: [OwnedFd; 2]) {
    let parent = getpid();
    #[expect(unsafe_code, reason = "only between fork and exec can the child be bound to its parent")]
    // SAFETY: the closure makes system calls only (prctl, getppid, close_range, fcntl), see the header.
    unsafe {
        command.pre_exec(move || prepare(parent, &wires));
    }
}

/// Makes the child inherit no descriptor but its standard ones.
pub(super) fn seal(command: &mut Command) {
    #[expect(unsafe_code, reason = "descriptors that were inherited can only be closed between fork and exec")]
    // SAFETY: the closure makes one system call, see the header.
    unsafe {
        command.pre_exec(|| {
            close_others_at_exec();
            Ok(())
        });
    }
}

/// Runs `attempt` in a child that ends right after it: for what cannot be undone in this process.
pub(super) fn attempt(attempt: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--version").stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    #[expect(unsafe_code, reason = "a user namespace can only be tried out in a process of its own")]
    // SAFETY: called while this process has one thread, so the copy holds no lock of another.
    unsafe {
        command.pre_exec(attempt);
    }
    command.stderr(std::process::Stdio::null()).status().map(drop)
}

fn prepare(parent: Pid, wires: &[OwnedFd; 2]) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    close_others_at_exec();
    for wire in wires {
        fcntl(wire, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}

/// Ours are close-on-exec already; this is for those that this process inherited itself. Before Linux 5.11 there is
/// no such call, and those leak as they do from any program.
fn close_others_at_exec() {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    #[expect(unsafe_code, reason = "there is no safe binding")]
    // SAFETY: it only sets a flag on descriptors of this process; no memory is touched.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) };
}
