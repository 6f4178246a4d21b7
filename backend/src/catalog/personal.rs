//! What is known of images that no catalog says: where a person has put them, which ones are favorites, when they were
//! listed for the first time, and when they were booted last.
//!
//! It is in memory for all images, and in a database of its own. What a person does is written before it counts. That an
//! image is new is noted together with many others, and a failure costs the date only.

mod arrangement;

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use pixelrts_shared::catalog::{Place, Position};
use pixelrts_shared::{Digest, Problem};
use rusqlite::params;
use rusqlite_migration::M;

use crate::clock;
use crate::database::{Database, DatabaseError, Loss, Schema};
use crate::policy::manifest::manifest;
use arrangement::Arrangement;

pub static SCHEMA: Schema = Schema {
    name: "personal",
    migrations: &[M::up(
        "CREATE TABLE images (
            sha256 TEXT PRIMARY KEY,
            added INTEGER, booted INTEGER,                     -- seconds since 1970
            favorite INTEGER NOT NULL DEFAULT 0,
            x INTEGER, y INTEGER                               -- both, or none
         ) STRICT, WITHOUT ROWID;",
    )],
    // A person would miss it. A backend that does not start would be missed more.
    loss: Loss::Index,
};

manifest! {
    module: "personal",
    database: Some(&SCHEMA)
}

/// Of so many images it is noted when they came. A server could invent new ones for ever.
const MOST: usize = 100_000;

/// Clones share it. The default one is empty and keeps nothing beyond the process.
#[derive(Clone, Debug, Default)]
pub struct Personal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    database: Option<Database>,
    /// Whoever changes something holds it until that is written and counts.
    writing: Mutex<()>,
    known: Mutex<Known>,
}

/// What is in memory.
#[derive(Debug, Default)]
pub(super) struct Known {
    images: HashMap<Digest, Notes>,
    arrangement: Arrangement,
    /// Of these something has changed since the view was brought up to date.
    changed: HashSet<Digest>,
    /// These came, or were forgotten, since the last writing.
    came: HashSet<Digest>,
    forgotten: HashSet<Digest>,
}

/// One image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    pub(super) position: Option<Position>,
    pub(super) favorite: bool,
    pub(super) added: Option<Moment>,
    pub(super) booted: Option<Moment>,
}

/// Seconds since 1970, in as little memory as will do until 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(NonZeroU32);

impl Personal {
    /// What the database knows. What it cannot say is not known.
    #[must_use]
    pub fn load(database: Database) -> Self {
        let known = read(&database).unwrap_or_else(|error| {
            tracing::warn!(%error, "places and favorites of images cannot be read");
            Known::default()
        });
        Self(Arc::new(Inner { database: Some(database), writing: Mutex::default(), known: Mutex::new(known) }))
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of which something has changed since the last call.
    pub(super) fn take_changed(&self) -> HashSet<Digest> {
        std::mem::take(&mut self.known().changed)
    }

    /// Puts images at places, one after the other. Returns all that have another place then.
    pub(super) fn place(&self, moves: &[(Digest, Option<Position>)]) -> Result<Vec<Place>, Problem> {
        let _writing = self.writing();
        let moved = {
            let known = self.known();
            known.arrangement.moved(moves)
        };
        self.keep(|database| put_places(database, &moved))?;
        self.known().put_places(&moved);
        Ok(moved)
    }

    /// Forgets all places.
    pub(super) fn clear_places(&self) -> Result<(), Problem> {
        let _writing = self.writing();
        let placed: Vec<_> = {
            let known = self.known();
            known.arrangement.all().map(|sha256| Place { sha256, position: None }).collect()
        };
        self.keep(|database| database.with(|sql| sql.execute("UPDATE images SET x = NULL, y = NULL", ()).map(drop)))?;
        self.known().put_places(&placed);
        Ok(())
    }

    /// True when that is a change.
    pub(super) fn set_favorite(&self, digest: &Digest, favorite: bool) -> Result<bool, Problem> {
        let _writing = self.writing();
        if self.known().get(digest).favorite == favorite {
            return Ok(false);
        }
        let put = "INSERT INTO images (sha256, favorite) VALUES (?1, ?2)
                   ON CONFLICT (sha256) DO UPDATE SET favorite = ?2";
        self.keep(|database| database.with(|sql| sql.execute(put, params![digest.to_string(), favorite]).map(drop)))?;
        self.known().change(*digest, |notes| notes.favorite = favorite);
        Ok(true)
    }

    /// Notes that a machine is booted from an image now.
    pub fn booted(&self, digest: &Digest) {
        let _writing = self.writing();
        let now = Moment::now();
        let put = "INSERT INTO images (sha256, booted) VALUES (?1, ?2)
                   ON CONFLICT (sha256) DO UPDATE SET booted = ?2";
        let kept = self.keep(|database| {
            let row = params![digest.to_string(), now.map(Moment::seconds)];
            database.with(|sql| sql.execute(put, row).map(drop))
        });
        if let Err(problem) = kept {
            tracing::debug!(image.digest = %digest, why = problem.why, "the time of a boot cannot be noted");
        }
        self.known().change(*digest, |notes| notes.booted = now);
    }

    /// Writes which images came.
    pub(super) fn save(&self) {
        let _writing = self.writing();
        let (came, forgotten): (Vec<_>, _) = {
            let mut known = self.known();
            let came = std::mem::take(&mut known.came);
            let came = came.into_iter().filter_map(|digest| Some((digest, known.get(&digest).added?))).collect();
            (came, std::mem::take(&mut known.forgotten))
        };
        if came.is_empty() && forgotten.is_empty() {
            return;
        }
        if let Err(problem) = self.keep(|database| put_came(database, &came, &forgotten)) {
            tracing::debug!(why = problem.why, "it cannot be noted when images came");
        }
    }

    fn keep(&self, write: impl FnOnce(&Database) -> Result<(), DatabaseError>) -> Result<(), Problem> {
        Ok(self.0.database.as_ref().map_or(Ok(()), write)?)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.0.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    pub(super) fn get(&self, digest: &Digest) -> Notes {
        self.images.get(digest).copied().unwrap_or_default()
    }

    /// Notes of images when they are listed for the first time. `is_listed` says what must not be forgotten.
    pub(super) fn see(&mut self, new: &[Digest], now: Moment, is_listed: impl Fn(&Digest) -> bool) {
        if self.images.len() + new.len() > MOST {
            let (images, forgotten) = (&mut self.images, &mut self.forgotten);
            images.retain(|digest, notes| {
                let stays = is_listed(digest) || *notes != Notes { added: notes.added, ..Notes::default() };
                if !stays {
                    forgotten.insert(*digest);
                }
                stays
            });
        }
        for digest in new {
            if self.images.len() >= MOST && !self.images.contains_key(digest) {
                continue;
            }
            let notes = self.images.entry(*digest).or_default();
            if notes.added.is_none() {
                notes.added = Some(now);
                self.came.insert(*digest);
                self.forgotten.remove(digest);
            }
        }
    }

    fn put_places(&mut self, places: &[Place]) {
        self.arrangement.put(places);
        for Place { sha256, position } in places {
            self.change(*sha256, |notes| notes.position = *position);
        }
    }

    fn change(&mut self, digest: Digest, change: impl FnOnce(&mut Notes)) {
        let notes = self.images.entry(digest).or_default();
        change(notes);
        if *notes == Notes::default() {
            self.images.remove(&digest);
        }
        self.changed.insert(digest);
    }
}

impl Moment {
    pub(super) fn now() -> Option<Self> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Self::of(since.as_secs())
    }

    fn of(seconds: u64) -> Option<Self> {
        Some(Self(NonZeroU32::new(u32::try_from(seconds).ok()?)?))
    }

    fn seconds(self) -> u32 {
        self.0.get()
    }

    /// RFC 3339, UTC.
    pub(super) fn rfc3339(self) -> String {
        clock::rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds().into()))
    }
}

