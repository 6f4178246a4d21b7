//! Segments as block devices: a read-only NBD server on a Unix socket.
//!
//! QEMU gets its disks from here and not from the mount: it survives a server that hangs or goes, and waits for one
//! that comes back, where a file on a dead mount is lost for good and a hung one cannot even be killed. An export has
//! the name of its segment; the empty name is the first disk. Nothing a client says is trusted: names, lengths and
//! offsets are checked, what it costs is bounded, and wrong bytes of the image become EIO for that read alone.

mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pixelrts_shared::catalog::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::errno;
use crate::image::{Image, Segment};
use crate::task::{Scope, blocking};
use wire::{Answer, Ask, Command, OptionHead, Replies, Request};

/// From the connection to the first read; a client on the same computer needs no time at all.
const NEGOTIATION: Duration = Duration::from_secs(10);
/// A client makes a few, one per thread.
const CONNECTIONS: usize = 16;
/// The protocol's bound on names is 4096 bytes.
const OPTION_MOST: u32 = 8 << 10;

/// Serves every segment of the image until the scope ends.
pub async fn serve(listener: UnixListener, image: Arc<Image>, scope: Scope) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // All connections together hold no more than one largest read.
    let memory = Arc::new(Semaphore::new(wire::MOST as usize));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors: some will be closed.
                tracing::warn!(%error, "no connection to a disk can be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let export = Export { image: Arc::clone(&image), memory: Arc::clone(&memory), scope: scope.clone() };
        scope.spawn(async move {
            if let Err(error) = export.attend(stream).await {
                tracing::debug!(%error, "a connection to a disk ended");
            }
            drop(place);
        });
    }
}

/// What one connection works on.
struct Export {
    image: Arc<Image>,
    /// A permit per byte of replies under way.
    memory: Arc<Semaphore>,
    scope: Scope,
}

impl Export {
    async fn attend(self, stream: UnixStream) -> io::Result<()> {
        let (mut from, mut to) = stream.into_split();
        let chosen = timeout(NEGOTIATION, self.negotiate(&mut from, &mut to)).await??;
        match chosen {
            Some((segment, replies)) => self.transmit(segment, replies, from, to).await,
            None => Ok(()),
        }
    }

    /// Talks until the client has chosen a segment, or does not want any.
    async fn negotiate(
        &self,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
    ) -> io::Result<Option<(Segment, Replies)>> {
        let mut replies = Replies::Simple;
        to.write_all(&wire::GREETING).await?;
        let padded = from.read_u32().await? & wire::NO_ZEROES == 0;
        loop {
            let mut head = [0; wire::OPTION_HEAD];
            from.read_exact(&mut head).await?;
            let OptionHead { option, length } = OptionHead::parse(&head).ok_or(io::ErrorKind::InvalidData)?;
            if length > OPTION_MOST {
                to.write_all(&Answer::TooLong.bytes(option)).await?;
                return Ok(None);
            }
            let mut data = vec![0; length as usize];
            from.read_exact(&mut data).await?;
            let mut answers = Vec::new();
            match Ask::parse(option, &data) {
                Ask::Begin { name } => {
                    let Some(segment) = self.find(name) else { return Ok(None) };
                    let mut begun = wire::size_and_flags(segment.size).to_vec();
                    begun.resize(begun.len() + if padded { 124 } else { 0 }, 0);
                    to.write_all(&begun).await?;
                    return Ok(Some((segment.clone(), replies)));
                }
                Ask::Abort => {
                    to.write_all(&Answer::Done.bytes(option)).await?;
                    return Ok(None);
                }
                Ask::List => {
                    answers.extend(self.image.segments().iter().map(|segment| Answer::Export { name: &segment.name }));
                    answers.push(Answer::Done);
                }
                Ask::About { name, begin } => match self.find(name) {
                    Some(segment) => {
                        answers.extend([Answer::Size { bytes: segment.size }, Answer::BlockSizes, Answer::Done]);
                        if begin {
                            write_answers(to, option, &answers).await?;
                            return Ok(Some((segment.clone(), replies)));
                        }
                    }
                    None => answers.push(Answer::NoSuchExport),
                },
                Ask::StructuredReplies => {
                    replies = Replies::Structured;
                    answers.push(Answer::Done);
                }
                Ask::Malformed => answers.push(Answer::Invalid),
                Ask::Unknown => answers.push(Answer::Unsupported),
            }
            write_answers(to, option, &answers).await?;
        }
    }

