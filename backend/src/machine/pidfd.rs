//! A process that is no child of this one, held by a descriptor: its id can then never be taken for another's.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

#[derive(Debug)]
pub(super) struct PidFd(AsyncFd<OwnedFd>);

impl PidFd {
    /// Fails with `NotFound` when there is no such process any more.
    pub(super) fn open(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|errno| match errno {
            rustix::io::Errno::SRCH => io::ErrorKind::NotFound.into(),
            errno => io::Error::from(errno),
        })?;
        #[expect(unsafe_code, reason = "tokio has no safe way to wait for a descriptor")]
        // SAFETY: an `OwnedFd` stays open and is always the same descriptor, until the `AsyncFd` that owns it is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Self(registered?))
    }

    pub(super) fn kill(&self) {
        // It may have ended already: then there is nothing to kill.
        let _ = pidfd_send_signal(self.0.get_ref(), Signal::KILL);
    }

    /// Waits until it has ended and let go of all it held. Cancel-safe.
    pub(super) async fn gone(&self) {
        // Fails only when the runtime ends, and then nobody waits.
        let _ = self.0.readable().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn a_killed_process_is_gone_and_then_cannot_be_opened() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id().cast_signed();
        let process = PidFd::open(pid).unwrap();
        process.kill();
        process.gone().await;
        child.wait().unwrap();
        assert_eq!(PidFd::open(pid).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
