//! Receiving the body of a response into a partial file.
//!
//! The task that receives gathers what comes into large pieces. A thread writes them, and another one hashes what is
//! written. Bytes that are here already are skipped, and nothing is taken beyond the size of the image. The first bytes
//! of the image are looked at before they are written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Response;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

use super::inflate::Inflate;
use super::rate::{Rate, measured_over};
use super::response::Part;
use super::{Failure, Tell, Try};
use crate::cache::Partial;
use crate::image;
use crate::remote::address::shown;
use crate::remote::error::{Kind, Sent, cause};
use crate::remote::web_page;
use crate::task;

/// Bytes are written in pieces of this size...
const PIECE: usize = 1 << 20;
/// ...or after this time, so that progress on a slow line is seen and survives the end of the process.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// Pieces that may wait to be written. A process that is killed loses these and the one that is being gathered.
const UNWRITTEN: usize = 2;
/// So much of a web page is read for its title, and for so long.
const PAGE: usize = 16 << 10;
const PAGE_WITHIN: Duration = Duration::from_secs(2);

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the last byte of the part.
    OfPart,
    /// Of itself, without an error.
    OfBody,
}

/// Takes the bytes of this part. Those that have come before a failure are in the file.
pub(super) async fn receive(
    this: &Try<'_>,
    response: &mut Response,
    part: &Part,
    tell: &mut impl Tell,
) -> Result<End, Failure> {
    let (pieces, mut to_write) = mpsc::channel(UNWRITTEN);
    let (partial, whole) = (this.partial.clone(), part.whole);
    let writing = task::blocking(move || partial.append_all(std::iter::from_fn(|| to_write.blocking_recv()), whole));
    let receiver = Receiver {
        this,
        at: part.from,
        missing_from: this.partial.received(),
        end: [part.until, part.whole].into_iter().flatten().min(),
        first: (part.from == 0).then(Vec::new),
        piece: Vec::new(),
        pieces,
        inflate: Inflate::new(part.compressed),
    };
    let (written, received) = tokio::join!(writing, receiver.run(response, part.whole, tell));
    tell(this.partial.received(), part.whole);
    // A write that failed is also the reason why nothing more was received.
    written.map_err(|error| this.failed(Kind::Cache(error)))?;
    received
}

struct Receiver<'a, 'b> {
    this: &'a Try<'b>,
    /// Where the next byte of the body belongs.
    at: u64,
    missing_from: u64,
    end: Option<u64>,
    /// The first bytes of the image, until it is known that they are those of an image.
    first: Option<Vec<u8>>,
    /// What was not handed over to the thread that writes.
    piece: Vec<Bytes>,
    pieces: mpsc::Sender<Vec<Bytes>>,
    inflate: Inflate,
}

impl Receiver<'_, '_> {
    async fn run(mut self, response: &mut Response, whole: Option<u64>, tell: &mut impl Tell) -> Result<End, Failure> {
        let timing = self.this.timing;
        let mut rate = Rate::new(timing, Instant::now());
        let (mut heard, mut flushed) = (Instant::now(), Instant::now());
        let mut told = self.this.partial.received();
        let ended = loop {
            if self.is_at_end() {
                break Ok(End::OfPart);
            }
            let silent_at = heard + timing.stall;
            // The thread that writes is behind, so what it has written is told a moment later, also on a silent line.
            let wake = if told < self.at { silent_at.min(flushed + FLUSH_EVERY) } else { silent_at };
            let chunk = match timeout_at(wake.into(), response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => match self.inflate.finish() {
                    Ok(rest) => {
                        self.take(rest, response).await?;
                        break if self.is_at_end() { Ok(End::OfPart) } else { Ok(End::OfBody) };
                    }
                    Err(kind) => break Err(self.this.failed(kind)),
                },
                Ok(Err(error)) => {
                    let sent = Sent { url: response.url(), proxy: None, limit: timing.stall };
                    break Err(self.this.failed(cause(&error, sent)));
                }
                Err(_) if Instant::now() >= silent_at => break Err(self.this.failed(Kind::Stalled(timing.stall))),
                Err(_) => Bytes::new(),
            };
            let now = Instant::now();
            if !chunk.is_empty() {
                heard = now;
                let slow = rate.record(now, chunk.len() as u64).filter(|_| self.this.hurries);
                if let Some(bytes_per_second) = slow {
                    let over = measured_over(&timing);
                    break Err(self.this.failed(Kind::TooSlow { bytes_per_second, over }));
                }
                self.inflate.push(chunk);
            }
            let mut is_written = true;
            while let Some(bytes) = self.inflate.next().filter(|_| is_written && !self.is_at_end()) {
                let bytes = match bytes {
                    Ok(bytes) => bytes,
                    Err(kind) => {
                        self.hand_over().await;
                        return Err(self.this.failed(kind));
                    }
                };
                self.take(bytes, response).await?;
                is_written = self.gathered() < PIECE || self.hand_over().await;
            }
            if told < self.at && now.duration_since(flushed) >= FLUSH_EVERY {
                is_written = is_written && self.hand_over().await;
                flushed = now;
                told = self.this.partial.received();
                tell(told, whole);
            }
            if !is_written {
                break Ok(End::OfBody);
            }
        };
        self.check_first(true, response).await?;
        self.hand_over().await;
        ended
    }

