//! The database of this browser: opened once, with a deadline on everything.
//!
//! A database may never answer: another page may hold an older version of it, or be deleting it, or the disk hangs. Then
//! storage is given up until the page is loaded again, and nothing waits for it any more. In the other direction, this
//! page lets go of the database as soon as another one wants to change its version or to delete it.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, Shared, select};
use gloo_timers::future::TimeoutFuture;
use idb::event::VersionChangeEvent;
use idb::{Database, DatabaseEvent, Error, Event, Factory, ObjectStoreParams, Request, Transaction};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

const NAME: &str = "pixelrts";
/// Whoever changes what is stored, or how, counts up and says in `upgrade` what becomes of the old.
const VERSION: u32 = 2;

/// Small documents, each a text.
pub(super) const KNOWN: &str = "known";
/// The revision of the entries, and the servers.
pub(crate) const CATALOG: &str = "catalog";
/// The entries, each a text, found by their digest.
pub(crate) const ENTRIES: &str = "entries";

const OPEN_MS: u32 = 3_000;

type Opening = Shared<LocalBoxFuture<'static, Option<Rc<Database>>>>;

enum State {
    Closed,
    /// Or open: then it is ready at once.
    Opening(Opening),
    GivenUp,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::Closed) };
}

/// Does something with the database. `None`: that has failed, or the database did not answer in time.
pub(crate) async fn run<T: 'static>(
    deadline_ms: u32,
    work: impl AsyncFn(&Database) -> Result<T, Error> + 'static,
) -> Option<T> {
    let (tell, told) = oneshot::channel();
    // It runs to its end whoever waits for it: the browser calls what it was given for the outcome, even much later.
    spawn_local(async move { _ = tell.send(attempt(work).await) });
    match select(told, Box::pin(patience(deadline_ms))).await {
        Either::Left((result, _)) => result.ok().flatten(),
        Either::Right(_) => {
            give_up();
            None
        }
    }
}

/// True when all of a transaction is stored, and false when nothing of it is, as on a full disk.
pub(crate) async fn is_committed(mut transaction: Transaction) -> bool {
    let (tell, told) = oneshot::channel();
    let tell = Rc::new(RefCell::new(Some(tell)));
    let over = |committed: bool| {
        let tell = Rc::clone(&tell);
        move |_| {
            if let Some(tell) = tell.borrow_mut().take() {
                _ = tell.send(committed);
            }
        }
    };
    transaction.on_complete(over(true));
    transaction.on_abort(over(false));
    told.await.unwrap_or(false)
}

async fn attempt<T>(work: impl AsyncFn(&Database) -> Result<T, Error>) -> Option<T> {
    for _ in 0..2 {
        let database = database().await?;
        match work(&database).await {
            // It was closed: by this page for another one, or by the browser, which removed it.
            Err(Error::TransactionOpenFailed(_)) => let_go(),
            result => return result.ok(),
        }
    }
    None
}

