//! `GET /remote/fetch`: an image's bytes, through the cache while they are downloaded.
//!
//! A hit is a file reply. A miss starts or joins the download and reads its growing file along. What is sent is hashed
//! on the way, and the last piece is held back until the whole is what the catalog promised: a client that has got
//! all announced bytes has got the right ones, any other sees the answer break. A range of a miss waits for the image.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, RANGE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use pixelrts_shared::download::{Download, DownloadStage};
use pixelrts_shared::{Digest, ServerId};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::extract::Query;
use super::failure::Failure;
use super::images::{file_reply, image_headers};
use super::state::Shell;
use crate::cache::Store;
use crate::task;

const PIECE: u64 = 256 << 10;

#[derive(Deserialize)]
pub(super) struct Wanted {
    id: String,
    server: Option<ServerId>,
}

pub(super) async fn fetch(
    State(shell): State<Shell>,
    Query(wanted): Query<Wanted>,
    method: Method,
    asked: HeaderMap,
) -> Result<Response, Failure> {
    let library = &shell.library;
    let entry = library.find(&wanted.id, &[], wanted.server.as_ref())?.entry;
    if let Some(path) = library.here(&entry.sha256).await? {
        return Ok(file_reply(&path, &entry.sha256, &asked).await?);
    }
    let mut headers = image_headers(&entry.sha256);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(entry.size));
    if method == Method::HEAD {
        return Ok((headers, Body::empty()).into_response());
    }
    if asked.contains_key(RANGE) {
        let path = library.obtain(&entry, wanted.server.as_ref()).await?;
        return Ok(file_reply(&path, &entry.sha256, &asked).await?);
    }
    let downloads = &library.remote.get()?.downloads;
    let download = downloads.start(library.wanted(&entry, wanted.server.as_ref())?);
    let mut shown = downloads.watch(&download.id)?;
    // A server that cannot be used is an answer of its own, not a broken body.
    let begun = shown.wait_for(|now| now.received > 0 || now.stage.is_over());
    let begun = shell.shutdown.run_until_cancelled(begun).await.and_then(Result::ok).map(|now| now.problem.clone());
    if let Some(Some(problem)) = begun {
        return Err(Failure(problem));
    }
    let along = Along {
        store: library.store.clone(),
        key: entry.sha256,
        size: entry.size,
        shown,
        file: None,
        sent: 0,
        hasher: Sha256::new(),
    };
    let body = Body::from_stream(stream::try_unfold(along, |mut along| async move {
        Ok::<_, io::Error>(along.next().await?.map(|piece| (piece, along)))
    }));
    Ok((headers, body).into_response())
}

/// A reader of a growing file.
struct Along {
    store: Store,
    key: Digest,
    size: u64,
    shown: watch::Receiver<Download>,
    file: Option<Arc<std::fs::File>>,
    sent: u64,
    hasher: Sha256,
}

impl Along {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.sent == self.size {
            return Ok(None);
        }
        let wanted = (self.size - self.sent).min(PIECE);
        let last = self.sent + wanted == self.size;
        let (sent, enough) = (self.sent, self.sent + wanted);
        let ready = self
            .shown
            .wait_for(|now| now.stage.is_over() || (!last && now.received >= enough))
            .await
            .map_err(io::Error::other)?
            .clone();
        if ready.stage.is_over() && ready.stage != DownloadStage::Cached {
            return Err(io::Error::other("the download ended before the image was complete"));
        }
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.file.insert(Arc::new(self.store.growing(&self.key)?)).clone(),
        };
        let piece = task::blocking(move || {
            let mut piece = vec![0; usize::try_from(wanted).expect("a piece fits into memory")];
            file.read_exact_at(&mut piece, sent).map(|()| Bytes::from(piece))
        })
        .await?;
        self.hasher.update(&piece);
        self.sent += wanted;
        // A download that began again may have replaced what was sent before.
        if last && Digest::new(self.hasher.clone().finalize().into()) != self.key {
            return Err(io::Error::other("the image was downloaded again meanwhile"));
        }
        Ok(Some(piece))
    }
}
