//! The backend's side of the health check on `kernel.sock`: it answers a line `{"type":"ping"}` with `{"type":"pong"}`.
//!
//! The runtime that serves HTTP answers it, so a backend that hangs is noticed. Only its user can reach the socket,
//! because the runtime directory is private. Anything but pings closes the connection.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use pixelrts_shared::health::PONG;
use pixelrts_shared::{Problem, ProblemCode};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::task::Scope;

/// The time for all pings of a client. Together with `MOST` it bounds how long the next client waits. That must be less
/// than the 5 s after which the backend is considered dead.
const CLIENT: Duration = Duration::from_secs(2);
/// How many clients are served at the same time.
const MOST: usize = 8;
/// The longest line that is read, in bytes.
const LINE: usize = 256;

/// The socket, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct HealthSocket(PathBuf);

impl HealthSocket {
    /// Call it while holding the lock of the backend: a socket that exists then is left over, and is replaced.
    pub(super) fn start(path: &Path, scope: &Scope) -> Result<Self, Problem> {
        let listener = listen(path).map_err(|error| {
            let why = format!("{}: {error}.", path.display());
            let fix = "Check the runtime directory, or set XDG_RUNTIME_DIR to one with a short path.";
            Problem::new(ProblemCode::StorageFailed, "The socket for health checks cannot be made.", why, fix)
        })?;
        scope.spawn(answer(listener));
        Ok(Self(path.to_owned()))
    }
}

impl Drop for HealthSocket {
    fn drop(&mut self) {
        // The next backend replaces a socket that remains.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// All clients are served in this one task, so they end with it.
async fn answer(listener: UnixListener) {
    let accepted = futures_util::stream::unfold(listener, async |listener| {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, listener)),
                // Usually there are no descriptors left, which passes.
                Err(error) => tracing::warn!(%error, "a health check cannot be accepted"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    accepted.for_each_concurrent(MOST, async |stream| drop(timeout(CLIENT, serve_client(stream)).await)).await;
}

async fn serve_client(mut stream: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = FramedRead::new(reader, LinesCodec::new_with_max_length(LINE));
    while let Some(Ok(line)) = lines.next().await {
        match serde_json::from_str::<Value>(&line) {
            Ok(value) if value["type"] == "ping" => writer.write_all(PONG.as_bytes()).await?,
            _ => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// Sends bytes and returns what comes back until the other side closes.
    async fn told(path: &Path, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(path).await.unwrap();
        // The other side may have closed already.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn pings_are_answered_and_garbage_closes_the_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sock");
        let scope = Scope::new();
        let socket = HealthSocket::start(&path, &scope).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            told(&path, b"{\"type\":\"ping\"}\n{\"type\":\"ping\"}\nx\n").await,
            "{\"type\":\"pong\"}\n".repeat(2)
        );
        assert_eq!(told(&path, b"{\"type\":\"pong\"}\n{\"type\":\"ping\"}\n").await, "");
        assert_eq!(told(&path, &[b'x'; 100_000]).await, "", "a line without end");
        assert_eq!(told(&path, b"\xff\xfe\n").await, "");
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_is_left_over_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let scope = Scope::new();
        let _socket = HealthSocket::start(&path, &scope).unwrap();
        assert_eq!(told(&path, b"{\"type\": \"ping\"}\nx\n").await, PONG);
    }

    #[tokio::test]
    async fn clients_that_say_nothing_are_dropped_and_the_next_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sock");
        let scope = Scope::new();
        let _socket = HealthSocket::start(&path, &scope).unwrap();
        let mut silent = Vec::new();
        for _ in 0..MOST {
            silent.push(UnixStream::connect(&path).await.unwrap());
        }
        assert_eq!(told(&path, b"{\"type\": \"ping\"}\nx\n").await, PONG);
    }
}
