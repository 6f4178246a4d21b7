//! File systems that are served by a process of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::{BINARY, Bench};
use super::payload::SEGMENT;
use crate::command::cargo;

/// A mounted file system. It is unmounted when this is dropped.
pub(super) struct Mounted {
    folder: PathBuf,
    /// From the start of the command until the segment can be asked for its size.
    pub(super) ready: Duration,
    /// The process that serves it, if the command names it.
    pub(super) pid: Option<u32>,
    /// A server in the foreground, which ends when this is dropped.
    server: Option<Child>,
}

impl Mounted {
    pub(super) fn ours(bench: &Bench, image: &Path) -> Result<Self> {
        let mut mount = Command::new(BINARY);
        mount.args(["mount", "--json"]).arg(image);
        Self::with(mount, bench.scratch("mount"))
    }

    /// Our mount with every strip decoded in memory: `backend/benches/floor.rs`.
    pub(super) fn floor(bench: &Bench, image: &Path) -> Result<Self> {
        let folder = bench.scratch("floor");
        std::fs::create_dir_all(&folder)?;
        let mut command = cargo(&["bench", "--locked", "--package", "pixelrts", "--features", "internals"]);
        command.args(["--bench", "floor", "--"]).args([std::path::absolute(image)?, std::path::absolute(&folder)?]);
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = BufReader::new(server.stdout.take().context("it has an output")?).lines().next();
        let mounted = Self { folder, ready: Duration::ZERO, pid: None, server: Some(server) };
        said.context("the floor is not mounted")??;
        Ok(mounted)
    }

    pub(super) fn squashfuse(bench: &Bench, archive: &Path) -> Result<Self> {
        let mut mount = Command::new("squashfuse_ll");
        mount.arg(archive);
        Self::with(mount, bench.scratch("squash"))
    }

    fn with(mut mount: Command, folder: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let start = Instant::now();
        // Not a pipe: the serving process keeps standard error open, so a pipe would not end.
        let output = mount.arg(&folder).stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{mount:?} ended with {}: {said}", output.status);
        let mut mounted = Self { folder, ready: Duration::ZERO, pid: None, server: None };
        mounted.file().metadata().context("the segment is not there")?;
        mounted.ready = start.elapsed();
        let pid = said.split("\"pid\":").nth(1).map(|rest| rest.trim_start().split(|c: char| !c.is_ascii_digit()));
        mounted.pid = pid.and_then(|mut digits| digits.next()?.parse().ok());
        Ok(mounted)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.join(SEGMENT)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        match &mut self.server {
            // Waiting closes its input, and it unmounts when its input ends.
            Some(server) => drop(server.wait()),
            None => drop(Command::new("fusermount3").arg("-u").arg(&self.folder).status()),
        }
    }
}
