//! The large documents of `/catalog`, which are made once and sent often: what this computer offers, and the merged view.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::response::Response;
use pixelrts_shared::Problem;
use pixelrts_shared::catalog::{Catalog, Entry};
use serde::Serialize;

use super::encoding::{accepts, gzip_pieces};
use super::etag::{self, Document};
use crate::catalog::{Found, Library, Local, Whole};
use crate::task::blocking;

/// This computer's own catalog as it was last sent. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct OwnCatalog(Arc<Last>);

#[derive(Debug, Default)]
struct Last {
    made: RwLock<Option<Made>>,
    /// It is held while the document is made, so that many clients at once do not make it many times.
    making: tokio::sync::Mutex<()>,
}

impl Last {
    /// The document, when it says what was found.
    fn of(&self, found: &Arc<Found>) -> Option<Arc<Document>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        made.as_ref().filter(|(of, _)| Arc::ptr_eq(of, found)).map(|(_, document)| document.clone())
    }
}

/// What was found, and the document that says it.
type Made = (Arc<Found>, Arc<Document>);

#[derive(Serialize)]
struct Own<'a> {
    format: u32,
    name: &'a str,
    generated_at: &'a str,
    entries: Vec<&'a Entry>,
}

impl OwnCatalog {
    /// The document that every catalog server speaks; waits for the first scan.
    pub(super) async fn reply(&self, local: &Local, request_headers: &HeaderMap) -> Result<Response, Problem> {
        let found = local.offered().await?;
        if let Some(document) = self.0.of(&found) {
            return Ok(document.reply(request_headers));
        }
        let _making = self.0.making.lock().await;
        if let Some(document) = self.0.of(&found) {
            return Ok(document.reply(request_headers));
        }
        let (name, of) = (local.name().to_owned(), found.clone());
        let document = Arc::new(blocking(move || own_catalog(&name, &of)).await);
        *self.0.made.write().unwrap_or_else(PoisonError::into_inner) = Some((found, document.clone()));
        Ok(document.reply(request_headers))
    }
}

fn own_catalog(name: &str, found: &Found) -> Document {
    let entries = found.images.iter().map(|image| &*image.entry).collect();
    let own = Own { format: Catalog::FORMAT, name, generated_at: &found.changed_at, entries };
    Document::new(serde_json::to_vec(&own).expect("wire types are plain data").into()).compress()
}

/// The merged view as it was last sent, compressed, with its tag. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct WholeView(Arc<Mutex<Option<(String, Bytes)>>>);

impl WholeView {
    /// All of the merged view at once.
    pub(super) async fn reply(&self, library: &Library, request_headers: &HeaderMap) -> Result<Response, Problem> {
        let (about, of) = (library.clone(), library.clone());
        let etag = etag::tag(blocking(move || about.view_says()).await?.as_bytes());
        if etag::matches(request_headers, &etag) {
            return Ok(etag::not_modified(&etag));
        }
        let compressed = accepts(request_headers, "gzip");
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, body)) = kept().as_ref().filter(|(tag, _)| compressed && *tag == etag) {
            return Ok(etag::found(&etag, body.clone(), true));
        }
        let whole = blocking(move || of.written()).await?;
        let etag = etag::tag(whole.says().as_bytes());
        if !compressed {
            return Ok(etag::found(&etag, plain(whole), false));
        }
        let body = blocking(move || gzip_pieces(whole)).await;
        *kept() = Some((etag.clone(), body.clone()));
        Ok(etag::found(&etag, body, true))
    }
}

/// Written as fast as the client takes it, so that little of it is in memory, however many entries there are.
fn plain(whole: Whole) -> Body {
    Body::from_stream(futures_util::stream::unfold(whole, |mut whole| async {
        let (piece, rest) = blocking(move || (whole.next(), whole)).await;
        Some((Ok::<_, Infallible>(piece?), rest))
    }))
}

/// The view of one server, which the limits of its catalog bound.
pub(super) async fn reply_written(
    make: impl FnOnce() -> Result<Whole, Problem> + Send + 'static,
    request_headers: &HeaderMap,
) -> Result<Response, Problem> {
    reply_bytes(move || Ok(make()?.flatten().collect()), request_headers).await
}

/// A part of the merged view that the client asks for once.
pub(super) async fn reply<T: Serialize + Send + 'static>(
    make: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    request_headers: &HeaderMap,
) -> Result<Response, Problem> {
    let write = |part: T| serde_json::to_vec(&part).expect("wire types are plain data");
    reply_bytes(move || make().map(write), request_headers).await
}

async fn reply_bytes(
    make: impl FnOnce() -> Result<Vec<u8>, Problem> + Send + 'static,
    request_headers: &HeaderMap,
) -> Result<Response, Problem> {
    let made = blocking(move || make().map(|json| Document::new(json.into()).compress()));
    Ok(made.await?.reply(request_headers))
}
