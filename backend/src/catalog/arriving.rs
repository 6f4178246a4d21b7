//! The bytes of an image for somebody who passes them on: from its file, or while they arrive.
//!
//! An image that is not here is downloaded into the cache, and its growing file is read along. What is given out is
//! hashed on the way, and the last piece is held back until the whole is what the catalog promised: whoever has got
//! all announced bytes has got the right ones, and anybody else sees the stream break.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, Problem, ServerId};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::CatalogError;
use super::{CheckedFile, Library};
use crate::cache::Store;
use crate::remote::Interest;
use crate::task;

/// When no byte comes for so long, whoever waits gets the reason. The download itself goes on while others want it.
const NEXT_BYTE_WITHIN: Duration = Duration::from_secs(30);
/// Given out at once, in bytes.
const PIECE: u64 = 256 << 10;

/// How much of an image somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Only what is known of it without a byte.
    Head,
    /// A part of it, which waits for the whole image.
    Part,
    Whole,
}

/// Where the bytes of an image are.
#[derive(Debug)]
pub enum ImageBytes {
    /// Here, verified.
    File(CheckedFile),
    Arriving(Box<Arriving>),
    /// Nothing is downloaded for a head.
    Elsewhere,
}

impl Library {
    /// The bytes of an entry, which is downloaded when it is not here. A server that cannot be used fails this call,
    /// not the stream.
    pub async fn bytes(&self, entry: &Entry, server: Option<&ServerId>, extent: Extent) -> Result<ImageBytes, Problem> {
        if let Some(file) = self.here(&entry.sha256).await? {
            return Ok(ImageBytes::File(file));
        }
        if extent == Extent::Head {
            return Ok(ImageBytes::Elsewhere);
        }
        let downloads = &self.remote.get()?.downloads;
        let interest = downloads.join(self.fetch_request(entry, server)?);
        let mut progress = interest.watch();
        if extent == Extent::Part {
            moving(&mut progress, NEXT_BYTE_WITHIN, |now| now.stage.is_over()).await?;
            return Ok(ImageBytes::File(CheckedFile::of_cache(interest.outcome().await?).await?));
        }
        let begun = moving(&mut progress, NEXT_BYTE_WITHIN, |now| now.received > 0 || now.stage.is_over()).await?;
        if let Some(problem) = begun.problem.filter(|_| begun.stage.is_over()) {
            return Err(problem);
        }
        let (store, digest, size) = (self.store.clone(), entry.sha256, entry.size);
        Ok(ImageBytes::Arriving(Box::new(Arriving {
            store,
            digest,
            size,
            progress,
            _interest: interest,
            file: None,
            given: 0,
            hasher: Sha256::new(),
        })))
    }
}

/// Waits until a download is so far, as long as bytes come. What has come is then checked, however long that takes.
async fn moving(
    progress: &mut watch::Receiver<Download>,
    within: Duration,
    is_ready: impl Fn(&Download) -> bool,
) -> Result<Download, Problem> {
    let mut received = progress.borrow().received;
    loop {
        let moved = progress.wait_for(|now| is_ready(now) || now.received != received);
        match timeout(within, moved).await.map(|now| now.map(|now| now.clone())) {
            Ok(Ok(now)) if is_ready(&now) => return Ok(now),
            Ok(Ok(now)) => received = now.received,
            Err(_) if progress.borrow().stage == DownloadStage::Verifying => {}
            Ok(Err(_)) | Err(_) => {
                return Err(progress
                    .borrow()
                    .problem
                    .clone()
                    .unwrap_or_else(|| CatalogError::Stalled { within }.into()));
            }
        }
    }
}

/// A reader of a growing file.
#[derive(Debug)]
pub struct Arriving {
    store: Store,
    digest: Digest,
    size: u64,
    progress: watch::Receiver<Download>,
    /// The download ends with the last reader.
    _interest: Interest,
    file: Option<Arc<std::fs::File>>,
    given: u64,
    hasher: Sha256,
}

