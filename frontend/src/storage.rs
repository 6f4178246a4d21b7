//! What the browser remembers between visits, in IndexedDB: the merged catalog, the servers, how the page looks.
//!
//! It only ever saves time. A browser that keeps nothing (a private window, a full disk) has a shell that knows nothing
//! until the backend answers, so failures end here.

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
