//! A home for one story: all folders that the binary uses, and the check that nothing is left behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use pixelrts_shared::Problem;
use serde_json::Value;
use tokio::process::Command;

use crate::processes::{self, Process};
use crate::wait::until;

/// A folder that holds everything of the binary in one story: cache, state, runtime files, configuration.
#[derive(Debug)]
pub struct Home {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Home {
    pub fn new() -> Result<Self> {
        let binary = crate::binary()?;
        // The folder is short because the path of a socket may have 108 bytes at most.
        Ok(Self { folder: tempfile::Builder::new().prefix("rts-").tempdir_in("/tmp")?, binary })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `pixelrts ARGUMENTS`, ready to be started. The process is killed when its handle is dropped.
    #[must_use]
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(self.path()).env("HOME", self.path()).kill_on_drop(true);
        for kind in ["CACHE", "STATE", "CONFIG", "DATA"] {
            command.env(format!("XDG_{kind}_HOME"), self.path().join(kind.to_lowercase()));
        }
        command.env("XDG_RUNTIME_DIR", self.path().join("run"));
        // These variables are for the stories. The binary would warn of them, because it does not know them.
        for ours in ["BIN", "SAMPLES", "PACKAGES", "STORIES"] {
            command.env_remove(format!("PIXELRTS_{ours}"));
        }
        command
    }

    /// Runs a command to its end, without input.
    pub async fn run<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Result<Finished> {
        // `pixelrts samples` may have to wait for the network.
        let output = tokio::time::timeout(3 * crate::DEADLINE, self.command(arguments).stdin(Stdio::null()).output())
            .await
            .context("the command does not end")??;
        output.try_into()
    }

    /// A new file for the output of a program. libtest shows it when the story fails.
    pub fn log(&self) -> Result<(PathBuf, File)> {
        let number = files(&self.path().join("logs")).len();
        let path = self.path().join(format!("logs/{number}.log"));
        fs::create_dir_all(self.path().join("logs"))?;
        Ok((path.clone(), File::options().create(true).append(true).open(path)?))
    }

    /// Complete images in the cache.
    #[must_use]
    pub fn cached(&self) -> Vec<PathBuf> {
        files(&self.path().join("cache/pixelrts/remote"))
    }

    /// Files of downloads that are not complete.
    #[must_use]
    pub fn partial(&self) -> Vec<PathBuf> {
        files(&self.path().join("cache/pixelrts/partial"))
    }

    /// Processes that belong to this home: QEMU, machines, backends.
    pub fn processes(&self) -> Result<Vec<Process>> {
        processes::of(self.path())
    }

    /// Run directories of machines.
    #[must_use]
    pub fn run_directories(&self) -> Vec<PathBuf> {
        files(&self.path().join("run/pixelrts/machines"))
    }

    fn mounts(&self) -> Result<Vec<String>> {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        Ok(table.lines().filter(|line| line.contains(&*self.path().to_string_lossy())).map(str::to_owned).collect())
    }

    /// Waits until no process and no mount of this home is left.
    pub async fn expect_no_machine(&self) -> Result<()> {
        until("no process and no mount is left", async || {
            let (processes, mounts) = (self.processes()?, self.mounts()?);
            ensure!(processes.is_empty() && mounts.is_empty(), "left: {processes:?} {mounts:?}");
            Ok(Some(()))
        })
        .await
    }

    /// Waits until no process, no mount and no run directory is left.
    pub async fn expect_nothing_left(&self) -> Result<()> {
        self.expect_no_machine().await?;
        let left = self.run_directories();
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(())
    }
}

/// Machines outlive their backend by design, so a story that fails must end them for the next one.
impl Drop for Home {
    fn drop(&mut self) {
        processes::kill_all_of(self.path());
        for log in files(&self.path().join("logs")) {
            println!("--- {}\n{}", log.display(), fs::read_to_string(&log).unwrap_or_default());
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

impl TryFrom<Output> for Finished {
    type Error = anyhow::Error;

    fn try_from(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}

impl Finished {
    /// Fails unless the command succeeded. Returns what it printed.
    pub fn good(self) -> Result<String> {
        ensure!(self.code == Some(0), "exit {:?}: {}{}", self.code, self.stdout, self.stderr);
        Ok(self.stdout)
    }

    /// Fails unless the command ended with this exit code. Returns the problem that it printed, so it needs `--json`.
    pub fn problem(&self, code: i32) -> Result<Problem> {
        ensure!(self.code == Some(code), "exit {:?} instead of {code}: {}{}", self.code, self.stdout, self.stderr);
        // `boot` answers with a machine that did not start, which holds the problem.
        let document: Value = serde_json::from_str(&self.stdout).with_context(|| self.stdout.clone())?;
        let problem = document.get("problem").unwrap_or(&document).clone();
        let problem: Problem = serde_json::from_value(problem).with_context(|| self.stdout.clone())?;
        ensure!(problem.code.exit_code() == u8::try_from(code)?, "{problem}");
        for (name, text) in [("what", &problem.what), ("why", &problem.why), ("fix", &problem.fix)] {
            ensure!(!text.is_empty(), "{name} is empty: {problem}");
        }
        Ok(problem)
    }
}
