//! A guest's serial console on the standard streams of `pixelrts boot`.

use std::ffi::OsStr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::Home;

/// Without hardware virtualisation a guest needs some seconds to its prompt, and many of them on a busy computer.
const BOOT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Console {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// What the guest wrote after the last text that was expected.
    unread: Vec<u8>,
}

impl Console {
    /// Starts `pixelrts boot ARGUMENTS`.
    pub fn boot<S: AsRef<OsStr>>(home: &Home, arguments: &[S]) -> Result<Self> {
        let mut command = home.command(&["boot"]);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(home.log()?.1);
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no standard output")?;
        Ok(Self { child, input, output, unread: Vec::new() })
    }

    /// Reads until the guest has written `text`. Returns everything before it.
    pub async fn expect(&mut self, text: &str) -> Result<String> {
        let found = async {
            loop {
                let written = String::from_utf8_lossy(&self.unread).into_owned();
                if let Some((before, after)) = written.split_once(text) {
                    self.unread = after.as_bytes().to_vec();
                    return Ok(before.to_owned());
                }
                let mut buffer = [0; 4096];
                match self.output.read(&mut buffer).await? {
                    0 => bail!("the console ended without `{text}`"),
                    count => self.unread.extend_from_slice(&buffer[..count]),
                }
            }
        };
        let outcome = tokio::time::timeout(BOOT, found).await.unwrap_or_else(|_| Err(anyhow::anyhow!("no `{text}`")));
        outcome.with_context(|| format!("the console says:\n{}", String::from_utf8_lossy(&self.unread)))
    }

    /// Types a line.
    pub async fn type_line(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the input is closed")?;
        input.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(input.flush().await?)
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().context("`pixelrts boot` has ended already")?;
        Ok(kill(Pid::from_raw(i32::try_from(id)?), signal)?)
    }

    /// Waits until the command ends. Returns what was still written, and the exit status.
    pub async fn end(mut self) -> Result<(String, ExitStatus)> {
        let rest = async {
            self.output.read_to_end(&mut self.unread).await?;
            anyhow::Ok(self.child.wait().await?)
        };
        let status = tokio::time::timeout(BOOT, rest).await.context("`pixelrts boot` does not end")??;
        Ok((String::from_utf8_lossy(&self.unread).into_owned(), status))
    }
}