fn read(database: &Database) -> Result<Known, DatabaseError> {
    let rows = database.with(|sql| {
        let mut select = sql.prepare("SELECT sha256, added, booted, favorite, x, y FROM images")?;
        let rows = select.query_map((), |row| {
            let moment = |at| row.get::<_, Option<i64>>(at);
            let position = (row.get::<_, Option<u32>>(4)?).zip(row.get::<_, Option<u32>>(5)?);
            Ok((row.get::<_, String>(0)?, moment(1)?, moment(2)?, row.get::<_, bool>(3)?, position))
        })?;
        rows.collect::<Result<Vec<_>, _>>()
    })?;
    let moment = |seconds: Option<i64>| Moment::of(u64::try_from(seconds?).ok()?);
    let mut known = Known::default();
    for (digest, added, booted, favorite, position) in rows {
        let Ok(digest) = digest.parse() else { continue };
        let position = position.map(|(x, y)| Position { x, y }).filter(|position| position.is_on_the_wall());
        // Somebody may have written into the file: of two with the same place the first one keeps it.
        let position = position.filter(|position| known.arrangement.at(*position).is_none());
        known.arrangement.put(&[Place { sha256: digest, position }]);
        known.images.insert(digest, Notes { position, favorite, added: moment(added), booted: moment(booted) });
    }
    Ok(known)
}

fn put_places(database: &Database, places: &[Place]) -> Result<(), DatabaseError> {
    database.with(|sql| {
        let together = sql.unchecked_transaction()?;
        let mut put = sql.prepare_cached(
            "INSERT INTO images (sha256, x, y) VALUES (?1, ?2, ?3) ON CONFLICT (sha256) DO UPDATE SET x = ?2, y = ?3",
        )?;
        for Place { sha256, position } in places {
            let (x, y) = position.map(|position| (position.x, position.y)).unzip();
            put.execute(params![sha256.to_string(), x, y])?;
        }
        together.commit()
    })
}

fn put_came(database: &Database, came: &[(Digest, Moment)], forgotten: &HashSet<Digest>) -> Result<(), DatabaseError> {
    database.with(|sql| {
        let together = sql.unchecked_transaction()?;
        let mut put = sql.prepare_cached(
            "INSERT INTO images (sha256, added) VALUES (?1, ?2) ON CONFLICT (sha256) DO UPDATE SET added = ?2",
        )?;
        for (digest, added) in came {
            put.execute(params![digest.to_string(), added.seconds()])?;
        }
        let mut remove = sql.prepare_cached("DELETE FROM images WHERE sha256 = ?1")?;
        for digest in forgotten {
            remove.execute([digest.to_string()])?;
        }
        together.commit()
    })
}

#[cfg(test)]
mod tests;
