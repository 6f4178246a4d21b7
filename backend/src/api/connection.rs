//! A limited number of connections, none of which may be idle for long.
//!
//! A client that opens a connection and sends nothing, or stops reading, costs a file descriptor. So no connection is
//! accepted while too many are open, no other computer gets more than half of the places, and a connection on which no
//! byte moved for a minute is closed. Streams send heartbeats well before that.
//!
//! The TLS handshake happens inside the connection, when it is first read. So accepting the next connection never waits
//! for a handshake, and the same timer closes the connection of a client that does not finish its own.

mod places;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use places::{Place, Places};

const IDLE: Duration = Duration::from_secs(60);
/// The time for a whole handshake. A slow phone on a slow network needs two seconds.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub struct Connections {
    listener: TcpListener,
    places: Places,
    tls: Option<TlsAcceptor>,
}

impl Connections {
    /// So many files this process would like to have open: all connections, and what else it does.
    pub const FILES: u64 = places::FILES;

    /// The process may have `files` open.
    #[must_use]
    pub fn new(listener: TcpListener, tls: Option<rustls::ServerConfig>, files: u64) -> Self {
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        Self { listener, places: Places::of(files), tls }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Connection, Self::Addr) {
        let (stream, address, place) = loop {
            let free = self.places.free().await;
            let (stream, address) = Listener::accept(&mut self.listener).await;
            // Otherwise the connection is closed, because it is one too many of this client.
            if let Some(place) = free.of(address.ip()) {
                break (stream, address, place);
            }
        };
        // Small responses are sent at once instead of being joined with later ones. If this fails, they only arrive later.
        let _ = stream.set_nodelay(true);
        let (stream, limit) = match &self.tls {
            None => (Stream::Plain(stream), IDLE),
            Some(tls) => (Stream::Handshake(Box::new(tls.accept(stream))), HANDSHAKE),
        };
        let until = Instant::now() + limit;
        let timer = Box::pin(tokio::time::sleep_until(until));
        (Connection { stream, until, timer, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

pub struct Connection {
    stream: Stream,
    /// Something has to happen until then.
    until: Instant,
    /// It ends at that time or before it: then it goes on, which costs less than setting it whenever bytes have moved.
    timer: Pin<Box<Sleep>>,
    _place: Place,
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
            self.until = Instant::now() + IDLE;
        }
        self.limit(cx, poll)
    }

    /// Fails when the timer has run out. It does not restart the timer, for operations that can finish without moving a
    /// byte.
    fn limit<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            return poll;
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.until <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(self.until);
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
        let mut connections = Connections::new(listener, Some(config), 1024);
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
            connection.until = Instant::now() + Duration::from_millis(20);
            connection.timer = Box::pin(tokio::time::sleep_until(connection.until));
            let end = async { if shutdown { connection.shutdown().await } else { connection.flush().await } };
            let end = tokio::time::timeout(SOON, end).await.expect("it is closed");
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test]
    async fn a_connection_is_closed_when_nothing_moved_since_the_last_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut connection, _) = Connections::new(listener, None, 1024).accept().await;
        let since = Instant::now();
        connection.timer = Box::pin(tokio::time::sleep(Duration::from_millis(5)));
        client.write_all(b"?").await.unwrap();
        connection.read_u8().await.unwrap();
        assert!(connection.until >= since + IDLE, "the byte gave it another minute");
        connection.until = since + Duration::from_millis(60);
        assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(since.elapsed() >= Duration::from_millis(60), "the timer ended before");
    }
}
