//! Follows all downloads in one reply, read as it arrives (NDJSON over the Streams API).

use js_sys::{Reflect, Uint8Array};
use pixelrts_shared::{Problem, paths};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use super::lines::Lines;
use super::store::Downloads;
use crate::link::{reconnecting, retry};
use crate::{client, json};

/// Follows for as long as the page is open. When a reply ends or breaks, it is requested again, after a pause that
/// grows while nothing is received.
pub(crate) async fn follow(downloads: Downloads) {
    let mut waits = reconnecting();
    loop {
        if matches!(session(downloads).await, Ok(true)) {
            waits.reset();
        }
        retry::pause(&mut waits).await;
    }
}

/// Reads one reply to its end. Returns true when anything was received.
async fn session(downloads: Downloads) -> Result<bool, Problem> {
    downloads.accept(client::get(paths::DOWNLOADS).await?);
    let mut values = Values::new(&client::stream(paths::DOWNLOADS_STREAM).await?);
    let mut came = false;
    while let Some(news) = values.next().await {
        came |= !news.is_empty();
        downloads.accept(news);
    }
    Ok(came)
}

/// The values of a stream that holds one in each line. Dropping it cancels the stream, so that the sender stops.
struct Values {
    reader: ReadableStreamDefaultReader,
    lines: Lines,
}

impl Values {
    fn new(stream: &ReadableStream) -> Self {
        Self { reader: stream.get_reader().unchecked_into(), lines: Lines::default() }
    }

    /// The values that the next piece of the stream completes, which may be none; `None` once it has ended or is broken.
    /// Lines that are not such a value are left out: a newer backend may send more than this page knows.
    async fn next<T: DeserializeOwned>(&mut self) -> Option<Vec<T>> {
        let read = JsFuture::from(self.reader.read()).await.ok()?;
        let piece = Reflect::get(&read, &JsValue::from_str("value")).ok()?;
        let mut values = Vec::new();
        let bytes = piece.dyn_into::<Uint8Array>().ok()?.to_vec();
        self.lines.push(&bytes, |line| values.extend(json::read(line).ok()));
        Some(values)
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        let cancelled = JsFuture::from(self.reader.cancel());
        // A stream that is broken already refuses to be cancelled, which is not a fault of the page.
        spawn_local(async move { drop(cancelled.await) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use wasm_bindgen_test::wasm_bindgen_test;

    const TEXT: &str = "[1]\n\n{\"odd\": true}\n[2,3]\r\n[4]";

    async fn read(length: usize, breaks: bool) -> Vec<Vec<u64>> {
        let mut values = Values::new(&testing::stream(TEXT, length, breaks));
        let mut found = Vec::new();
        while let Some(more) = values.next().await {
            found.extend(more);
        }
        found
    }

    #[wasm_bindgen_test]
    async fn lines_are_values_however_the_stream_is_cut() {
        for length in 1..=TEXT.len() {
            assert_eq!(read(length, false).await, [vec![1], vec![2, 3]], "pieces of {length}");
        }
    }

    #[wasm_bindgen_test]
    async fn a_stream_that_breaks_ends_after_what_came() {
        assert_eq!(read(5, true).await, [vec![1], vec![2, 3]]);
    }

    #[wasm_bindgen_test]
    async fn letting_go_of_a_stream_cancels_it() {
        let mut values = Values::new(&testing::stream(TEXT, 4, false));
        assert_eq!(values.next::<Vec<u64>>().await, Some(vec![vec![1]]));
        assert!(!testing::cancelled());
        drop(values);
        assert!(testing::cancelled());
    }
}
