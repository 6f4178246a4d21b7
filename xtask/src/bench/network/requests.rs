//! A client that sends many requests over a few connections, as fast as the answers come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The longest wait for bytes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every answer must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) status: u16,
    /// The bytes of the body.
    pub(super) length: u64,
}

/// One connection that is kept.
pub(super) struct Connection {
    reader: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    pub(super) fn to(address: &str, patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        Ok(Self { reader: BufReader::with_capacity(64 << 10, stream), line: String::new(), body: vec![0; 256 << 10] })
    }

    /// Sends a request, and reads the answer to its end.
    pub(super) fn ask(&mut self, path: &str, headers: &str, expected: Expected) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n");
        self.reader.get_mut().write_all(request.as_bytes())?;
        let (mut status, mut length) = (0, 0_u64);
        loop {
            self.line.clear();
            ensure!(self.reader.read_line(&mut self.line)? > 0, "the server closed the connection");
            let line = self.line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            } else if line.starts_with("http/") {
                status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        // A 304 may tell the length of what it does not send.
        let mut left = if status == 304 { 0 } else { length };
        ensure!(status == expected.status && left == expected.length, "{path}: {status} with {left} bytes");
        while left > 0 {
            let most = self.body.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = self.reader.read(&mut self.body[..most])?;
            ensure!(read > 0, "the body ends early");
            left -= read as u64;
        }
        Ok(())
    }
}

/// Lets every connection send its requests, which differ by connection and number, at the same time. Returns how long
/// that took, without connecting.
pub(super) fn together(
    address: &str,
    connections: usize,
    requests: usize,
    ask: impl Fn(&mut Connection, usize, usize) -> Result<()> + Sync,
) -> Result<Duration> {
    let mut ready = (0..connections).map(|_| Connection::to(address, PATIENCE)).collect::<Result<Vec<_>>>()?;
    let since = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = ready
            .iter_mut()
            .enumerate()
            .map(|(place, connection)| {
                let ask = &ask;
                scope.spawn(move || (0..requests).try_for_each(|number| ask(connection, place, number)))
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker returns its error"))
    })?;
    Ok(since.elapsed())
}
