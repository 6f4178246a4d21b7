//! Follows all downloads in one reply, read as it arrives (NDJSON over the Streams API).

use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use pixelrts_shared::{Problem, paths};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::ReadableStreamDefaultReader;

use super::lines::Lines;
use super::store::Downloads;
use crate::link::wait_ms;
use crate::{client, json};

/// Never ends: a reply that ends or breaks is asked for again, after a pause that grows while nothing comes.
pub(crate) async fn follow(downloads: Downloads) {
    let mut attempt = 0;
    loop {
        match session(downloads).await {
            Ok(true) => attempt = 0,
            Ok(false) | Err(_) => attempt += 1,
        }
        TimeoutFuture::new(wait_ms(attempt)).await;
    }
}

/// One reply, to its end. True when anything came.
async fn session(downloads: Downloads) -> Result<bool, Problem> {
    downloads.accept(client::get(paths::DOWNLOADS).await?);
    let body = client::stream(paths::DOWNLOADS_STREAM).await?;
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let (mut lines, mut came) = (Lines::default(), false);
    while let Some(bytes) = next(&reader).await {
        let mut news = Vec::new();
        lines.push(&bytes, |line| news.extend(json::read(line).ok()));
        came |= !news.is_empty();
        downloads.accept(news);
    }
    Ok(came)
}

async fn next(reader: &ReadableStreamDefaultReader) -> Option<Vec<u8>> {
    let read = JsFuture::from(reader.read()).await.ok()?;
    let value = Reflect::get(&read, &JsValue::from_str("value")).ok()?;
    value.dyn_into::<Uint8Array>().ok().map(|bytes| bytes.to_vec())
}
