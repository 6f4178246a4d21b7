//! Makes every declared database with its tables in this version, and closes all connections again.
//!
//! An index that is damaged or of a newer version is moved aside and made again, because it only describes files. What
//! the user has entered is never touched: then the start ends and says what can be done.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use pixelrts_shared::Problem;

use super::{BootstrapError, Handler, Rule, Site, handler};
use crate::database::{Condition, DatabaseError, Loss, Schema};
use crate::files::Lock;

struct Databases;

handler!(Databases);

impl Handler for Databases {
    fn name(&self) -> &'static str {
        "databases"
    }

    fn priority(&self) -> u32 {
        10
    }

    fn rule(&self) -> Rule {
        Rule::Required
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        for (schema, path) in declared(site) {
            match schema.condition(&path) {
                Ok(Condition::Current) => {}
                Err(error) if schema.loss == Loss::Precious => return Err(error.into()),
                Ok(_) | Err(_) => return Ok(true),
            }
        }
        Ok(false)
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let state = &site.paths.state;
        // Another process may do the same now. The lock is released when this process ends, whatever ends it.
        let lock = File::open(state).and_then(Lock::exclusive);
        let _lock = lock.map_err(|error| BootstrapError::Directory { path: state.clone(), error })?;
        let mut made = Vec::new();
        for (schema, path) in declared(site) {
            match repair(schema, &path) {
                Ok(new) => made.extend(new),
                // As on a disk that is full or can only be read: its module keeps the index in memory, and says so.
                Err(problem) if schema.loss == Loss::Index => {
                    tracing::warn!(path = %path.display(), why = problem.why, "an index cannot be made");
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(made)
    }
}

fn declared(site: &Site) -> impl Iterator<Item = (&'static Schema, PathBuf)> {
    let schemas = site.manifests().filter_map(|manifest| manifest.database);
    schemas.filter(|_| site.has_databases()).map(|schema| (schema, site.paths.database(schema.name)))
}

fn repair(schema: &Schema, path: &Path) -> Result<Vec<String>, Problem> {
    let shown = path.display();
    let mut made = Vec::new();
    match (schema.condition(path)?, schema.loss) {
        (Condition::Current, _) => return Ok(made),
        (Condition::Behind, _) => {}
        (Condition::Damaged(why), Loss::Precious) => {
            return Err(DatabaseError::Damaged { path: path.to_owned(), why }.into());
        }
        (Condition::Ahead, Loss::Precious) => return Err(DatabaseError::Ahead { path: path.to_owned() }.into()),
        (Condition::Damaged(_) | Condition::Ahead, Loss::Index) => {
            let aside = aside(path).map_err(|error| BootstrapError::File { path: path.to_owned(), error })?;
            tracing::warn!(path = %shown, aside = %aside.display(), "an index is damaged or of a newer version");
            made.push(format!("{shown} was moved to {}", aside.display()));
        }
    }
    schema.make(path)?;
    made.push(format!("database {shown}"));
    Ok(made)
}

/// Keeps one damaged file, in case somebody wants to examine it.
fn aside(path: &Path) -> io::Result<PathBuf> {
    // This comes first, because a new database must not find the log of the old one.
    for end in ["sqlite3-wal", "sqlite3-shm"] {
        match fs::remove_file(path.with_extension(end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let aside = path.with_extension("sqlite3.damaged");
    fs::rename(path, &aside)?;
    Ok(aside)
}
