//! What must happen in a child between fork and exec.
//!
//! The closures here run in a copy of this process. Another thread may have held a lock when the copy was made, and
//! nobody ever releases it in the copy. So the closures make system calls only: they allocate nothing and take no lock.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

/// Makes the kernel send `signal` to the child when the thread that starts it ends.
///
/// The kernel watches the *thread*, not the process: start the child on a thread that lives as long as it should.
pub fn end_with_this_thread(command: &mut Command, signal: Signal) {
    let parent = getpid();
    #[expect(unsafe_code, reason = "a child can be bound to its parent only between fork and exec")]
    // SAFETY: the closure makes two system calls (prctl, getppid); see the header of this file.
    unsafe {
        command.pre_exec(move || {
            set_pdeathsig(signal)?;
            // The parent may have ended before the line above: then the signal never comes, so the child ends here.
            if getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
        });
    }
}

/// Makes the child inherit its standard streams and the descriptors `kept`, and no others.
pub fn inherit_only(command: &mut Command, kept: Vec<OwnedFd>) {
    #[expect(unsafe_code, reason = "inherited descriptors can be closed only between fork and exec")]
    // SAFETY: the closure makes system calls only (close_range, fcntl); see the header of this file.
    unsafe {
        command.pre_exec(move || {
            close_all_at_exec();
            for descriptor in &kept {
                fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            Ok(())
        });
    }
}

/// Runs `attempt` in a child that ends right after it. For what this process could not undo afterwards.
///
/// Call it while this process has a single thread.
pub(super) fn try_in_child(attempt: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[expect(unsafe_code, reason = "the attempt must run before the child becomes another program")]
    // SAFETY: this process has a single thread, so no other thread can hold a lock in the copy.
    unsafe {
        command.pre_exec(attempt);
    }
    command.status().map(drop)
}

/// Descriptors that this program opens are closed at exec anyway. This is for those that it inherited itself. Before
/// Linux 5.11 the call does not exist, and such descriptors stay open in the child, as with most programs.
fn close_all_at_exec() {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    #[expect(unsafe_code, reason = "there is no safe binding for this system call")]
    // SAFETY: the call only sets a flag on descriptors of this process; it touches no memory.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let start = || {
            let mut command = Command::new("sleep");
            end_with_this_thread(command.arg("1000"), Signal::SIGTERM);
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    }

    #[test]
    fn a_child_inherits_what_is_kept_and_nothing_else() {
        let open = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        // `ls` itself gets the lowest number that is free.
        let _lower: Vec<_> = (0..8).map(|_| open()).collect();
        let (kept, leaked) = (open(), open());
        // As if this process had inherited it.
        fcntl(&leaked, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let (kept_number, leaked_number) = (kept.as_raw_fd(), leaked.as_raw_fd());
        let mut command = Command::new("ls");
        command.arg("/proc/self/fd").stdin(Stdio::null());
        inherit_only(&mut command, vec![kept]);
        let listed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let is_listed = |number: i32| listed.lines().any(|line| line == number.to_string());
        assert!(is_listed(kept_number), "{listed}");
        assert!(!is_listed(leaked_number), "{listed}");
    }

    #[test]
    fn the_error_of_an_attempt_comes_back_from_the_child() {
        try_in_child(|| Ok(())).unwrap();
        let refused = try_in_child(|| Err(io::Error::from_raw_os_error(libc::EPERM))).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    }
}