impl Arriving {
    /// All bytes in order, or an error instead of the last ones.
    pub fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        stream::try_unfold(self, |mut reader| async move { Ok(reader.next().await?.map(|piece| (piece, reader))) })
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.given == self.size {
            return Ok(None);
        }
        let wanted = (self.size - self.given).min(PIECE);
        let last = self.given + wanted == self.size;
        let enough = self.given + wanted;
        let piece = loop {
            let is_ready = |now: &Download| now.stage.is_over() || (!last && now.received >= enough);
            let stage = moving(&mut self.progress, NEXT_BYTE_WITHIN, is_ready)
                .await
                .map_err(|problem| io::Error::other(problem.why))?
                .stage;
            if stage.is_over() && stage != DownloadStage::Cached {
                return Err(io::Error::other("the download ended before the image was complete"));
            }
            match self.read(wanted).await {
                // The download began again, so its file is another one, or short.
                Err(_) if !stage.is_over() => {
                    self.file = None;
                    self.progress.changed().await.map_err(io::Error::other)?;
                }
                read => break read?,
            }
        };
        self.hasher.update(&piece);
        self.given += wanted;
        // A download that began again may have replaced what was given out before.
        if last && Digest::new(self.hasher.clone().finalize().into()) != self.digest {
            return Err(io::Error::other("the image was downloaded again meanwhile"));
        }
        Ok(Some(piece))
    }

    async fn read(&mut self, wanted: u64) -> io::Result<Bytes> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.file.insert(Arc::new(self.store.growing(&self.digest)?)).clone(),
        };
        let given = self.given;
        task::blocking(move || {
            let mut piece = vec![0; usize::try_from(wanted).expect("a piece fits into memory")];
            file.read_exact_at(&mut piece, given).map(|()| Bytes::from(piece))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::{DownloadId, ProblemCode};
    use std::time::Instant;
    use tokio::time::sleep;

    fn download(stage: DownloadStage) -> Download {
        let key = Digest::new([7; 32]);
        serde_json::from_value(serde_json::json!({
            "id": DownloadId::from(key), "key": key, "stage": stage, "received": 0, "attempt": 1,
        }))
        .unwrap()
    }

    const WITHIN: Duration = Duration::from_millis(200);

    /// What a reader gets who waits for the end while `happens` does.
    async fn waiting(happens: impl AsyncFn(&watch::Sender<Download>)) -> Result<DownloadStage, Problem> {
        let sender = watch::Sender::new(download(DownloadStage::Downloading));
        let mut progress = sender.subscribe();
        let wait = moving(&mut progress, WITHIN, |now| now.stage.is_over());
        let (ended, ()) = tokio::join!(wait, happens(&sender));
        ended.map(|now| now.stage)
    }

    #[tokio::test]
    async fn a_reader_waits_as_long_as_bytes_come_and_then_gets_the_reason() {
        let begun = Instant::now();
        assert_eq!(waiting(async |_| {}).await.unwrap_err().code, ProblemCode::NetworkStalled);
        assert!(begun.elapsed() >= WITHIN);
        let arrives = async |sender: &watch::Sender<Download>| {
            for _ in 0..10 {
                sleep(WITHIN / 4).await;
                sender.send_modify(|now| now.received += 1);
            }
        };
        let stopped = waiting(async |sender| {
            arrives(sender).await;
            sender.send_modify(|now| {
                now.problem =
                    Some(Problem::from(CatalogError::Stalled { within: NEXT_BYTE_WITHIN }).context("of the download"))
            });
        });
        assert_eq!(stopped.await.unwrap_err().context.as_deref(), Some("of the download"));
        let complete = waiting(async |sender| {
            arrives(sender).await;
            // A slow disk is no server that stalls.
            sender.send_modify(|now| now.stage = DownloadStage::Verifying);
            sleep(WITHIN * 3).await;
            sender.send_modify(|now| now.stage = DownloadStage::Cached);
        });
        assert_eq!(complete.await.unwrap(), DownloadStage::Cached);
    }
}
