//! What the browser remembers between visits, in IndexedDB: the merged catalog, the servers, how the page looks.
//!
//! This only saves time. In a browser that keeps nothing (a private window, a full disk), the shell knows nothing until
//! the backend answers; so failures are not reported.

use std::cell::RefCell;
use std::rc::Rc;

use rexie::{ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::JsValue;

const DATABASE: &str = "pixelrts";
const STORE: &str = "known";

thread_local! {
    static OPEN: RefCell<Option<Rc<Rexie>>> = const { RefCell::new(None) };
}

pub(crate) async fn read(key: &str) -> Option<String> {
    let transaction = database().await?.transaction(&[STORE], TransactionMode::ReadOnly).ok()?;
    transaction.store(STORE).ok()?.get(JsValue::from_str(key)).await.ok()??.as_string()
}

pub(crate) async fn write(key: &str, text: &str) {
    let written = async {
        let transaction = database().await?.transaction(&[STORE], TransactionMode::ReadWrite).ok()?;
        transaction.store(STORE).ok()?.put(&JsValue::from_str(text), Some(&JsValue::from_str(key))).await.ok()?;
        transaction.done().await.ok()
    };
    written.await;
}

async fn database() -> Option<Rc<Rexie>> {
    if let Some(database) = OPEN.with_borrow(Clone::clone) {
        return Some(database);
    }
    let database = Rexie::builder(DATABASE).version(1).add_object_store(ObjectStore::new(STORE)).build().await.ok()?;
    let database = Rc::new(database);
    OPEN.set(Some(Rc::clone(&database)));
    Some(database)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Forgets the open database, as leaving the page does, and deletes it.
    async fn begin() {
        if let Some(database) = OPEN.take() {
            Rc::into_inner(database).expect("no other use").close();
        }
        Rexie::delete(DATABASE).await.unwrap();
    }

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
        Rc::into_inner(OPEN.take().expect("it was opened")).expect("no other use").close();
        assert_eq!(read("key").await.as_deref(), Some("text"));
    }

    #[wasm_bindgen_test]
    async fn a_database_of_a_newer_shell_is_left_alone_and_the_page_goes_on_without_memory() {
        begin().await;
        let newer =
            Rexie::builder(DATABASE).version(2).add_object_store(ObjectStore::new("other")).build().await.unwrap();
        newer.close();
        write("key", "text").await;
        assert_eq!(read("key").await, None);
        let newer = Rexie::builder(DATABASE).version(2).build().await.expect("it is still of version 2");
        assert_eq!(newer.store_names(), ["other"]);
        newer.close();
        begin().await;
    }
}
