//! Segments as block devices: a read-only NBD server on a Unix socket.
//!
//! QEMU gets its disks from here and not from the mount. It survives an NBD server that hangs or ends, and waits until the
//! server is back; a file on a dead mount is lost for good, and a process that waits for a hung mount cannot be killed.
//! An export has the name of its segment, and the empty name is the first disk. Nothing that a client sends is trusted:
//! names, lengths and offsets are checked, its use of memory is limited, and wrong bytes of the image become EIO for that
//! read only.

mod reply;
mod wire;

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pixelrts_shared::catalog::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::time::timeout;

use super::read_pool::{ReadError, ReadPool};
use super::{MountError, errno};
use crate::image::{Image, Segment};
use crate::task::Scope;
use reply::Replies;
use wire::{ClientOption, Command, OptionHead, OptionReply, Request};

/// From the connection to the first read. A client on the same computer takes milliseconds.
const NEGOTIATE_WITHIN: Duration = Duration::from_secs(10);
/// A client opens a few connections, one per thread.
const MAX_CONNECTIONS: usize = 16;
/// Reads of one connection that may be under way; QEMU has 16.
const MAX_READS: u32 = 64;
/// The protocol limits names to 4096 bytes.
const MAX_OPTION: u32 = 8 << 10;

/// The segments of an image, and the threads that decode them.
#[derive(Debug)]
pub struct Disks {
    image: Arc<Image>,
    reader: ReadPool,
    /// One permit for each byte that replies under way hold. All connections together hold at most one largest read.
    memory: Arc<Semaphore>,
}

impl Disks {
    /// Starts the threads that decode.
    pub fn new(image: Arc<Image>) -> Result<Self, MountError> {
        let reader = ReadPool::new(Arc::clone(&image)).map_err(MountError::Threads)?;
        Ok(Self { image, reader, memory: Arc::new(Semaphore::new(wire::MOST as usize)) })
    }

