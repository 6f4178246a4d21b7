//! The health check of the backend: first it waits for the socket, then it sends a ping every few seconds.
//!
//! That the file of the socket exists proves nothing, because it may be left over from the last run. Only a socket that
//! accepts a connection ends the first phase. When it accepts one and does not answer, the backend hangs.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pixelrts_shared::health::{PING, PONG};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::End;

/// The time between two tries to connect. A try costs microseconds, so a start is noticed at once.
const POLL: Duration = Duration::from_millis(25);
/// The time from one ping to the next. Together with `ANSWER` it is the longest time for which a hang goes unnoticed.
const REST: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// Calls `ready` when the backend answers for the first time, and returns when it does not answer. Its socket must
/// accept connections within `appear`.
pub(super) async fn watch(socket: PathBuf, appear: Duration, ready: impl FnOnce()) -> End {
    let connected = async {
        while UnixStream::connect(&socket).await.is_err() {
            sleep(POLL).await;
        }
    };
    if timeout(appear, connected).await.is_err() {
        return End::NotUp(appear);
    }
    let mut ready = Some(ready);
    loop {
        let late = |_| Err(io::Error::other(format!("nothing came within {ANSWER:?}")));
        if let Err(error) = timeout(ANSWER, ping(&socket)).await.unwrap_or_else(late) {
            return End::Silent(error);
        }
        if let Some(ready) = ready.take() {
            ready();
        }
        sleep(REST).await;
    }
}

async fn ping(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(PING.as_bytes()).await?;
    let mut answer = [0; PONG.len()];
    stream.read_exact(&mut answer).await?;
    if answer == PONG.as_bytes() { Ok(()) } else { Err(io::Error::other("the response is not a pong")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener as Bound;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::net::UnixListener;

    /// Answers the pings in turn with `answers`, then says nothing more and keeps the connection open.
    async fn answer(listener: UnixListener, answers: &[&str]) {
        let (mut open, mut answers) = (Vec::new(), answers.iter());
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut ping = [0; PING.len()];
            match stream.read_exact(&mut ping).await {
                Ok(_) => assert_eq!(ping, PING.as_bytes()),
                // This connection only tests whether there is a socket.
                Err(_) => continue,
            }
            if let Some(text) = answers.next() {
                stream.write_all(text.as_bytes()).await.unwrap();
            }
            open.push(stream);
        }
    }

    #[tokio::test]
    async fn only_a_pong_is_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let answers = [PONG, "{\"type\":\"ping\"}\n"];
        let asked = async {
            assert!(ping(&path).await.is_ok());
            assert_eq!(ping(&path).await.unwrap_err().kind(), io::ErrorKind::Other);
            assert!(timeout(Duration::from_millis(50), ping(&path)).await.is_err(), "it says nothing");
        };
        tokio::select! {
            () = asked => {}
            () = answer(listener, &answers) => {}
        }
        assert!(ping(&path).await.is_err(), "nobody listens");
    }

    #[tokio::test]
    async fn a_left_over_socket_is_not_ready_and_a_wrong_response_ends_the_watch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.sock");
        drop(Bound::bind(&path).unwrap());
        let ready = AtomicBool::new(false);
        let watched = watch(path.clone(), Duration::from_secs(30), || ready.store(true, Ordering::Relaxed));
        let backend = async {
            sleep(3 * POLL).await;
            assert!(!ready.load(Ordering::Relaxed));
            std::fs::remove_file(&path).unwrap();
            answer(UnixListener::bind(&path).unwrap(), &[PONG, "garbage that is long enough to be read\n"]).await;
        };
        let end = tokio::select! {
            end = watched => end,
            () = backend => unreachable!("it listens for ever"),
        };
        assert!(ready.load(Ordering::Relaxed));
        assert!(matches!(end, End::Silent(_)), "{end}");
    }

    #[tokio::test]
    async fn a_missing_socket_ends_the_watch_after_the_given_time() {
        let folder = tempfile::tempdir().unwrap();
        let appear = 2 * POLL;
        let end = watch(folder.path().join("kernel.sock"), appear, || unreachable!("nobody listens")).await;
        assert!(matches!(end, End::NotUp(waited) if waited == appear), "{end}");
    }
}
