//! A request: what the server reads of it, and what its path asks for.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A head that is larger is no request of ours.
const LARGEST: usize = 64 << 10;

/// The head of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Which request of its fault it is, from 1. Catalogs and images are counted apart.
    pub number: usize,
    /// It came to the second port.
    pub elsewhere: bool,
}

impl Request {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The path without its query.
    #[must_use]
    pub fn plain_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.path.split_once('?').map(|(_, query)| query)
    }

    #[must_use]
    pub fn is_for_catalog(&self) -> bool {
        let path = self.plain_path();
        path.ends_with("/catalog") || path.ends_with("/catalog.json")
    }

    /// The fault that the path names, with the numbers that belong to it: `short206`, `mix/7/20`.
    #[must_use]
    pub fn fault(&self) -> String {
        let mut parts = self.plain_path().trim_start_matches('/').split('/');
        let name = parts.next().unwrap_or_default().to_owned();
        // What follows the fault in a path never begins with a digit.
        let numbers = parts.take_while(|part| part.starts_with(|first: char| first.is_ascii_digit()));
        numbers.fold(name, |fault, number| format!("{fault}/{number}"))
    }

    /// The name of the fault alone, and its numbers.
    pub(super) fn fault_words(&self) -> (String, Vec<u64>) {
        let fault = self.fault();
        let mut words = fault.split('/');
        let name = words.next().unwrap_or_default().to_owned();
        (name, words.filter_map(|word| word.parse().ok()).collect())
    }

    /// The bytes that are asked for, of `size`; `None` when all are. The range may begin behind the end.
    #[must_use]
    pub fn range(&self, size: usize) -> Option<Range<usize>> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let first = first.parse().ok()?;
        let end = last.parse().map_or(size, |last: usize| last.saturating_add(1).min(size));
        (first >= size || first < end).then_some(first..end)
    }
}

/// Waits for the next head, and leaves it unread. Returns it with its length; `None` when the client has closed the
/// connection or the server was stopped.
pub(super) fn peek(stream: &TcpStream, stopped: &AtomicBool) -> io::Result<Option<(Request, usize)>> {
    let mut buffer = vec![0; LARGEST];
    loop {
        if stopped.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let read = match stream.peek(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(read) => read,
            Err(error) if is_patience(&error) => continue,
            Err(error) => return Err(error),
        };
        if let Some(end) = buffer[..read].windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]);
            let request = parse(&head).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, head.into_owned()))?;
            return Ok(Some((request, end + 4)));
        }
        if read == LARGEST {
            return Err(io::Error::new(ErrorKind::InvalidData, "a head without an end"));
        }
        // What was peeked at is peeked at again at once.
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn consume(mut stream: &TcpStream, length: usize) -> io::Result<()> {
    stream.read_exact(&mut vec![0; length])
}

/// Only the time of a socket's read or write was over.
pub(super) fn is_patience(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn parse(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Some(Request { method, path, headers, ..Request::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(path: &str, headers: &str) -> Request {
        parse(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}")).unwrap()
    }

    #[test]
    fn a_path_names_the_fault_with_its_numbers() {
        for (path, fault, catalog) in [
            ("/short206/x.rts.png", "short206", false),
            ("/mix/7/20/x.rts.png?sig=1", "mix/7/20", false),
            ("/mix/7/20/api/v1/catalog", "mix/7/20", true),
            ("/cats3/catalog.json?x=/y", "cats3", true),
            ("/x.rts.png", "x.rts.png", false),
            ("/", "", false),
        ] {
            let request = asking(path, "");
            assert_eq!((request.fault().as_str(), request.is_for_catalog()), (fault, catalog), "{path}");
        }
        assert_eq!(asking("/mix/7/20/x", "").fault_words(), ("mix".to_owned(), vec![7, 20]));
    }

    #[test]
    fn a_range_is_read_as_far_as_the_file_goes() {
        let range = |text: &str| asking("/x", &format!("Range: {text}")).range(10);
        assert_eq!(range("bytes=0-"), Some(0..10));
        assert_eq!(range("bytes=3-5"), Some(3..6));
        assert_eq!(range("bytes=3-99"), Some(3..10));
        assert_eq!(range("bytes=10-"), Some(10..10));
        assert_eq!(range("bytes=5-3"), None);
        assert_eq!(range("bytes=x-3"), None);
        assert_eq!(asking("/x", "").range(10), None);
    }
}
