//! A client of QEMU's control protocol (QMP): the few commands and events that the life of a machine needs.
//!
//! There is one reader and no task of its own: the task of the machine waits for the next event in its `select!`. Events
//! that arrive while a command waits for its answer are kept for later. Every wait for an answer has a deadline, because
//! a QEMU that hangs must not make this process hang.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::json_lines::Lines;

/// QEMU's longest messages are answers to queries that are never sent; events and other answers are far shorter.
const MAX_LINE: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Qmp {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    kept: VecDeque<Event>,
    deadline: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    #[error("QEMU did not answer `{command}` within {seconds} s")]
    Silent { command: &'static str, seconds: u64 },
    #[error("QEMU closed its control socket during `{command}`")]
    Closed { command: &'static str },
    #[error("QEMU refused `{command}`: {reason}")]
    Refused { command: &'static str, reason: String },
    #[error("QEMU's control socket failed: {0}")]
    Io(#[from] io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Ends QEMU now.
    Quit,
    /// The guest's power button.
    Powerdown,
}

impl Command {
    const fn name(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Powerdown => "system_powerdown",
        }
    }
}

/// What QEMU reports without a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Shutdown(Shutdown),
    GuestPanicked,
    Stop,
    Resume,
    /// An event that does not matter here.
    Other,
}

/// Why the guest no longer runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Shutdown {
    /// The guest did it, not the host.
    pub(super) guest: bool,
    /// As in `guest-shutdown`, `guest-reset`, `guest-panic`, `host-qmp-quit`.
    pub(super) reason: String,
}

/// Any line of the protocol. Its kind is known by which field is present.
#[derive(Deserialize)]
struct Message {
    event: Option<String>,
    #[serde(default)]
    data: serde_json::Value,
    #[serde(rename = "return")]
    answer: Option<IgnoredAny>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    desc: String,
}

impl Message {
    fn event(self) -> Option<Event> {
        Some(match self.event?.as_str() {
            "SHUTDOWN" => serde_json::from_value(self.data).map_or(Event::Other, Event::Shutdown),
            "GUEST_PANICKED" => Event::GuestPanicked,
            "STOP" => Event::Stop,
            "RESUME" => Event::Resume,
            _ => Event::Other,
        })
    }
}

impl Qmp {
    /// Waits for the greeting and leaves negotiation mode. `deadline` applies to this and to each later command.
    pub(super) async fn connect(stream: UnixStream, deadline: Duration) -> Result<Self, QmpError> {
        let (reader, writer) = stream.into_split();
        let mut qmp = Self { lines: Lines::new(reader, MAX_LINE), writer, kept: VecDeque::new(), deadline };
        qmp.call("qmp_capabilities").await?;
        Ok(qmp)
    }

    pub(super) async fn execute(&mut self, command: Command) -> Result<(), QmpError> {
        self.call(command.name()).await
    }

    /// The next event; `None` once QEMU has closed. Cancel-safe.
    pub(super) async fn event(&mut self) -> io::Result<Option<Event>> {
        if let Some(event) = self.kept.pop_front() {
            return Ok(Some(event));
        }
        while let Some(message) = self.lines.next::<Message>().await? {
            // Anything else is the late answer to a command whose deadline has passed.
            if let Some(event) = message.event() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    async fn call(&mut self, command: &'static str) -> Result<(), QmpError> {
        let (deadline, seconds) = (self.deadline, self.deadline.as_secs());
        let answer = async {
            let mut line = json!({ "execute": command }).to_string();
            line.push('\n');
            self.writer.write_all(line.as_bytes()).await?;
            while let Some(message) = self.lines.next::<Message>().await? {
                if let Some(refusal) = message.error {
                    return Err(QmpError::Refused { command, reason: refusal.desc });
                }
                if message.answer.is_some() {
                    return Ok(());
                }
                self.kept.extend(message.event());
            }
            Err(QmpError::Closed { command })
        };
        timeout(deadline, answer).await.unwrap_or(Err(QmpError::Silent { command, seconds }))
    }
}

#[cfg(test)]
mod tests;
