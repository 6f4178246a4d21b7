//! A server for tests that does what no server should do. The test decides each answer byte by byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use crate::task::Scope;

/// What the server sends, and what it does afterwards.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Keeps the connection open and sends nothing more.
    pub(crate) hang: bool,
}

impl Answer {
    /// A status line, headers, and a body of its length.
    pub(crate) fn new(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n", body.len());
        Self { head, body: body.to_owned(), hang: false }
    }

    /// The same head, but the body ends here.
    pub(crate) fn cut(mut self, at: usize) -> Self {
        self.body.truncate(at);
        self
    }

    pub(crate) fn hanging(mut self) -> Self {
        self.hang = true;
        self
    }
}

/// Stops when it is dropped.
pub(crate) struct FaultyServer {
    pub(crate) url: Url,
    /// The heads of the requests, in lower case.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    scope: Scope,
}

impl FaultyServer {
    /// `answer` gets the number of the request, from 0, and its head.
    pub(crate) async fn start(answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (scope, requests) = (Scope::new(), Arc::new(Mutex::new(Vec::new())));
        let (tasks, seen, answer) = (scope.clone(), requests.clone(), Arc::new(answer));
        scope.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tasks.spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.ok()?);
                    }
                    let head = String::from_utf8(head).ok()?.to_lowercase();
                    let number = {
                        let mut seen: std::sync::MutexGuard<'_, Vec<String>> = seen.lock().unwrap();
                        seen.push(head.clone());
                        seen.len() - 1
                    };
                    let Answer { head, body, hang } = answer(number, &head);
                    stream.write_all(head.as_bytes()).await.ok()?;
                    stream.write_all(&body).await.ok()?;
                    if hang {
                        std::future::pending::<()>().await;
                    }
                    stream.shutdown().await.ok()
                });
            }
        });
        Self { url, requests, scope }
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.scope.token().cancel();
    }
}

/// An address where nothing listens.
pub(crate) async fn unused_address() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap()
}
