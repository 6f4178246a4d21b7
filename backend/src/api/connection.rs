//! A limited number of connections, none of which may be idle for long.
//!
//! A client that opens a connection and sends nothing, or stops reading, costs a file descriptor. So no connection is
//! accepted while too many are open, and a connection on which no byte moved for a minute is closed. Streams send
//! heartbeats well before that.
//!
//! The TLS handshake happens inside the connection, when it is first read. So accepting the next connection never waits
//! for a handshake, and the same timer closes the connection of a client that does not finish its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// Connections that may be open at once.
const MOST: usize = 512;
const IDLE: Duration = Duration::from_secs(60);
/// The time for a whole handshake. A slow phone on a slow network needs two seconds.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub struct Connections {
    listener: TcpListener,
    places: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
}

impl Connections {
    #[must_use]
    pub fn new(listener: TcpListener, tls: Option<rustls::ServerConfig>) -> Self {
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        Self { listener, places: Arc::new(Semaphore::new(MOST)), tls }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Connection, Self::Addr) {
        let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Small responses are sent at once instead of being joined with later ones. If this fails, they only arrive later.
        let _ = stream.set_nodelay(true);
        let (stream, limit) = match &self.tls {
            None => (Stream::Plain(stream), IDLE),
            Some(tls) => (Stream::Handshake(Box::new(tls.accept(stream))), HANDSHAKE),
        };
        (Connection { stream, idle: Box::pin(tokio::time::sleep(limit)), _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub struct Connection {
    stream: Stream,
    idle: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

enum Stream {
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
}

/// A stream after its handshake.
trait Open: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Open for T {}

impl Connection {
    /// Restarts the timer when bytes have moved, and fails when it has run out.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
        }
        self.limit(cx, poll)
    }

    /// Fails when the timer has run out. It does not restart the timer, for operations that can finish without moving a
    /// byte.
    fn limit<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            return poll;
        }
        match self.idle.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Stream {
    /// Finishes the handshake, then performs one operation on the stream.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut dyn Open>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match ready!(self.open(cx)) {
            Ok(stream) => act(stream, cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Open>>> {
        if let Self::Handshake(accept) = self {
            let stream = ready!(Pin::new(accept).poll(cx))?;
            *self = Self::Secure(Box::new(stream));
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(Pin::new(stream)),
            Self::Secure(stream) => Ok(Pin::new(&mut **stream)),
            Self::Handshake(_) => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = self.stream.poll(cx, |stream, cx| stream.poll_read(cx, buf));
        self.watch(cx, poll)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = self.stream.poll(cx, |stream, cx| stream.poll_write(cx, buf));
        self.watch(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS accepts bytes before the client has read them. This is where a client that does not read is waited for.
        let poll = self.stream.poll(cx, |stream, cx| stream.poll_flush(cx));
        self.limit(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.stream.poll(cx, |stream, cx| stream.poll_shutdown(cx));
        self.limit(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = self.stream.poll(cx, |stream, cx| stream.poll_write_vectored(cx, bufs));
        self.watch(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            // rustls joins the buffers into records.
            Stream::Handshake(_) | Stream::Secure(_) => true,
        }
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("listener", &self.listener).field("tls", &self.tls.is_some()).finish()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("secure", &!matches!(self.stream, Stream::Plain(_))).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::{Certificate, read_chain};
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;

    /// Far less than the test would wait without the timer.
    const SOON: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn the_connection_of_a_tls_client_that_does_not_read_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
        let config = Certificate::load_or_make(&cert, &key, &[]).unwrap().server_config();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut connections = Connections::new(listener, Some(config));
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(read_chain(&cert).unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector = TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
        let client = async {
            let mut client = connector.connect(ServerName::try_from("localhost").unwrap(), client).await.unwrap();
            client.write_all(b"?").await.unwrap();
            client
        };
        let server = async {
            let (mut connection, _) = connections.accept().await;
            connection.read_u8().await.unwrap();
            connection
        };
        // The client stays connected, and reads nothing.
        let (_client, mut connection) = tokio::join!(client, server);
        // Write past the timer until the stream takes nothing more.
        let bytes = [0; 64 << 10];
        let full = |cx: &mut Context<'_>| loop {
            if connection.stream.poll(cx, |stream, cx| stream.poll_write(cx, &bytes)).is_pending() {
                return Poll::Ready(());
            }
        };
        poll_fn(full).await;
        for shutdown in [false, true] {
            connection.idle = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
            let end = async { if shutdown { connection.shutdown().await } else { connection.flush().await } };
            let end = tokio::time::timeout(SOON, end).await.expect("it is closed");
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }
}
