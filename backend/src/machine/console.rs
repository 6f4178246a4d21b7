//! The serial line of a machine: the last 1 MiB of its output for any number of viewers, and their input.
//!
//! Output goes into a ring buffer with absolute positions, and a viewer is a position in it. So the ring is the only
//! queue: the guest is always read at full speed, a new viewer replays what the ring holds, and a viewer that falls
//! behind by more than the ring learns how much it lost. A viewer on the Unix socket is disconnected then; it may connect
//! again.

mod signs;

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};

pub(super) use self::signs::Sign;
use self::signs::Watcher;
use crate::task::Scope;

/// So much output is kept for viewers that come later, in bytes.
const RING: usize = 1 << 20;
/// The most that a viewer gets at once, in bytes.
const CHUNK: usize = 64 << 10;
/// Viewers of one machine on the socket; others are refused.
const MAX_VIEWERS: usize = 32;
/// Pieces of input that may wait for a guest that does not read.
const INPUT_QUEUE: usize = 64;

/// A handle on the serial line. When the guest's end is closed, viewers can still read what is left.
#[derive(Clone, Debug)]
pub struct Console {
    output: watch::Receiver<Ring>,
    input: mpsc::Sender<Vec<u8>>,
}

/// The last bytes of a stream. Positions count from the beginning of the stream.
#[derive(Debug, Default)]
struct Ring {
    bytes: VecDeque<u8>,
    /// The position of the first byte that is kept.
    start: u64,
}

/// A reader of the output, at its own pace.
#[derive(Debug)]
pub struct Viewer {
    output: watch::Receiver<Ring>,
    position: u64,
}

/// What a viewer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    /// How many bytes before these the ring no longer held.
    pub lost: u64,
}

impl Ring {
    fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(RING)..];
        let over = (self.bytes.len() + kept.len()).saturating_sub(RING);
        self.bytes.drain(..over);
        self.bytes.extend(kept);
        self.start += (over + bytes.len() - kept.len()) as u64;
    }

    /// At most [`CHUNK`] bytes from `position` on.
    fn read(&self, position: u64) -> Chunk {
        let lost = self.start.saturating_sub(position);
        let skip = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.bytes.len());
        let bytes = self.bytes.range(skip..self.bytes.len().min(skip + CHUNK)).copied().collect();
        Chunk { bytes, lost }
    }
}

impl Console {
    /// Takes the host's end of the line. Reports to `signs` what it recognises; `marker` is the text of [`Sign::Marker`].
    pub(super) fn start(
        line: StdUnixStream,
        marker: Option<String>,
        signs: mpsc::Sender<Sign>,
        scope: &Scope,
    ) -> io::Result<Self> {
        line.set_nonblocking(true)?;
        let (reader, writer) = UnixStream::from_std(line)?.into_split();
        let (ring, output) = watch::channel(Ring::default());
        let (input, typed) = mpsc::channel(INPUT_QUEUE);
        scope.spawn(pump(reader, ring, Watcher::new(marker), signs));
        scope.spawn(feed(writer, typed));
        Ok(Self { output, input })
    }

    /// A viewer that starts at the oldest byte that is kept.
    #[must_use]
    pub fn viewer(&self) -> Viewer {
        let position = self.output.borrow().start;
        Viewer { output: self.output.clone(), position }
    }

    /// Types into the guest. Waits while the guest does not read.
    pub async fn send(&self, bytes: Vec<u8>) {
        // This fails when the guest has ended: then nobody reads the input.
        let _ = self.input.send(bytes).await;
    }

    /// Waits until the guest's end is closed.
    pub(super) async fn closed(&self) {
        let mut output = self.output.clone();
        while output.changed().await.is_ok() {}
    }

    /// Accepts viewers until the scope ends.
    pub(super) async fn serve(self, listener: UnixListener, scope: Scope) {
        let places = Arc::new(Semaphore::new(MAX_VIEWERS));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let console = self.clone();
            scope.spawn(async move {
                console.serve_viewer(stream).await;
                drop(place);
            });
        }
    }

    /// Serves one viewer on the socket. Its input may end before the viewer does (`socat - < file`).
    async fn serve_viewer(self, stream: UnixStream) {
        let viewer = self.viewer();
        let (mut reader, writer) = stream.into_split();
        let typed = async {
            let mut buffer = vec![0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer).await {
                self.send(buffer[..length].to_vec()).await;
            }
            // A viewer that has only stopped typing still reads; one that has closed its socket does not.
            if !reader.ready(Interest::WRITABLE).await.is_ok_and(|ready| ready.is_write_closed()) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = typed => {}
            () = show(viewer, writer) => {}
        }
    }
}

impl Viewer {
    /// What has arrived since the last call, oldest first. `None` when the guest's end is closed and everything is read.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Chunk> {
        loop {
            let chunk = self.output.borrow_and_update().read(self.position);
            if !chunk.bytes.is_empty() {
                self.position += chunk.lost + chunk.bytes.len() as u64;
                return Some(chunk);
            }
            self.output.changed().await.ok()?;
        }
    }
}

/// From the guest to the ring. Ends, and so closes the ring, when QEMU closes its end.
async fn pump(mut reader: OwnedReadHalf, ring: watch::Sender<Ring>, mut watcher: Watcher, signs: mpsc::Sender<Sign>) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        ring.send_modify(|ring| ring.push(&buffer[..length]));
        for sign in watcher.scan(&buffer[..length]) {
            // There are three signs, each is sent once, and the channel has room for all of them.
            let _ = signs.try_send(sign);
        }
    }
}

/// From the viewers to the guest.
async fn feed(mut writer: OwnedWriteHalf, mut typed: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = typed.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// From the ring to one viewer, until either ends or the viewer has fallen too far behind.
async fn show(mut viewer: Viewer, mut writer: OwnedWriteHalf) {
    while let Some(chunk) = viewer.next().await {
        if chunk.lost > 0 || writer.write_all(&chunk.bytes).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
