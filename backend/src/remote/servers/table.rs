//! The table of servers: its rows, and the SQL that reads and writes them.

use pixelrts_shared::ServerId;
use pixelrts_shared::text::Text;
use rusqlite::{Connection, Row, params};
use rusqlite_migration::M;
use url::Url;

use super::access::{Access, AccessChange};
use super::kept;
use crate::database::{Loss, Schema};
use crate::remote::client::Credentials;
use crate::remote::egress::Origin;

/// The servers of the user, each with its last good catalog.
pub static SCHEMA: Schema = Schema {
    name: "servers",
    migrations: &[
        M::up(
            "CREATE TABLE servers (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL UNIQUE, color TEXT,
            priority INTEGER NOT NULL, enabled INTEGER NOT NULL, auth TEXT,
            catalog TEXT,                      -- the last good one, as it was sent
            configured TEXT                    -- where the configuration sets it; NULL: somebody added it
         ) STRICT;",
        ),
        M::up(kept::MIGRATION),
        // `auth` is a bearer token; `allow` are origins, one on each line.
        M::up(
            "ALTER TABLE servers ADD COLUMN user TEXT;
            ALTER TABLE servers ADD COLUMN password TEXT;
            ALTER TABLE servers ADD COLUMN allow TEXT NOT NULL DEFAULT '';
            ALTER TABLE servers ADD COLUMN ca_file TEXT;
            ALTER TABLE servers ADD COLUMN pin TEXT;",
        ),
        M::up(kept::HEALTH),
    ],
    loss: Loss::Precious,
};

/// A server with its secret: never leaves the backend.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub id: ServerId,
    pub name: Text,
    pub url: Url,
    pub color: Option<String>,
    pub priority: u32,
    pub enabled: bool,
    pub access: Access,
    /// Where the configuration sets it; absent: somebody added it.
    pub configured: Option<String>,
}

/// The secret stays out of logs.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("id", &self.id).field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

pub(super) fn list(sql: &Connection) -> rusqlite::Result<Vec<Record>> {
    sql.prepare_cached("SELECT * FROM servers ORDER BY priority, id")?.query_map((), record)?.collect()
}

pub(super) fn write(sql: &Connection, record: &Record) -> rusqlite::Result<()> {
    let insert = "INSERT INTO servers (id, name, url, color, priority, enabled, configured, auth, user, password,
            allow, ca_file, pin)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE SET name = ?2, color = ?4, priority = ?5, enabled = ?6, configured = ?7, auth = ?8,
            user = ?9, password = ?10, allow = ?11, ca_file = ?12, pin = ?13, url = ?3";
    // A catalog belongs to an address.
    kept::forget(sql, &record.id, Some(&record.url))?;
    let Record { id, name, url, color, priority, enabled, access, configured } = record;
    let (auth, user, password) = match &access.credentials {
        Some(Credentials::Bearer(token)) => (Some(token), None, None),
        Some(Credentials::Basic { user, password }) => (None, Some(user), Some(password)),
        None => (None, None, None),
    };
    let allow = access.allow.iter().map(Origin::as_str).collect::<Vec<_>>().join("\n");
    let (ca_file, pin) = access.trust.parts();
    let row = params![
        id.as_str(),
        name.as_str(),
        url.as_str(),
        color,
        priority,
        enabled,
        configured,
        auth,
        user,
        password,
        allow,
        ca_file,
        pin.map(|pin| pin.to_string())
    ];
    sql.execute(insert, row)?;
    Ok(())
}

pub(super) fn delete(sql: &Connection, id: &ServerId) -> rusqlite::Result<()> {
    kept::forget(sql, id, None)?;
    sql.execute("DELETE FROM servers WHERE id = ?1", [id.as_str()]).map(drop)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let text = |name: &str| row.get::<_, String>(name);
    let broken = |name: &str, error: String| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, format!("{name}: {error}").into())
    };
    let access = Access::default().changed(AccessChange {
        auth: row.get("auth")?,
        user: row.get("user")?,
        password: row.get("password")?,
        allow: Some(text("allow")?.lines().map(str::to_owned).collect()),
        ca_file: row.get("ca_file")?,
        pin: row.get("pin")?,
    });
    Ok(Record {
        id: text("id")?.parse().map_err(|error: pixelrts_shared::id::InvalidId| broken("id", error.to_string()))?,
        name: text("name")?.into(),
        url: Url::parse(&text("url")?).map_err(|error| broken("url", error.to_string()))?,
        color: row.get("color")?,
        priority: row.get("priority")?,
        enabled: row.get("enabled")?,
        access: access.map_err(|error| broken("access", error.to_string()))?,
        configured: row.get("configured")?,
    })
}
