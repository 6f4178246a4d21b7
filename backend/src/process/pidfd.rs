//! A handle on a process that need not be a child of this one.
//!
//! It is a descriptor, not a process id: the kernel gives an id to another process once the first has ended, and a
//! descriptor never means another process.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

#[derive(Debug)]
pub struct PidFd(AsyncFd<OwnedFd>);

impl PidFd {
    /// Fails with `NotFound` when the process has ended.
    pub fn open(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|errno| match errno {
            rustix::io::Errno::SRCH => io::ErrorKind::NotFound.into(),
            errno => io::Error::from(errno),
        })?;
        #[expect(unsafe_code, reason = "tokio has no safe way to wait for this descriptor")]
        // SAFETY: the `AsyncFd` owns the descriptor, so it stays open and stays the same until the `AsyncFd` is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Self(registered?))
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        // This fails when the process has ended already: then there is nothing to kill.
        let _ = pidfd_send_signal(self.0.get_ref(), Signal::KILL);
    }

    /// Waits until the process has ended and has released everything that it held. Cancel-safe.
    pub async fn ended(&self) {
        // This fails only when the runtime ends, and then nobody waits.
        let _ = self.0.readable().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn a_killed_process_ends_and_cannot_be_opened_again() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id().cast_signed();
        let process = PidFd::open(pid).unwrap();
        process.kill();
        process.ended().await;
        child.wait().unwrap();
        assert_eq!(PidFd::open(pid).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
