//! What the browser remembers between visits, in IndexedDB: the catalog, the servers, how the page looks.
//!
//! This only saves time. In a browser that keeps nothing (a private window, a full disk), the shell knows nothing until
//! the backend answers; so failures are not reported.

use rexie::TransactionMode;
use wasm_bindgen::JsValue;

pub(crate) mod database;

use database::{KNOWN, is_committed, run};

/// After this time, the database is given up.
const DEADLINE_MS: u32 = 3_000;

/// A small document.
pub(crate) async fn read(key: &str) -> Option<String> {
    let key = key.to_owned();
    let read = run(DEADLINE_MS, TransactionMode::ReadOnly, &[KNOWN], async move |transaction| {
        transaction.store(KNOWN)?.get(JsValue::from_str(&key)).await
    });
    read.await??.as_string()
}

pub(crate) async fn write(key: &str, text: &str) {
    write_all(vec![(key.to_owned(), text.to_owned())]).await;
}

/// Writes all of them, or nothing.
pub(crate) async fn write_all(texts: Vec<(String, String)>) {
    run(DEADLINE_MS, TransactionMode::ReadWrite, &[KNOWN], async move |transaction| {
        let all = texts.iter().map(|(key, text)| (JsValue::from_str(text), Some(JsValue::from_str(key))));
        transaction.store(KNOWN)?.put_all(all).await?;
        Ok(is_committed(transaction).await)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::database::tests::{begin, leave};
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn what_is_written_is_read_back_and_the_last_write_counts() {
        begin().await;
        assert_eq!(read("key").await, None);
        write("key", "first").await;
        write("key", "second, with ünïcode").await;
        assert_eq!(read("key").await.as_deref(), Some("second, with ünïcode"));
        assert_eq!(read("other").await, None);
    }

    #[wasm_bindgen_test]
    async fn another_visit_finds_what_was_written() {
        begin().await;
        write("key", "text").await;
        leave();
        assert_eq!(read("key").await.as_deref(), Some("text"));
    }
}