    /// Serves every segment of the image until the scope ends.
    pub async fn serve(self, listener: UnixListener, scope: Scope) {
        let (disks, places) = (Arc::new(self), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
        loop {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // This process is out of descriptors. Some will be closed.
                    tracing::warn!(%error, "a connection to a disk cannot be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let export = Export { disks: Arc::clone(&disks), scope: scope.clone() };
            scope.spawn(async move {
                if let Err(error) = export.serve(stream).await {
                    tracing::debug!(%error, "a connection to a disk ended");
                }
                drop(place);
            });
        }
    }

    fn find(&self, name: &str) -> Option<&Segment> {
        if name.is_empty() {
            return self.image.first(Role::Disk).or_else(|| self.image.segments().first());
        }
        self.image.segment(name)
    }

    /// The verified bytes of a range; `None` when the disks are dropped.
    async fn read(&self, segment: &Arc<Segment>, range: Range<u64>) -> Option<Result<Vec<Bytes>, ReadError>> {
        let (to, pieces) = oneshot::channel();
        // This fails when the client has gone.
        self.reader.read(segment, range, |outcome| drop(to.send(outcome)));
        pieces.await.ok()
    }
}

/// What a client has chosen to read, and how it gets its replies.
struct Chosen {
    segment: Segment,
    replies: Replies,
    /// It may request extents.
    allocation: bool,
}

/// The server's side of one connection.
struct Export {
    disks: Arc<Disks>,
    scope: Scope,
}

impl Export {
    async fn serve(self, stream: UnixStream) -> io::Result<()> {
        let (mut from, mut to) = stream.into_split();
        let chosen = timeout(NEGOTIATE_WITHIN, self.negotiate(&mut from, &mut to)).await??;
        match chosen {
            Some(chosen) => self.transmit(chosen, from, to).await,
            None => Ok(()),
        }
    }

    /// Negotiates until the client has chosen a segment, or ends.
    async fn negotiate(&self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) -> io::Result<Option<Chosen>> {
        let mut replies = Replies::Simple;
        // The segment whose extents may be requested.
        let mut with_extents = None;
        to.write_all(&wire::GREETING).await?;
        let padded = from.read_u32().await? & wire::NO_ZEROES == 0;
        let chosen = |segment: &Segment, replies, with_extents: Option<&str>| Chosen {
            segment: segment.clone(),
            replies,
            allocation: with_extents == Some(&*segment.name),
        };
        loop {
            let mut head = [0; wire::OPTION_HEAD];
            from.read_exact(&mut head).await?;
            let OptionHead { option, length } = OptionHead::parse(&head).ok_or(io::ErrorKind::InvalidData)?;
            if length > MAX_OPTION {
                to.write_all(&OptionReply::TooLong.bytes(option)).await?;
                return Ok(None);
            }
            let mut data = vec![0; length as usize];
            from.read_exact(&mut data).await?;
            let mut answers = Vec::new();
            match ClientOption::parse(option, &data) {
                ClientOption::Begin { name } => {
                    let Some(segment) = self.disks.find(name) else { return Ok(None) };
                    let mut begun = wire::size_and_flags(segment.size).to_vec();
                    begun.resize(begun.len() + if padded { 124 } else { 0 }, 0);
                    to.write_all(&begun).await?;
                    return Ok(Some(chosen(segment, replies, with_extents)));
                }
                ClientOption::Abort => {
                    to.write_all(&OptionReply::Done.bytes(option)).await?;
                    return Ok(None);
                }
                ClientOption::List => {
                    answers.extend(
                        self.disks.image.segments().iter().map(|segment| OptionReply::Export { name: &segment.name }),
                    );
                    answers.push(OptionReply::Done);
                }
                ClientOption::About { name, begin } => match self.disks.find(name) {
                    Some(segment) => {
                        answers.extend([
                            OptionReply::Size { bytes: segment.size },
                            OptionReply::BlockSizes,
                            OptionReply::Done,
                        ]);
                        if begin {
                            write_answers(to, option, &answers).await?;
                            return Ok(Some(chosen(segment, replies, with_extents)));
                        }
                    }
                    None => answers.push(OptionReply::NoSuchExport),
                },
                ClientOption::StructuredReplies => {
                    replies = Replies::Structured;
                    answers.push(OptionReply::Done);
                }
                ClientOption::Contexts { begin: true, .. } if replies == Replies::Simple => {
                    answers.push(OptionReply::Invalid)
                }
                ClientOption::Contexts { name, allocation, begin } => match self.disks.find(name) {
                    Some(segment) => {
                        if begin {
                            with_extents = allocation.then_some(&*segment.name);
                        }
                        answers.extend(allocation.then_some(OptionReply::Allocation));
                        answers.push(OptionReply::Done);
                    }
                    None => answers.push(OptionReply::NoSuchExport),
                },
                ClientOption::Malformed => answers.push(OptionReply::Invalid),
                ClientOption::Unknown => answers.push(OptionReply::Unsupported),
            }
            write_answers(to, option, &answers).await?;
        }
    }

    /// Answers requests, several at the same time, and each one when it is ready.
    async fn transmit(self, chosen: Chosen, mut from: OwnedReadHalf, to: OwnedWriteHalf) -> io::Result<()> {
        let Chosen { segment, replies, allocation } = chosen;
        let (segment, to) = (Arc::new(segment), Arc::new(Mutex::new(to)));
        let turns = Arc::new(Semaphore::new(MAX_READS as usize));
        // Reads that are under way end with the connection.
        let reads = self.scope.child();
        let _ends = reads.token().clone().drop_guard();
        loop {
            let mut bytes = [0; wire::REQUEST];
            from.read_exact(&mut bytes).await?;
            let request = Request::parse(&bytes).ok_or(io::ErrorKind::InvalidData)?;
            let Request { command, one, cookie, offset, length } = request;
            let end = offset.checked_add(u64::from(length)).filter(|end| *end <= segment.size);
            let reply = match (command, end) {
                (Command::Disconnect, _) => {
                    // Requests that came before are answered first.
                    let _all = turns.acquire_many(MAX_READS).await;
                    return Ok(());
                }
                (Command::Read, Some(end)) if length <= wire::MOST => {
                    let turn = Arc::clone(&turns).acquire_owned().await.expect("the semaphore is never closed");
                    let permits = Arc::clone(&self.disks.memory).acquire_many_owned(wire::held(offset..end)).await;
                    let room = permits.expect("the semaphore is never closed");
                    let (disks, segment, to) = (Arc::clone(&self.disks), Arc::clone(&segment), Arc::clone(&to));
                    reads.spawn(async move {
                        let extents = disks.image.extents(&segment, offset..end).unwrap_or_default();
                        let Some(outcome) = disks.read(&segment, offset..end).await else { return };
                        let reply = outcome.map_or_else(
                            |error| {
                                tracing::warn!(%error, segment = segment.name, offset, "a disk cannot be read");
                                vec![replies.failed(cookie, errno::nbd::FAILED)]
                            },
                            |pieces| replies.read(cookie, offset, &extents, pieces),
                        );
                        // This fails when the client has gone, which the loop above notices.
                        let _ = write_reply(&to, &reply).await;
                        drop((room, turn));
                    });
                    continue;
                }
                (Command::Extents, Some(end)) if allocation && length > 0 => {
                    match self.disks.image.extents(&segment, offset..end) {
                        Ok(mut extents) => {
                            extents.truncate(if one { 1 } else { extents.len() });
                            reply::extents(cookie, &extents)
                        }
                        Err(_) => replies.failed(cookie, errno::nbd::FAILED),
                    }
                }
                (Command::Read | Command::Extents, _) => replies.failed(cookie, errno::nbd::INVALID),
                (Command::Flush, _) | (Command::Cache, Some(_)) => reply::simple(cookie, 0),
                (Command::Write, _) => {
                    skip(&mut from, length).await?;
                    reply::simple(cookie, errno::nbd::CHANGE)
                }
                (Command::Change, _) => reply::simple(cookie, errno::nbd::CHANGE),
                (Command::Cache, None) | (Command::Unknown, _) => reply::simple(cookie, errno::nbd::INVALID),
            };
            write_reply(&to, &[reply]).await?;
        }
    }
}

/// Writes one reply after the other, because their bytes must not mix.
async fn write_reply(to: &Mutex<OwnedWriteHalf>, reply: &[Bytes]) -> io::Result<()> {
    let mut to = to.lock().await;
    for part in reply {
        to.write_all(part).await?;
    }
    Ok(())
}

async fn write_answers(to: &mut OwnedWriteHalf, option: u32, answers: &[OptionReply<'_>]) -> io::Result<()> {
    to.write_all(&answers.iter().flat_map(|answer| answer.bytes(option)).collect::<Vec<_>>()).await
}

/// Skips bytes that a client sent to be written.
async fn skip(from: &mut OwnedReadHalf, length: u32) -> io::Result<()> {
    let skipped = tokio::io::copy(&mut from.take(u64::from(length)), &mut tokio::io::sink()).await?;
    if skipped == u64::from(length) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests;
