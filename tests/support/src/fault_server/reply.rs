//! An answer: a status, headers, a body, and everything that can be wrong with how it is sent.

use std::io::{self, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::request::{self, Request};

/// A body is written in pieces of this size, so that a client that goes away is noticed.
const PIECE: usize = 64 << 10;
/// Before a connection is reset, the client gets this time to read what was sent. The kernel drops the rest.
const DELIVERY: Duration = Duration::from_millis(20);

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It is there for the next request.
    Keep,
    Close,
    /// The kernel tells the client that the connection is broken (RST).
    Reset,
    /// It stays open and silent.
    Hang,
}

/// An answer that can be as wrong as a test needs it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `None`: the body is sent without a head.
    status: Option<u16>,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: Body,
    chunked: bool,
    wait: Option<Duration>,
    pace: Option<(usize, Duration)>,
    after: After,
}

#[derive(Clone, Debug)]
enum Body {
    Bytes {
        bytes: Arc<[u8]>,
        range: Range<usize>,
    },
    /// Some bytes, and then others without an end.
    Endless {
        first: Vec<u8>,
        then: Vec<u8>,
    },
}

impl Reply {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status: Some(status),
            version: "HTTP/1.1",
            headers: Vec::new(),
            body: Body::Bytes { bytes: Arc::new([]), range: 0..0 },
            chunked: false,
            wait: None,
            pace: None,
            after: After::Keep,
        }
        .with("Content-Length", 0)
    }

    /// An answer with a body of its length.
    #[must_use]
    pub fn with_body(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body: Arc<[u8]> = body.into().into();
        let range = 0..body.len();
        Self::new(status).with("Content-Type", content_type).with_part_of(&body, range)
    }

    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a header, or replaces the one of this name.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers are written alike")]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The body is a part of these bytes, and its length is announced.
    #[must_use]
    pub fn with_part_of(mut self, bytes: &Arc<[u8]>, range: Range<usize>) -> Self {
        self = self.with("Content-Length", range.len());
        self.body = Body::Bytes { bytes: Arc::clone(bytes), range };
        self
    }

    /// The body ends after this many bytes, whatever was announced.
    #[must_use]
    pub fn cut(mut self, length: usize) -> Self {
        if let Body::Bytes { range, .. } = &mut self.body {
            range.end = range.end.min(range.start.saturating_add(length));
        }
        self
    }

    /// The body never ends, and no length is announced.
    #[must_use]
    pub fn endless(mut self, first: impl Into<Vec<u8>>, then: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Endless { first: first.into(), then: then.into() };
        self.without("Content-Length").then(After::Close)
    }

    /// Sends the body without status and headers.
    #[must_use]
    pub fn without_head(mut self) -> Self {
        self.status = None;
        self
    }

    /// Sends the body in chunks, without its length.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self.without("Content-Length").with("Transfer-Encoding", "chunked")
    }

    /// Answers as a server of HTTP/1.0, which closes the connection to end a body.
    #[must_use]
    pub fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self.without("Content-Length").then(After::Close)
    }

    /// Waits before it sends anything.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Sends no more than so many bytes of the body in each interval.
    #[must_use]
    pub fn paced(mut self, bytes: usize, interval: Duration) -> Self {
        self.pace = Some((bytes.max(1), interval));
        self
    }

    #[must_use]
    pub fn then(mut self, after: After) -> Self {
        self.after = after;
        self
    }

    /// Whether the request must stay unread: a connection that is closed then is reset by the kernel.
    pub(super) fn resets(&self) -> bool {
        self.after == After::Reset
    }

    /// A few words for the log.
    pub(super) fn describe(&self) -> String {
        let mut words = vec![self.status.map_or("no head".to_owned(), |status| status.to_string())];
        match &self.body {
            Body::Bytes { range, .. } => words.push(format!("bytes {}..{}", range.start, range.end)),
            Body::Endless { .. } => words.push("endless".to_owned()),
        }
        let facts = [
            (self.chunked, "chunked"),
            (self.version == "HTTP/1.0", "HTTP/1.0"),
            (self.wait.is_some(), "late"),
            (self.pace.is_some(), "slow"),
        ];
        words.extend(facts.iter().filter(|(is, _)| *is).map(|(_, word)| (*word).to_owned()));
        if self.after != After::Keep {
            words.push(format!("{:?}", self.after).to_lowercase());
        }
        words.join(", ")
    }

    /// Sends it, and says what becomes of the connection. `sent` counts the bytes of the body.
    pub(super) fn send(
        self,
        stream: &TcpStream,
        request: &Request,
        sent: &AtomicU64,
        stopped: &AtomicBool,
    ) -> io::Result<After> {
        let mut wire = Wire { stream, stopped };
        if let Some(wait) = self.wait {
            wire.wait(wait)?;
        }
        if let Some(status) = self.status {
            let mut head = format!("{} {status} X\r\n", self.version);
            self.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
            wire.write(format!("{head}\r\n").as_bytes())?;
        }
        if request.method != "HEAD" {
            self.send_body(&mut wire, sent)?;
        }
        match self.after {
            After::Hang => wire.wait(Duration::MAX)?,
            After::Reset => wire.wait(DELIVERY)?,
            After::Keep | After::Close => {}
        }
        Ok(self.after)
    }

    fn send_body(&self, wire: &mut Wire<'_>, sent: &AtomicU64) -> io::Result<()> {
        match &self.body {
            Body::Bytes { bytes, range } => {
                self.send_pieces(wire, &bytes[range.clone()], sent)?;
                if self.chunked && self.after != After::Reset {
                    wire.write(b"0\r\n\r\n")?;
                }
            }
            Body::Endless { first, then } => {
                self.send_pieces(wire, first, sent)?;
                loop {
                    self.send_pieces(wire, then, sent)?;
                }
            }
        }
        Ok(())
    }

    fn send_pieces(&self, wire: &mut Wire<'_>, bytes: &[u8], sent: &AtomicU64) -> io::Result<()> {
        let (size, interval) = self.pace.unwrap_or((PIECE, Duration::ZERO));
        let mut due = Instant::now();
        for piece in bytes.chunks(size) {
            if self.chunked {
                wire.write(format!("{:x}\r\n", piece.len()).as_bytes())?;
            }
            wire.write_counted(piece, sent)?;
            if self.chunked {
                wire.write(b"\r\n")?;
            }
            due += interval;
            if !interval.is_zero() {
                wire.wait(due.saturating_duration_since(Instant::now()))?;
            }
        }
        Ok(())
    }
}

struct Wire<'a> {
    stream: &'a TcpStream,
    stopped: &'a AtomicBool,
}

impl Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_counted(bytes, &AtomicU64::new(0))
    }

    fn write_counted(&mut self, mut bytes: &[u8], sent: &AtomicU64) -> io::Result<()> {
        while !bytes.is_empty() {
            self.expect_running()?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    sent.fetch_add(written as u64, Ordering::Relaxed);
                    bytes = &bytes[written..];
                }
                Err(error) if request::is_patience(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends earlier, with an error, when the client goes away or the server is stopped.
    fn wait(&mut self, time: Duration) -> io::Result<()> {
        let since = Instant::now();
        loop {
            self.expect_running()?;
            let left = time.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(PATIENCE / 5));
            self.expect_client()?;
        }
    }

    fn expect_running(&self) -> io::Result<()> {
        if self.stopped.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    fn expect_client(&self) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
            Err(error) if !request::is_patience(&error) => Err(error),
            _ => Ok(()),
        }
    }
}