async fn database() -> Option<Rc<Database>> {
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

async fn open() -> Option<Rc<Database>> {
    let (tell, told) = oneshot::channel();
    spawn_local(async move {
        let Ok(database) = request().await else { return };
        // Nobody wants one that comes late, and it must not be in the way of other pages.
        if STATE.with_borrow(|state| matches!(state, State::GivenUp)) {
            database.close();
        } else if let Err(late) = tell.send(Rc::new(database)) {
            late.close();
        }
    });
    match select(told, Box::pin(patience(OPEN_MS))).await {
        Either::Left((opened, _)) => opened.ok(),
        Either::Right(_) => None,
    }
}

async fn request() -> Result<Database, Error> {
    let mut request = Factory::new()?.open(NAME, Some(VERSION))?;
    request.on_upgrade_needed(|event| {
        if upgrade(&event).is_err()
            && let Some(transaction) = event.target().ok().and_then(|request| request.transaction())
        {
            _ = transaction.abort();
        }
    });
    let mut database = request.await?;
    database.on_version_change(|event| {
        let_go();
        if let Ok(database) = event.database() {
            database.close();
        }
    });
    database.on_close(|_| let_go());
    Ok(database)
}

fn upgrade(event: &VersionChangeEvent) -> Result<(), Error> {
    let (database, before) = (event.database()?, event.old_version()?);
    let there = database.store_names();
    for name in there.iter().filter(|name| ![KNOWN, CATALOG, ENTRIES].contains(&name.as_str())) {
        database.delete_object_store(name)?;
    }
    for name in [KNOWN, CATALOG, ENTRIES] {
        if !there.iter().any(|other| other == name) {
            database.create_object_store(name, ObjectStoreParams::new())?;
        }
    }
    if before == 1
        && let Some(transaction) = event.target()?.transaction()
    {
        // The whole catalog was one text of some megabytes, and entity tags stood beside times.
        let known = transaction.object_store(KNOWN)?;
        for path in ["/api/v1/catalog/remote", "/api/v1/servers", "/api/v1/settings"] {
            known.delete(JsValue::from_str(path))?;
            known.delete(JsValue::from_str(&format!("{path} seen")))?;
        }
    }
    Ok(())
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
    if let State::Opening(opening) = STATE.replace(State::GivenUp) {
        close(&opening);
    }
}

fn close(opening: &Opening) {
    if let Some(Some(database)) = opening.peek() {
        database.close();
    }
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
    use std::cell::Cell;
    use wasm_bindgen_test::wasm_bindgen_test;

    /// Forgets everything, as leaving the page does.
    pub(crate) fn leave() {
        if let State::Opening(opening) = STATE.replace(State::Closed) {
            close(&opening);
        }
    }

    /// Begins with an empty browser.
    pub(crate) async fn begin() {
        leave();
        Factory::new().unwrap().delete(NAME).unwrap().await.unwrap();
    }

    /// The database as another page has it that does not let go of it.
    pub(crate) async fn held_by_another_page(version: u32) -> Database {
        let mut request = Factory::new().unwrap().open(NAME, Some(version)).unwrap();
        request.on_upgrade_needed(|event| {
            let database = event.database().unwrap();
            if database.store_names().is_empty() {
                let known = database.create_object_store(KNOWN, ObjectStoreParams::new()).unwrap();
                database.create_object_store("old", ObjectStoreParams::new()).unwrap();
                for key in ["/api/v1/catalog/remote", "/api/v1/catalog/remote seen", "/api/v1/servers seen", "look"] {
                    known.put(&JsValue::from_str("text"), Some(&JsValue::from_str(key))).unwrap();
                }
            }
        });
        request.await.unwrap()
    }

    async fn keys_of(store: &'static str) -> Option<Vec<String>> {
        run(1000, async move |database| {
            let transaction = database.transaction(&[store], idb::TransactionMode::ReadOnly)?;
            let keys = transaction.object_store(store)?.get_all_keys(None, None)?.await?;
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
        let names = run(1000, async |database| Ok(database.store_names())).await.unwrap();
        assert_eq!(names, [CATALOG, ENTRIES, KNOWN]);
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
        Factory::new().unwrap().delete(NAME).unwrap().await.unwrap();
        assert_eq!(keys_of(KNOWN).await.unwrap(), [""; 0]);
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
            run(1000, async |database| {
                let transaction = database.transaction(&[KNOWN], idb::TransactionMode::ReadWrite)?;
                transaction.object_store(KNOWN)?.put(&JsValue::from_str("text"), Some(&JsValue::from_str("key")))?;
                Ok(is_committed(transaction).await)
            })
            .await
        };
        testing::fill_disk(true);
        let full = stored().await;
        testing::fill_disk(false);
        assert_eq!((full, stored().await), (Some(false), Some(true)));
    }

    #[wasm_bindgen_test]
    async fn work_that_never_ends_is_given_up() {
        begin().await;
        let ended = Rc::new(Cell::new(false));
        let told = Rc::clone(&ended);
        let never = run(200, async move |_| {
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
