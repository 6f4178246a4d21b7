//! The last good catalog of each server, and how it was the last time, for a start without a network.
//!
//! It goes with its server, and with the address that it came from. Entries are in a table of their own, so that what
//! is known about a catalog can change without them being written again.

use pixelrts_shared::ServerId;
use pixelrts_shared::left_out::LeftOut;
use pixelrts_shared::server::Health;
use pixelrts_shared::text::Text;
use rusqlite::{Connection, OptionalExtension, params};
use url::Url;

/// A catalog as the database keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub head: KeptHead,
    /// Packed entries; or a whole document as versions before 0.2 kept it, which begins with `{`.
    pub entries: Vec<u8>,
}

/// What is known about a catalog besides its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptHead {
    /// As the server calls itself.
    pub name: Text,
    pub generated_at: Text,
    pub version: Option<Version>,
    pub left_out: LeftOut,
}

/// What a server says about the version of its catalog, so that it need not send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Below the server's base: its two catalogs may have the same tag and differ.
    pub place: String,
    pub etag: String,
}

pub(super) const MIGRATION: &str = "
    CREATE TABLE catalogs (
        server TEXT PRIMARY KEY, name TEXT NOT NULL, generated_at TEXT NOT NULL, place TEXT, etag TEXT,
        left_out TEXT NOT NULL
    ) STRICT;
    CREATE TABLE catalog_entries (server TEXT PRIMARY KEY, entries BLOB NOT NULL) STRICT;
    INSERT INTO catalogs SELECT id, '', '', NULL, NULL, '' FROM servers WHERE catalog IS NOT NULL;
    INSERT INTO catalog_entries SELECT id, CAST(catalog AS BLOB) FROM servers WHERE catalog IS NOT NULL;
    ALTER TABLE servers DROP COLUMN catalog;";

pub(super) const HEALTH: &str = "CREATE TABLE healths (server TEXT PRIMARY KEY, health TEXT NOT NULL) STRICT";

/// How a server was when it was asked the last time.
pub(super) fn read_health(sql: &Connection, id: &ServerId) -> rusqlite::Result<Option<Health>> {
    let select = "SELECT health FROM healths WHERE server = ?1";
    let found: Option<String> = sql.query_row(select, [id.as_str()], |row| row.get(0)).optional()?;
    Ok(found.and_then(|health| serde_json::from_str(&health).ok()))
}

/// Keeps how the server at `url` is. When it has another address by now, nothing is kept.
pub(super) fn write_health(sql: &Connection, id: &ServerId, url: &Url, health: &Health) -> rusqlite::Result<()> {
    if !is_current(sql, id, Some(url))? {
        return Ok(());
    }
    let health = serde_json::to_string(health).expect("a health is plain data");
    sql.execute("INSERT OR REPLACE INTO healths VALUES (?1, ?2)", [id.as_str(), &health]).map(drop)
}

fn is_current(sql: &Connection, id: &ServerId, url: Option<&Url>) -> rusqlite::Result<bool> {
    let current = "SELECT 1 FROM servers WHERE id = ?1 AND url = ?2";
    sql.prepare_cached(current)?.exists((id.as_str(), url.map(Url::as_str)))
}

pub(super) fn read(sql: &Connection, id: &ServerId) -> rusqlite::Result<Option<Kept>> {
    let select = "SELECT name, generated_at, place, etag, left_out, entries
        FROM catalogs JOIN catalog_entries USING (server) WHERE server = ?1";
    let kept = |row: &rusqlite::Row<'_>| {
        let text = |name: &str| row.get::<_, String>(name);
        let version = Option::zip(row.get("place")?, row.get("etag")?).map(|(place, etag)| Version { place, etag });
        let left_out = serde_json::from_str(&text("left_out")?).unwrap_or_default();
        let head =
            KeptHead { name: text("name")?.into(), generated_at: text("generated_at")?.into(), version, left_out };
        Ok(Kept { head, entries: row.get("entries")? })
    };
    sql.query_row(select, [id.as_str()], kept).optional()
}

/// Keeps a catalog of the server at `url`; without entries, those that are kept stay. When the server has another
/// address by now, nothing is kept.
pub(super) fn write(
    sql: &Connection,
    id: &ServerId,
    url: &Url,
    head: &KeptHead,
    entries: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let KeptHead { name, generated_at, version, left_out } = head;
    let (place, etag) = version.as_ref().map(|Version { place, etag }| (place, etag)).unzip();
    let left_out = serde_json::to_string(left_out).expect("what was left out is plain data");
    if !is_current(sql, id, Some(url))? {
        return Ok(());
    }
    let insert = "INSERT OR REPLACE INTO catalogs VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    sql.execute(insert, params![id.as_str(), name.as_str(), generated_at.as_str(), place, etag, left_out])?;
    if let Some(entries) = entries {
        sql.execute("INSERT OR REPLACE INTO catalog_entries VALUES (?1, ?2)", params![id.as_str(), entries])?;
    }
    Ok(())
}

/// Forgets what is known of a server that is gone, or that has another address than `url`.
pub(super) fn forget(sql: &Connection, id: &ServerId, url: Option<&Url>) -> rusqlite::Result<()> {
    if is_current(sql, id, url)? {
        return Ok(());
    }
    sql.execute("DELETE FROM healths WHERE server = ?1", [id.as_str()])?;
    sql.execute("DELETE FROM catalogs WHERE server = ?1", [id.as_str()])?;
    sql.execute("DELETE FROM catalog_entries WHERE server = ?1", [id.as_str()]).map(drop)
}
