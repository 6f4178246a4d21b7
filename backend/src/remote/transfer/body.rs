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

use super::course::Course;
use super::inflate::Inflate;
use super::rate::{Rate, measured_over};
use super::response::Part;
use super::{Failure, Tell, Try};
use crate::cache::Partial;
use crate::image;
use crate::remote::address::shown;
use crate::remote::error::{Kind, RemoteError, Sent, cause};
use crate::remote::web_page;
use crate::task;

/// Bytes are written in pieces of this size...
const PIECE: usize = 1 << 20;
/// ...or after this time, so that a process that is killed has to ask again for little.
const WRITE_EVERY: Duration = Duration::from_millis(20);
/// On a slow line progress is told so often.
const TELL_EVERY: Duration = Duration::from_millis(200);
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

/// What became of a body.
pub(super) struct Received {
    pub(super) ended: Result<End, Failure>,
    /// Where in the image the bytes end that came.
    pub(super) reached: u64,
}

/// Takes the bytes of this part. Those that have come before a failure are in the file. `course` follows an image that
/// nobody has promised.
pub(super) async fn receive(
    this: &Try<'_>,
    response: &mut Response,
    part: &Part,
    course: &mut Course,
    tell: &mut impl Tell,
) -> Received {
    let (pieces, mut to_write) = mpsc::channel(UNWRITTEN);
    let (partial, whole) = (this.partial.clone(), part.whole);
    let writing = task::blocking(move || partial.append_all(std::iter::from_fn(|| to_write.blocking_recv()), whole));
    let mut receiver = Receiver {
        this,
        course,
        at: part.from,
        missing_from: this.partial.received(),
        end: [part.until, part.whole].into_iter().flatten().min(),
        first: (part.from == 0).then(Vec::new),
        piece: Vec::new(),
        pieces: Some(pieces),
        inflate: Inflate::new(part.compressed),
    };
    let (written, ended) = tokio::join!(writing, receiver.run(response, part.whole, tell));
    tell(this.partial.received(), part.whole);
    // A write that failed is also the reason why nothing more was received.
    let ended = written.map_err(|error| this.failed(Kind::Cache(error))).and(ended);
    Received { ended, reached: receiver.at }
}

struct Receiver<'a, 'b> {
    this: &'a Try<'b>,
    course: &'a mut Course,
    /// Where the next byte of the body belongs.
    at: u64,
    missing_from: u64,
    end: Option<u64>,
    /// The first bytes of the image, until it is known that they are those of an image.
    first: Option<Vec<u8>>,
    /// What was not handed over to the thread that writes.
    piece: Vec<Bytes>,
    /// Until nothing more comes.
    pieces: Option<mpsc::Sender<Vec<Bytes>>>,
    inflate: Inflate,
}

impl Receiver<'_, '_> {
    async fn run(&mut self, response: &mut Response, whole: Option<u64>, tell: &mut impl Tell) -> Result<End, Failure> {
        let ended = self.receive(response, whole, tell).await;
        // The thread that writes ends with the last piece.
        self.pieces = None;
        ended
    }

    async fn receive(
        &mut self,
        response: &mut Response,
        whole: Option<u64>,
        tell: &mut impl Tell,
    ) -> Result<End, Failure> {
        let timing = self.this.timing;
        let mut rate = Rate::new(timing, Instant::now());
        let (mut heard, mut written_at, mut told_at) = (Instant::now(), Instant::now(), Instant::now());
        let mut told = self.this.partial.received();
        let ended = loop {
            if self.is_at_end() {
                break Ok(End::OfPart);
            }
            let silent_at = heard + timing.stall;
            // What has come is written and told a moment later, also on a silent line.
            let write_at = (!self.piece.is_empty()).then_some(written_at + WRITE_EVERY);
            let tell_at = (told < self.at).then_some(told_at + TELL_EVERY);
            let wake = [write_at, tell_at].into_iter().flatten().fold(silent_at, Instant::min);
            let chunk = match timeout_at(wake.into(), response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => match self.inflate.finish() {
                    Ok(rest) => {
                        self.take(rest, whole, response).await?;
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
            let (mut is_written, mut is_far) = (true, tell_at.is_some_and(|at| now >= at));
            while let Some(bytes) = self.inflate.next().filter(|_| is_written && !self.is_at_end()) {
                let bytes = match bytes {
                    Ok(bytes) => bytes,
                    Err(kind) => {
                        self.hand_over().await;
                        return Err(self.this.failed(kind));
                    }
                };
                self.take(bytes, whole, response).await?;
                if self.gathered() >= PIECE {
                    is_written = self.hand_over().await;
                    (written_at, is_far) = (now, true);
                }
            }
            if write_at.is_some_and(|at| now >= at) {
                is_written = is_written && self.hand_over().await;
                written_at = now;
            }
            if is_far {
                told_at = now;
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
    async fn take(&mut self, mut chunk: Bytes, whole: Option<u64>, response: &mut Response) -> Result<(), Failure> {
        let left = self.end.map_or(u64::MAX, |end| end - self.at);
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(first) = &mut self.first {
            let more = image::ENOUGH.saturating_sub(first.len()).min(chunk.len());
            first.extend_from_slice(&chunk[..more]);
        }
        if self.this.promise.is_none() {
            self.course.feed(self.at, &chunk);
        }
        let known = self.missing_from.saturating_sub(self.at);
        self.at += chunk.len() as u64;
        if known < chunk.len() as u64 {
            self.piece.push(chunk.split_off(usize::try_from(known).unwrap_or_default()));
        }
        self.check_first(false, response).await?;
        match self.this.promise {
            None if self.first.is_none() => self.check_course(whole).await,
            None | Some(_) => Ok(()),
        }
    }

    /// Refuses what goes on behind the end of an image, or is none. Makes room once the image has said its size.
    async fn check_course(&mut self, whole: Option<u64>) -> Result<(), Failure> {
        let this = self.this;
        if self.at > this.limit {
            return Err(this.too_large(None));
        }
        if let Some(kind) = self.course.fault(self.at, whole.is_some()) {
            return Err(Failure::NoImage(RemoteError::new(&this.mirror.endpoint.name, kind)));
        }
        if let Some(size) = self.course.size().filter(|_| whole.is_none() && !self.course.has_room) {
            if size > this.limit {
                return Err(this.too_large(Some(size)));
            }
            self.course.has_room = true;
            let partial = this.partial.clone();
            let made = task::blocking(move || partial.make_room(size)).await;
            made.map_err(|error| this.failed(Kind::Cache(error)))?;
        }
        Ok(())
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
        match &self.pieces {
            Some(pieces) => pieces.send(std::mem::take(&mut self.piece)).await.is_ok(),
            None => false,
        }
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
