//! A stream with one JSON document per line, for the Streams API of browsers.
//!
//! A client gets the current state, then a line per change, never a backlog: at least 100 ms pass between two lines of
//! one document, and the next line contains everything that has changed. An empty line every 10 s shows that the stream
//! is alive. The stream ends at shutdown.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pixelrts_shared::DownloadId;
use pixelrts_shared::download::Download;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const HEARTBEAT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// `now` lists the documents, and `changes` signals when to list them again. The stream ends once `ends` is true for a
/// list that has been sent.
pub(super) fn lines(
    now: impl Fn() -> Vec<Download> + Send + 'static,
    changes: watch::Receiver<u64>,
    ends: impl Fn(&[Download]) -> bool + Send + 'static,
    shutdown: CancellationToken,
) -> Response {
    let reader = Reader { now, changes, ends, shutdown, sent: HashMap::new(), over: false };
    let body = Body::from_stream(stream::unfold(reader, |mut reader| async move {
        let lines = reader.next().await?;
        Some((Ok::<_, Infallible>(lines), reader))
    }));
    ([(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")], body).into_response()
}

struct Reader<N, E> {
    now: N,
    changes: watch::Receiver<u64>,
    ends: E,
    shutdown: CancellationToken,
    sent: HashMap<DownloadId, Download>,
    over: bool,
}

impl<N: Fn() -> Vec<Download>, E: Fn(&[Download]) -> bool> Reader<N, E> {
    async fn next(&mut self) -> Option<String> {
        let first = self.sent.is_empty();
        loop {
            if self.over {
                return None;
            }
            self.changes.borrow_and_update();
            let list = (self.now)();
            self.over = (self.ends)(&list);
            let lines = self.fresh(list);
            if !lines.is_empty() {
                return Some(lines);
            }
            let changed = tokio::time::timeout(HEARTBEAT, self.changes.changed());
            match self.shutdown.run_until_cancelled(changed).await {
                Some(Ok(Ok(()))) if !first => self.shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await?,
                Some(Ok(Ok(()))) => {}
                Some(Err(_)) => return Some("\n".to_owned()),
                Some(Ok(Err(_))) | None => return None,
            }
        }
    }

    /// One line for each document that has changed since it was sent.
    fn fresh(&mut self, list: Vec<Download>) -> String {
        let mut lines = String::new();
        for download in list {
            if self.sent.get(&download.id) != Some(&download) {
                lines += &serde_json::to_string(&download).expect("wire types are plain data");
                lines.push('\n');
                self.sent.insert(download.id.clone(), download);
            }
        }
        lines
    }
}
