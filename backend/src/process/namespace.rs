//! A mount namespace for this process alone, so that its mounts vanish with it, however it ends.
//!
//! Root makes a new mount namespace. Other users make a user namespace along with it, and keep their own user and group
//! in there. Where neither is allowed, mounts are made with `fusermount3` and everybody sees them; the next command
//! removes what a SIGKILL leaves behind.
//!
//! Only a process with a single thread can enter a user namespace, and it cannot leave it again. Some systems (with
//! AppArmor) let a process make one but give it no rights, and `fusermount3` does not work in there either. So it is
//! tried in a child first.

use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid};

use super::child::try_in_child;

/// Who sees the mounts of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    /// Only this process and its children; the mounts vanish with them.
    Private,
    /// Everybody; the mounts stay until something unmounts them.
    Shared,
}

/// Enters a mount namespace of its own, where that is possible. Call it before the first thread is started.
pub fn enter_mount_namespace() -> Mounts {
    let (user, group) = (geteuid(), getegid());
    let entered = if user.is_root() && enter_as_root().is_ok() {
        Ok(())
    } else {
        try_in_child(move || enter_as_user(user, group)).and_then(|()| enter_as_user(user, group))
    };
    match entered {
        Ok(()) => Mounts::Private,
        Err(error) => {
            tracing::debug!(%error, "a private mount namespace is not possible here; images are mounted with fusermount3");
            Mounts::Shared
        }
    }
}

fn enter_as_root() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    hide_mounts()
}

/// Mounts that the host makes later still appear here; mounts made here do not appear on the host.
fn hide_mounts() -> io::Result<()> {
    Ok(mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_SLAVE, None::<&str>)?)
}

fn enter_as_user(user: Uid, group: Gid) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    // Only after this does the kernel accept a group map from a process without privileges.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    hide_mounts()
}