    fn gathered(&self) -> usize {
        self.piece.iter().map(Bytes::len).sum()
    }

    fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.at >= end)
    }

    /// Keeps what is missing of a chunk.
    async fn take(&mut self, mut chunk: Bytes, response: &mut Response) -> Result<(), Failure> {
        let left = self.end.map_or(u64::MAX, |end| end - self.at);
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(first) = &mut self.first {
            let more = image::ENOUGH.saturating_sub(first.len()).min(chunk.len());
            first.extend_from_slice(&chunk[..more]);
        }
        let known = self.missing_from.saturating_sub(self.at);
        self.at += chunk.len() as u64;
        if known < chunk.len() as u64 {
            self.piece.push(chunk.split_off(usize::try_from(known).unwrap_or_default()));
        }
        if self.this.promise.is_none() && self.at > self.this.limit {
            return Err(self.this.too_large(None));
        }
        self.check_first(false, response).await
    }

    /// Refuses what does not begin as an image does, once enough is known, or now.
    async fn check_first(&mut self, now: bool, response: &mut Response) -> Result<(), Failure> {
        let Some(first) = self.first.take_if(|first| now || first.len() >= image::ENOUGH) else { return Ok(()) };
        if first.is_empty() {
            return Ok(());
        }
        match refused(&first, response).await {
            Some(kind) => {
                self.piece.clear();
                Err(self.this.failed(kind))
            }
            None => Ok(()),
        }
    }

    /// False when nothing can be written any more.
    async fn hand_over(&mut self) -> bool {
        // Bytes that may be anything are not written.
        if self.piece.is_empty() || self.first.is_some() {
            return true;
        }
        self.pieces.send(std::mem::take(&mut self.piece)).await.is_ok()
    }
}

/// Why these first bytes are not those of an image. More of a web page is read, for its title.
async fn refused(first: &[u8], response: &mut Response) -> Option<Kind> {
    if !web_page::is_web_page(first) {
        return image::foreign(first).map(Kind::AnotherPicture);
    }
    let mut page = first.to_vec();
    let more = async {
        while page.len() < PAGE && !page.to_ascii_lowercase().windows(8).any(|tag| tag == b"</title>") {
            let Ok(Some(chunk)) = response.chunk().await else { break };
            page.extend_from_slice(&chunk);
        }
    };
    let _ = timeout(PAGE_WITHIN, more).await;
    Some(Kind::WebPage { address: shown(response.url()), title: web_page::title(&page) })
}

/// What a body is that has another size than the catalog of its server announces, where its first bytes tell.
pub(super) async fn look(response: &mut Response, within: Duration) -> Option<Kind> {
    let mut first = Vec::new();
    let reading = async {
        while first.len() < image::ENOUGH {
            let Ok(Some(chunk)) = response.chunk().await else { break };
            first.extend_from_slice(&chunk);
        }
    };
    let _ = timeout(within, reading).await;
    if first.is_empty() {
        return None;
    }
    match refused(&first, response).await {
        None if image::is_remade(&first) => Some(Kind::AnotherPicture(REMADE)),
        refused => refused,
    }
}

/// What a complete file is whose digest is another one, where its first bytes tell.
pub(in crate::remote) fn remade(partial: &Arc<Partial>) -> Option<Kind> {
    let first = partial.first(64 << 10).ok()?;
    image::is_remade(&first).then_some(Kind::AnotherPicture(REMADE))
}

const REMADE: &str = "not those of the image any more: another program has written this picture anew";
