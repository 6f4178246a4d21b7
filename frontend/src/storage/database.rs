//! The database of this browser: opened once, with a deadline on everything.
//!
//! A database may never answer: another page may hold an older version of it, or be deleting it, or the disk hangs. Then
//! storage is given up until the page is loaded again, and nothing waits for it any more. In the other direction, this
//! page lets go of the database as soon as another one wants to change its version or to delete it.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, Shared, join_all, select};
use gloo_timers::future::TimeoutFuture;
use rexie::{Error, ObjectStore, Rexie, Transaction, TransactionMode};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

const NAME: &str = "pixelrts";
/// Whoever changes what is stored, or how, counts up. Stores with a name that this version does not have are removed.
const VERSION: u32 = 2;

/// Small documents, each a text.
pub(super) const KNOWN: &str = "known";
/// The revision of the entries, and the servers.
pub(crate) const CATALOG: &str = "catalog";
/// The entries, each a text, found by their digest.
pub(crate) const ENTRIES: &str = "entries";

/// What version 1 kept among the small documents: the catalog was one text of some megabytes, and entity tags stood
/// beside times.
const OUTDATED: [&str; 4] =
    ["/api/v1/catalog/remote", "/api/v1/catalog/remote seen", "/api/v1/servers seen", "/api/v1/settings seen"];

const OPEN_MS: u32 = 3_000;

/// The database of this page. It is closed once nobody in the page uses it: one that is left open without a use would
/// hold up every page that upgrades or deletes it.
pub(crate) struct Connection(Option<Rexie>);

impl Deref for Connection {
    type Target = Rexie;

    fn deref(&self) -> &Rexie {
        self.0.as_ref().expect("only Drop takes it")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(database) = self.0.take() {
            database.close();
        }
    }
}

type Opening = Shared<LocalBoxFuture<'static, Option<Rc<Connection>>>>;

enum State {
    Closed,
    /// Or open: then it is ready at once.
    Opening(Opening),
    GivenUp,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::Closed) };
}

/// Does something in one transaction. `None`: that has failed, or the database did not answer in time.
pub(crate) async fn run<T: 'static>(
    deadline_ms: u32,
    mode: TransactionMode,
    stores: &'static [&'static str],
    work: impl AsyncFn(Transaction) -> Result<T, Error> + 'static,
) -> Option<T> {
    let (tell, told) = oneshot::channel();
    // It runs to its end whoever waits for it: the browser calls what it was given for the outcome, even much later.
    spawn_local(async move { _ = tell.send(attempt(mode, stores, work).await) });
    match select(told, Box::pin(patience(deadline_ms))).await {
        Either::Left((result, _)) => result.ok().flatten(),
        Either::Right(_) => {
            give_up();
            None
        }
    }
}

/// True when all of a transaction is stored, and false when nothing of it is, as on a full disk.
pub(crate) async fn is_committed(transaction: Transaction) -> bool {
    transaction.done().await.is_ok_and(|result| result.is_committed())
}

async fn attempt<T>(
    mode: TransactionMode,
    stores: &[&str],
    work: impl AsyncFn(Transaction) -> Result<T, Error>,
) -> Option<T> {
    for _ in 0..2 {
        let database = database().await?;
        match database.transaction(stores, mode) {
            Ok(transaction) => return work(transaction).await.ok(),
            // It was closed: by this page for another one, or by the browser, which removed it.
            Err(_) => let_go(),
        }
    }
    None
}

async fn database() -> Option<Rc<Connection>> {
    let opening = STATE.with_borrow_mut(|state| match state {
        State::GivenUp => None,
        State::Opening(opening) => Some(opening.clone()),
        State::Closed => {
            let opening = open().boxed_local().shared();
            *state = State::Opening(opening.clone());
            Some(opening)
        }
    })?;
    let database = opening.await;
    if database.is_none() {
        give_up();
    }
    database
}

async fn open() -> Option<Rc<Connection>> {
    let (tell, told) = oneshot::channel();
    spawn_local(async move {
        // One that comes late is dropped, and so closed: nobody wants it, and it must not be in the way of other pages.
        if let Ok(database) = request().await
            && STATE.with_borrow(|state| !matches!(state, State::GivenUp))
        {
            _ = tell.send(Rc::new(database));
        }
    });
    match select(told, Box::pin(patience(OPEN_MS))).await {
        Either::Left((opened, _)) => opened.ok(),
        Either::Right(_) => None,
    }
}

/// Rexie makes and removes stores where the version changes, and closes the database when another page wants to change
/// its version or to delete it.
async fn request() -> Result<Connection, Error> {
    let builder = Rexie::builder(NAME).version(VERSION);
    let stores = [KNOWN, CATALOG, ENTRIES].into_iter().map(ObjectStore::new);
    let database = Connection(Some(stores.fold(builder, rexie::RexieBuilder::add_object_store).build().await?));
    // Rexie does not say which version was there before; to remove what is not there costs next to nothing.
    let transaction = database.transaction(&[KNOWN], TransactionMode::ReadWrite)?;
    let known = transaction.store(KNOWN)?;
    join_all(OUTDATED.map(|key| known.delete(JsValue::from_str(key)))).await;
    Ok(database)
}

/// The next one who needs the database opens it again.
fn let_go() {
    STATE.with_borrow_mut(|state| {
        if let State::Opening(opening) = state
            && opening.peek().is_some()
        {
            *state = State::Closed;
        }
    });
}

fn give_up() {
    STATE.replace(State::GivenUp);
}