    fn find(&self, name: &str) -> Option<&Segment> {
        if name.is_empty() {
            return self.image.first(Role::Disk).or_else(|| self.image.segments().first());
        }
        self.image.segment(name)
    }

    /// Answers requests, several at a time and each when it is ready.
    async fn transmit(
        self,
        segment: Segment,
        replies: Replies,
        mut from: OwnedReadHalf,
        to: OwnedWriteHalf,
    ) -> io::Result<()> {
        let (segment, to) = (Arc::new(segment), Arc::new(Mutex::new(to)));
        // Ends what is under way with the connection.
        let reads = self.scope.child();
        let _ends = reads.token().clone().drop_guard();
        loop {
            let mut bytes = [0; wire::REQUEST];
            from.read_exact(&mut bytes).await?;
            let request = Request::parse(&bytes).ok_or(io::ErrorKind::InvalidData)?;
            let Request { command, cookie, offset, length } = request;
            let fits = offset.checked_add(u64::from(length)).is_some_and(|end| end <= segment.size);
            let error = match command {
                Command::Disconnect => return Ok(()),
                Command::Read if fits && length <= wire::MOST => {
                    let permits = Arc::clone(&self.memory).acquire_many_owned(length).await;
                    let room = permits.expect("the semaphore is never closed");
                    let (image, segment, to) = (Arc::clone(&self.image), Arc::clone(&segment), Arc::clone(&to));
                    reads.spawn(async move {
                        let answer = blocking(move || read(&image, &segment, offset, length)).await;
                        let (head, bytes) = match answer {
                            Ok(bytes) => (replies.read(cookie, offset, length), bytes),
                            Err(error) => (replies.failed(cookie, error), Vec::new()),
                        };
                        // Whoever does not take it has gone; the reading side sees that.
                        let _ = write_reply(&to, &head, &bytes).await;
                        drop(room);
                    });
                    continue;
                }
                Command::Read => {
                    write_reply(&to, &replies.failed(cookie, errno::nbd::INVALID), &[]).await?;
                    continue;
                }
                Command::Cache if !fits => errno::nbd::INVALID,
                Command::Cache | Command::Flush => 0,
                Command::Write => {
                    skip(&mut from, length).await?;
                    errno::nbd::CHANGE
                }
                Command::Change => errno::nbd::CHANGE,
                Command::Unknown => errno::nbd::INVALID,
            };
            write_reply(&to, &wire::simple(cookie, error), &[]).await?;
        }
    }
}

/// The bytes, or the error number for the client.
fn read(image: &Image, segment: &Segment, offset: u64, length: u32) -> Result<Vec<u8>, u32> {
    let mut bytes = vec![0; length as usize];
    match image.read_at(segment, &mut bytes, offset) {
        Ok(count) if count == bytes.len() => Ok(bytes),
        Ok(_) => Err(errno::nbd::INVALID),
        Err(error) => {
            tracing::warn!(%error, segment = segment.name, offset, "a disk cannot be read");
            Err(errno::nbd::of(&error))
        }
    }
}

/// One reply after the other: their parts must not mix.
async fn write_reply(to: &Mutex<OwnedWriteHalf>, head: &[u8], bytes: &[u8]) -> io::Result<()> {
    let mut to = to.lock().await;
    to.write_all(head).await?;
    to.write_all(bytes).await
}

async fn write_answers(to: &mut OwnedWriteHalf, option: u32, answers: &[Answer<'_>]) -> io::Result<()> {
    to.write_all(&answers.iter().flat_map(|answer| answer.bytes(option)).collect::<Vec<_>>()).await
}

/// Reads over bytes that nobody may write.
async fn skip(from: &mut OwnedReadHalf, length: u32) -> io::Result<()> {
    let skipped = tokio::io::copy(&mut from.take(u64::from(length)), &mut tokio::io::sink()).await?;
    if skipped == u64::from(length) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests;
