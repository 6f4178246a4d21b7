//! The catalog in the browser's storage: the entries one by one, with the revision that they are of.

use futures_util::future::{join, join_all};
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::CatalogServer;
use rexie::{Error, Transaction, TransactionMode};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use super::kept::Write;
use crate::json;
use crate::storage::database::{CATALOG, ENTRIES, is_committed, run};

/// Where the revision and the servers are.
const HEAD: &str = "head";
const READ_MS: u32 = 3_000;
/// Ten thousand entries on a slow disk take seconds.
const WRITE_MS: u32 = 20_000;

/// What the entries are of.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) revision: String,
    pub(super) servers: Vec<CatalogServer>,
}

pub(super) struct Stored {
    pub(super) head: Head,
    pub(super) lines: Vec<String>,
}

pub(super) enum Outcome {
    /// What is stored is as new or newer.
    NotNeeded,
    Written(String),
    /// There is no room, or no database.
    Failed,
}

pub(super) async fn read() -> Option<Stored> {
    run(READ_MS, TransactionMode::ReadOnly, &[CATALOG, ENTRIES], async |transaction| {
        let (catalog, entries) = (transaction.store(CATALOG)?, transaction.store(ENTRIES)?);
        let (head, lines) = join(catalog.get(JsValue::from_str(HEAD)), entries.get_all(None, None)).await;
        let lines = lines?.iter().filter_map(JsValue::as_string).collect();
        Ok(head_of(head?).map(|head| Stored { head, lines }))
    })
    .await?
}

/// What is to be written where this revision is stored.
type Plan = dyn Fn(Option<&str>) -> Option<(Write, Head)>;

/// Changes what is stored, in one transaction: others see all of it or nothing. `plan` says what is to be written where
/// a revision is stored, and `line` is the text of an entry.
pub(super) async fn write(
    plan: impl Fn(Option<&str>) -> Option<(Write, Head)> + 'static,
    line: impl Fn(&Digest) -> Option<JsValue> + 'static,
) -> Outcome {
    let work = async move |transaction| write_now(transaction, &plan, &line).await;
    run(WRITE_MS, TransactionMode::ReadWrite, &[CATALOG, ENTRIES], work).await.unwrap_or(Outcome::Failed)
}

async fn write_now(
    transaction: Transaction,
    plan: &Plan,
    line: &dyn Fn(&Digest) -> Option<JsValue>,
) -> Result<Outcome, Error> {
    let stored = head_of(transaction.store(CATALOG)?.get(JsValue::from_str(HEAD)).await?);
    let Some((write, head)) = plan(stored.as_ref().map(|head| head.revision.as_str())) else {
        return Ok(Outcome::NotNeeded);
    };
    if let Err(error) = change(&transaction, &write, &head, line).await {
        // Without that, the browser would store the part that was asked for.
        _ = transaction.abort().await;
        return Err(error);
    }
    Ok(if is_committed(transaction).await { Outcome::Written(write.revision) } else { Outcome::Failed })
}

async fn change(
    transaction: &Transaction,
    write: &Write,
    head: &Head,
    line: &dyn Fn(&Digest) -> Option<JsValue>,
) -> Result<(), Error> {
    let entries = transaction.store(ENTRIES)?;
    if write.clear {
        entries.clear().await?;
    }
    let name = |key: &Digest| JsValue::from_str(&key.to_string());
    // All are awaited to the end: the browser calls what it was given for each outcome.
    join_all(write.remove.iter().map(|key| entries.delete(name(key)))).await.into_iter().collect::<Result<(), _>>()?;
    entries.put_all(write.put.iter().filter_map(|key| Some((line(key)?, Some(name(key)))))).await?;
    let head = serde_json::to_string(head).unwrap_or_default();
    transaction.store(CATALOG)?.put(&JsValue::from_str(&head), Some(&JsValue::from_str(HEAD))).await?;
    Ok(())
}

fn head_of(value: Option<JsValue>) -> Option<Head> {
    json::read(&value?.as_string()?).ok()
}
