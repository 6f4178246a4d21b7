//! A plain web server, such as one that offers a catalog as files. A story can let it send wrong bytes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};

use crate::{Home, LINUX, Serve, sample};

/// Serves files from memory, one request per connection, until it is dropped.
#[derive(Debug)]
pub struct StaticServer {
    pub url: String,
    state: Arc<State>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    /// The content of each path; paths begin with a slash.
    files: HashMap<String, Vec<u8>>,
    requests: Mutex<Vec<String>>,
    stopped: AtomicBool,
}

impl StaticServer {
    pub fn start(files: HashMap<String, Vec<u8>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State { files, requests: Mutex::default(), stopped: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::Relaxed) {
                    break;
                }
                // A client may go away in the middle.
                let _ = shared.answer(&stream);
            }
        });
        Ok(Self { url, state, thread: Some(thread) })
    }

    /// Offers the Linux sample under its true digest, but with one bit of the file flipped.
    pub async fn with_one_wrong_byte() -> Result<Self> {
        let path = sample(LINUX)?;
        let home = Home::new()?;
        let honest = Serve::catalog(&home, path.parent().expect("a file is in a folder")).await?;
        let mut catalog = honest.own_catalog().await?;
        catalog.entries.retain(|entry| LINUX.starts_with(entry.id.as_str()));
        ensure!(catalog.entries.len() == 1, "{catalog:?}");
        catalog.entries[0].url = Some(LINUX.to_owned());
        let mut image = std::fs::read(path)?;
        let middle = image.len() / 2;
        image[middle] ^= 1;
        let files = [("/catalog.json".to_owned(), serde_json::to_vec(&catalog)?), (format!("/{LINUX}"), image)];
        Self::start(HashMap::from(files))
    }

    /// The paths that were requested, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().expect("no holder of it panics").clone()
    }
}

impl State {
    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.take(16 * 1024)).lines();
        let line = lines.next().transpose()?.unwrap_or_default();
        while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let (status, body) = match self.files.get(&path) {
            Some(content) => ("200 OK", content.as_slice()),
            None => ("404 Not Found", b"".as_slice()),
        };
        // A browser finds the type of a picture by itself.
        let kind = if path.ends_with(".html") { "text/html" } else { "application/json" };
        self.requests.lock().expect("no holder of it panics").push(path);
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len())?;
        write!(stream, "Content-Type: {kind}\r\nConnection: close\r\n\r\n")?;
        stream.write_all(if line.starts_with("HEAD") { b"" } else { body })
    }
}

impl Drop for StaticServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, which then sees that it must end.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