/// Waits in steps: a page that was asleep counts one of them, not the whole time.
async fn patience(ms: u32) {
    for _ in 0..10 {
        TimeoutFuture::new(ms / 10).await;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing;
    use futures_util::future::join;
    use std::cell::Cell;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Forgets everything, as leaving the page does.
    pub(crate) fn leave() {
        STATE.replace(State::Closed);
    }

    /// Begins with an empty browser.
    pub(crate) async fn begin() {
        leave();
        Rexie::delete(NAME).await.unwrap();
    }

    /// The database as another page has it that does not let go of it.
    pub(crate) struct Held(JsValue);

    impl Held {
        pub(crate) fn close(self) {
            testing::close_database(&self.0);
        }
    }

    pub(crate) async fn held_by_another_page(version: u32) -> Held {
        Held(testing::hold_database(NAME, version).await.unwrap())
    }

    /// The database as another page has it that works as this one does.
    pub(crate) async fn of_another_page() -> Connection {
        request().await.unwrap()
    }

    async fn keys_of(store: &'static str) -> Option<Vec<String>> {
        run(1000, TransactionMode::ReadOnly, &[KNOWN, CATALOG, ENTRIES], async move |transaction| {
            let keys = transaction.store(store)?.get_all_keys(None, None).await?;
            Ok(keys.iter().filter_map(JsValue::as_string).collect())
        })
        .await
    }

    #[wasm_bindgen_test]
    async fn an_older_database_keeps_its_small_documents_and_loses_the_rest() {
        begin().await;
        held_by_another_page(1).await.close();
        assert_eq!(keys_of(KNOWN).await.unwrap(), ["look"]);
        assert_eq!(keys_of(ENTRIES).await.unwrap(), [""; 0]);
        assert_eq!(of_another_page().await.store_names(), [CATALOG, ENTRIES, KNOWN]);
    }

    #[wasm_bindgen_test]
    async fn an_upgrade_that_another_page_holds_up_is_given_up_in_time_and_is_in_nobody_s_way() {
        begin().await;
        let other = held_by_another_page(1).await;
        let began = crate::clock::now();
        assert_eq!(keys_of(KNOWN).await, None);
        let waited = crate::clock::now() - began;
        assert!((900..OPEN_MS.into()).contains(&waited), "the deadline is 1 s: {waited} ms");
        let began = crate::clock::now();
        assert_eq!(keys_of(KNOWN).await, None);
        assert!(crate::clock::now() - began < 100, "nobody waits for it again");

        // The other page is closed: what was asked for comes, too late.
        other.close();
        let third = held_by_another_page(3);
        let third = select(Box::pin(third), Box::pin(patience(10_000))).await;
        let Either::Left((third, _)) = third else { panic!("this page holds the database that it has given up") };
        third.close();
        begin().await;
    }

    #[wasm_bindgen_test]
    async fn another_page_that_upgrades_gets_the_database() {
        begin().await;
        assert!(keys_of(KNOWN).await.is_some());
        let newer = held_by_another_page(VERSION + 1);
        let Either::Left((newer, _)) = select(Box::pin(newer), Box::pin(patience(10_000))).await else {
            panic!("this page does not let go")
        };
        newer.close();
        assert_eq!(keys_of(KNOWN).await, None, "a database of a newer version is left alone");
        begin().await;
    }

    #[wasm_bindgen_test]
    async fn a_database_that_was_deleted_is_made_again() {
        begin().await;
        assert!(keys_of(KNOWN).await.is_some());
        Rexie::delete(NAME).await.unwrap();
        assert_eq!(keys_of(KNOWN).await.unwrap(), [""; 0]);
    }

    #[wasm_bindgen_test]
    async fn a_deletion_that_another_page_holds_up_is_not_waited_for() {
        begin().await;
        let other = held_by_another_page(VERSION).await;
        let deleting = Rexie::delete(NAME);
        let waiting = async {
            TimeoutFuture::new(100).await;
            let began = crate::clock::now();
            assert_eq!(keys_of(KNOWN).await, None);
            assert!((900..OPEN_MS.into()).contains(&(crate::clock::now() - began)));
            other.close();
        };
        let both = select(Box::pin(join(deleting, waiting)), Box::pin(patience(10_000))).await;
        let Either::Left(((deleted, ()), _)) = both else { panic!("what was given up is in the way") };
        assert!(deleted.is_ok());
        begin().await;
    }

    #[wasm_bindgen_test]
    async fn a_browser_without_a_database_is_no_hindrance() {
        begin().await;
        testing::hide_databases(true);
        assert_eq!(keys_of(KNOWN).await, None);
        testing::hide_databases(false);
        begin().await;
    }

    #[wasm_bindgen_test]
    async fn what_is_not_stored_for_want_of_room_is_told() {
        begin().await;
        let stored = async || {
            run(1000, TransactionMode::ReadWrite, &[KNOWN], async |transaction| {
                transaction.store(KNOWN)?.put(&JsValue::from_str("text"), Some(&JsValue::from_str("key"))).await?;
                Ok(is_committed(transaction).await)
            })
            .await
        };
        testing::fill_disk(true);
        let full = stored().await;
        testing::fill_disk(false);
        assert_eq!((full.unwrap_or(false), stored().await), (false, Some(true)));
    }

    #[wasm_bindgen_test]
    async fn work_that_never_ends_is_given_up() {
        begin().await;
        let ended = Rc::new(Cell::new(false));
        let told = Rc::clone(&ended);
        let never = run(200, TransactionMode::ReadOnly, &[KNOWN], async move |_| {
            TimeoutFuture::new(400).await;
            told.set(true);
            Ok(())
        });
        assert_eq!(never.await, None);
        TimeoutFuture::new(400).await;
        assert!(ended.get(), "what the browser was given for the outcome is still there");
        begin().await;
    }
}
