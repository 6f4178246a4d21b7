//! Finds the processes of a story: those whose command line or environment names the story's folder.

use std::fs;
use std::path::Path;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that runs.
#[derive(Clone, Debug)]
pub struct Process {
    pub id: Pid,
    pub command: String,
}

pub(crate) fn of(folder: &Path) -> Result<Vec<Process>> {
    let folder = folder.to_string_lossy();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_string_lossy().parse().ok().map(Pid::from_raw) else { continue };
        // A process may end meanwhile. The files of one that has ended and waits for its parent are empty.
        let read = |file| String::from_utf8_lossy(&fs::read(entry.path().join(file)).unwrap_or_default()).into_owned();
        let command = read("cmdline").replace('\0', " ");
        if command.contains(&*folder) || read("environ").contains(&*folder) {
            found.push(Process { id, command });
        }
    }
    Ok(found)
}

pub(crate) fn kill_all_of(folder: &Path) {
    for process in of(folder).unwrap_or_default() {
        // It may have ended meanwhile.
        let _ = kill(process.id, Signal::SIGKILL);
    }
}
