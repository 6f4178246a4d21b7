//! What was found in files, kept in the database for the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pixelrts_shared::Problem;
use rusqlite::params;

use super::LocalImage;
use super::known::Outcome;
use crate::database::Database;
use crate::files::FileIdentity;

/// What read a file: another version of the program may read more out of it. The number behind the version is raised
/// when the same version begins to read files differently.
const READER: &str = concat!(env!("CARGO_PKG_VERSION"), ".2");

/// A handle; clones share the database.
#[derive(Clone, Debug)]
pub(super) struct Memory(Database);

/// A file and what was found in it.
pub(super) type Row = (PathBuf, FileIdentity, Outcome);

impl Memory {
    pub(super) fn new(database: Database) -> Self {
        Self(database)
    }

    /// What was found below a folder. Without it all files are read again, so an error is no more than a warning.
    pub(super) fn load(&self, folder: &Path) -> Vec<Row> {
        let Some(folder) = folder.to_str() else { return Vec::new() };
        let folder = folder.trim_end_matches('/');
        let select = "SELECT path, identity, entry, problem FROM files WHERE reader = ?1 AND path > ?2 AND path < ?3";
        let rows = self.0.with(|sql| {
            let mut statement = sql.prepare(select)?;
            // The character behind the slash is the zero.
            let range = params![READER, format!("{folder}/"), format!("{folder}0")];
            let column = |row: &rusqlite::Row<'_>| {
                Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?, row.get(3)?))
            };
            statement.query_map(range, column)?.collect::<Result<Vec<_>, _>>()
        });
        match rows {
            Ok(rows) => rows
                .into_iter()
                .filter_map(|(path, identity, entry, problem)| row(path, &identity, entry, problem))
                .collect(),
            Err(error) => {
                tracing::warn!(%error, "what image files are is not known, so all of them are read");
                Vec::new()
            }
        }
    }

    /// Keeps what was found in these files, and forgets others, in one transaction. This only saves time at the next
    /// start, so the scan goes on when it fails.
    pub(super) fn save(&self, found: &[Row], forgotten: &[PathBuf]) {
        if found.is_empty() && forgotten.is_empty() {
            return;
        }
        let insert =
            "INSERT OR REPLACE INTO files (path, identity, reader, entry, problem) VALUES (?1, ?2, ?3, ?4, ?5)";
        let saved = self.0.with(|sql| {
            let transaction = sql.unchecked_transaction()?;
            {
                let mut insert = transaction.prepare_cached(insert)?;
                let mut delete = transaction.prepare_cached("DELETE FROM files WHERE path = ?1")?;
                for (path, identity, outcome) in found {
                    let (Some(path), Ok(identity)) = (path.to_str(), serde_json::to_string(identity)) else { continue };
                    match outcome {
                        Outcome::Image(image) => {
                            insert.execute(params![
                                path,
                                identity,
                                READER,
                                serde_json::to_string(&*image.entry).ok(),
                                None::<String>
                            ])?;
                        }
                        Outcome::Broken(problem) => {
                            insert.execute(params![
                                path,
                                identity,
                                READER,
                                None::<String>,
                                serde_json::to_string(problem).ok()
                            ])?;
                        }
                        // These are tried again at the next start.
                        Outcome::Unread { .. } | Outcome::Incomplete { .. } => {
                            delete.execute(params![path])?;
                        }
                    }
                }
                for path in forgotten.iter().filter_map(|path| path.to_str()) {
                    delete.execute(params![path])?;
                }
            }
            transaction.commit()
        });
        if let Err(error) = saved {
            tracing::warn!(%error, "what image files are cannot be remembered");
        }
    }
}

fn row(path: String, identity: &str, entry: Option<String>, problem: Option<String>) -> Option<Row> {
    let (path, identity) = (PathBuf::from(path), serde_json::from_str(identity).ok()?);
    let outcome = match (entry, problem) {
        (Some(entry), _) => {
            let entry = Arc::new(serde_json::from_str(&entry).ok()?);
            Outcome::Image(Arc::new(LocalImage { path: path.clone(), identity, entry }))
        }
        (None, Some(problem)) => Outcome::Broken(serde_json::from_str::<Problem>(&problem).ok()?),
        (None, None) => return None,
    };
    Some((path, identity, outcome))
}
