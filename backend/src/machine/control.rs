//! The control socket of a machine process: lines of JSON in both directions.
//!
//! A client receives the whole [`Machine`] when it connects and after every change, and may request a stop. A line is
//! the whole state, not a difference, so a client that was away has missed nothing that matters. A `null` every
//! [`HEARTBEAT`] shows that the process is alive: without it, a process that hangs would look like one without news.

use std::io;
use std::time::Duration;

use pixelrts_shared::machine::Machine;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, timeout};

use super::json_lines::Lines;
use crate::process::PidFd;
use crate::task::Scope;

/// A machine with its problem and the end of QEMU's output takes some kilobytes.
const MAX_LINE: usize = 256 << 10;
/// From one `null` to the next.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);
/// A client that does not read for this long is disconnected.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// What a client may request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub(super) enum Request {
    Stop,
}

/// Serves clients until the scope ends. `informed` counts those that have received the end of the machine.
pub(super) async fn serve(
    listener: UnixListener,
    machine: watch::Receiver<Machine>,
    stop: mpsc::Sender<()>,
    informed: watch::Sender<usize>,
    scope: Scope,
) {
    while let Ok((stream, _)) = listener.accept().await {
        scope.spawn(serve_client(stream, machine.clone(), stop.clone(), informed.clone()));
    }
}

async fn serve_client(
    stream: UnixStream,
    mut machine: watch::Receiver<Machine>,
    stop: mpsc::Sender<()>,
    informed: watch::Sender<usize>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = Lines::new(reader, MAX_LINE);
    machine.mark_changed();
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {
                if !matches!(timeout(WRITE_WITHIN, send(&mut writer, &None::<Machine>)).await, Ok(Ok(()))) {
                    return;
                }
            }
            request = lines.next() => match request {
                Ok(Some(Request::Stop)) => {
                    // The channel is full when several requests wait already.
                    let _ = stop.try_send(());
                }
                Ok(None) | Err(_) => return,
            },
            changed = machine.changed() => {
                let state = machine.borrow_and_update().clone();
                if changed.is_err() || !matches!(timeout(WRITE_WITHIN, send(&mut writer, &state)).await, Ok(Ok(()))) {
                    return;
                }
                if state.state.is_over() {
                    informed.send_modify(|count| *count += 1);
                }
            }
        }
    }
}

async fn send<T: Serialize>(writer: &mut OwnedWriteHalf, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// What a client learns from a machine process.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// The process lives, and nothing has changed.
    Alive,
    Changed(Box<Machine>),
    /// The process has ended.
    Gone,
}

/// The side of the client.
#[derive(Debug)]
pub(super) struct Client {
    lines: Lines<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The machine process; absent when the kernel does not report which it is.
    pub(super) process: Option<PidFd>,
}

impl Client {
    pub(super) async fn connect(path: &std::path::Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path).await?;
        let process = stream.peer_cred()?.pid().map(PidFd::open).transpose()?;
        let (reader, writer) = stream.into_split();
        Ok(Self { lines: Lines::new(reader, MAX_LINE), writer, process })
    }

    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<News> {
        Ok(match self.lines.next::<Option<Box<Machine>>>().await? {
            Some(Some(machine)) => News::Changed(machine),
            Some(None) => News::Alive,
            None => News::Gone,
        })
    }

    /// The machine after its next change; `None` when its process has ended. Cancel-safe.
    pub(super) async fn next_change(&mut self) -> io::Result<Option<Machine>> {
        loop {
            match self.next().await? {
                News::Alive => {}
                News::Changed(machine) => return Ok(Some(*machine)),
                News::Gone => return Ok(None),
            }
        }
    }

    pub(super) async fn stop(&mut self) -> io::Result<()> {
        timeout(WRITE_WITHIN, send(&mut self.writer, &Request::Stop)).await?
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BootOptions, Spec};
    use super::*;
    use pixelrts_shared::Digest;
    use pixelrts_shared::machine::MachineState;

    fn machine() -> Machine {
        let options = BootOptions::default();
        let spec = Spec {
            key: Digest::new([7; 32]),
            name: "test".to_owned(),
            image: "/image".into(),
            expected: None,
            options,
        };
        spec.machine("abcdefgh".parse().unwrap())
    }

    #[test]
    fn a_request_is_one_line_of_json() {
        assert_eq!(serde_json::to_string(&Request::Stop).unwrap(), r#"{"command":"stop"}"#);
        assert!(serde_json::from_str::<Request>(r#"{"command":"rm"}"#).is_err());
    }

    #[tokio::test]
    async fn a_client_receives_the_state_and_every_change_and_may_stop_the_machine() {
        let scope = Scope::new();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let (publish, state) = watch::channel(machine());
        let (stop, mut stops) = mpsc::channel(4);
        let (informed, mut received) = watch::channel(0);
        let _server = scope.spawn(serve(UnixListener::bind(&path).unwrap(), state, stop, informed, scope.clone()));

        let mut client = Client::connect(&path).await.unwrap();
        assert!(client.process.is_some());
        assert_eq!(client.next_change().await.unwrap(), Some(machine()));
        client.stop().await.unwrap();
        assert_eq!(stops.recv().await, Some(()));
        publish.send_modify(|machine| machine.state = MachineState::Stopped);
        assert_eq!(client.next_change().await.unwrap().unwrap().state, MachineState::Stopped);
        received.changed().await.unwrap();
        let mut late = Client::connect(&path).await.unwrap();
        assert_eq!(late.next_change().await.unwrap().unwrap().state, MachineState::Stopped);
        drop(publish);
        assert_eq!(client.next_change().await.unwrap(), None);
    }
}
