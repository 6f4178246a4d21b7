//! A mount namespace of our own, so that our mounts vanish with us, whatever ends us.
//!
//! Root makes a new mount namespace; others make a user namespace with it, in which they keep their own user and
//! group. Where neither is allowed, the mount is made for all to see with `fusermount3`, and what a SIGKILL leaves
//! behind is removed by the next command ([`super::sweep`]).
//!
//! A user namespace can only be entered by a process with one thread, and not be left again. Some systems let one
//! be made but give it no rights (AppArmor), and inside it `fusermount3` is powerless too; so it is tried in a
//! child first.

use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid};

use super::child;

/// Who sees the mounts of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    Private,
    /// Everybody; they must be unmounted by hand.
    Shared,
}

/// Call it before the first thread is started.
pub fn enter() -> Mounts {
    let (user, group) = (geteuid(), getegid());
    let entered = if user.is_root() && enter_mounts().is_ok() {
        Ok(())
    } else {
        child::attempt(move || enter_user(user, group)).and_then(|()| enter_user(user, group))
    };
    match entered {
        Ok(()) => Mounts::Private,
        Err(error) => {
            tracing::debug!(%error, "no private mount namespace; mounts are made with fusermount3");
            Mounts::Shared
        }
    }
}

fn enter_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    hide_mounts()
}

/// Mounts of the host still arrive here; ours never get out.
fn hide_mounts() -> io::Result<()> {
    Ok(mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?)
}

fn enter_user(user: Uid, group: Gid) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    // The kernel takes a group map of an unprivileged process only after this.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    hide_mounts()
}
