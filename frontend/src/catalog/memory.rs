//! The catalog in the browser's storage: the entries one by one, with the revision that they are of.

use std::future::IntoFuture;

use futures_util::future::join;
use idb::{Database, Error, TransactionMode};
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::CatalogServer;
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
    run(READ_MS, async |database| {
        let transaction = database.transaction(&[CATALOG, ENTRIES], TransactionMode::ReadOnly)?;
        let entries = transaction.object_store(ENTRIES)?;
        // Both are awaited from the beginning: an answer that nobody awaits yet would be lost.
        let head = transaction.object_store(CATALOG)?.get(JsValue::from_str(HEAD))?.into_future();
        let (head, lines) = join(head, entries.get_all(None, None)?.into_future()).await;
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
    run(WRITE_MS, async move |database| write_now(database, &plan, &line).await).await.unwrap_or(Outcome::Failed)
}

async fn write_now(
    database: &Database,
    plan: &Plan,
    line: &dyn Fn(&Digest) -> Option<JsValue>,
) -> Result<Outcome, Error> {
    let transaction = database.transaction(&[CATALOG, ENTRIES], TransactionMode::ReadWrite)?;
    let catalog = transaction.object_store(CATALOG)?;
    let stored = head_of(catalog.get(JsValue::from_str(HEAD))?.await?);
    let Some((write, head)) = plan(stored.as_ref().map(|head| head.revision.as_str())) else {
        return Ok(Outcome::NotNeeded);
    };
    let revision = write.revision.clone();
    let change = || {
        let entries = transaction.object_store(ENTRIES)?;
        if write.clear {
            entries.clear()?;
        }
        for key in &write.remove {
            entries.delete(JsValue::from_str(&key.to_string()))?;
        }
        for key in &write.put {
            if let Some(line) = line(key) {
                entries.put(&line, Some(&JsValue::from_str(&key.to_string())))?;
            }
        }
        let head = serde_json::to_string(&head).unwrap_or_default();
        catalog.put(&JsValue::from_str(&head), Some(&JsValue::from_str(HEAD))).map(drop)
    };
    if let Err(error) = change() {
        // Without that, the browser would store the part that was asked for.
        transaction.abort()?;
        return Err(error);
    }
    Ok(if is_committed(transaction).await { Outcome::Written(revision) } else { Outcome::Failed })
}

fn head_of(value: Option<JsValue>) -> Option<Head> {
    json::read(&value?.as_string()?).ok()
}
