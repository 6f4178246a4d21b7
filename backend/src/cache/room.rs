//! Keeps the cache within its limits, and makes room before an image comes: gathers what is here, lets `eviction` decide,
//! and removes what it names.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use nix::sys::statvfs::statvfs;
use pixelrts_shared::Digest;

use super::eviction::{self, Contents, Image, Incomplete, Item, LastUse, Limits, Picture, Removal};
use super::index::{Row, Stamp};
use super::uses::is_held;
use super::{CacheError, Store, life};
use crate::files::Lock;

/// For a store without limits: only the disk ends it.
const UNLIMITED: Limits = Limits { max_size: u64::MAX, ttl: Duration::MAX };
/// A file that claims to be older than PixelRTS was written while the clock was wrong.
const PLAUSIBLE: Duration = Duration::from_secs(50 * 365 * 24 * 3600);

/// Room for an image that is on its way. Others cannot take it as long as this is held.
#[derive(Debug)]
pub struct Room {
    store: Store,
    key: Digest,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.store.reserved().remove(&self.key);
        // From now on nobody continues it.
        if self.store.partial_folder(&self.key).exists() {
            self.store.uses.note(&self.key, self.store.shared.life.now());
        }
    }
}

impl Store {
    /// From now on the cache is brought within these limits.
    pub fn set_limits(&self, limits: Limits) {
        *self.limits() = Some(limits);
    }

    /// Removes what the limits do not allow, but nothing that must stay. When that is not enough, the cache stays larger
    /// than its limit.
    pub fn keep_within_limits(&self) -> Vec<Removal> {
        let Some(limits) = *self.limits() else { return Vec::new() };
        let _one_at_a_time = self.shared.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = self.contents();
        let decision = eviction::decide(&contents, &limits, u64::MAX, false);
        if decision.short.limit > 0 {
            let refusal = contents.refusal(decision.short.limit, limits.max_size);
            tracing::debug!(%refusal, "the cache stays larger than its limit");
        }
        self.carry_out(decision.removals)
    }

    /// Makes room for the image under `key`, which will have `size` bytes in all. Call it before the first byte, and
    /// again with more while a body of unknown length grows. The refusal is in words, and removes nothing.
    pub fn make_room(&self, key: &Digest, size: u64) -> Result<Room, CacheError> {
        let limits = self.limits().unwrap_or(UNLIMITED);
        let _one_at_a_time = self.shared.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = self.contents();
        let here = contents.incomplete.iter().position(|one| one.key == *key).map(|at| contents.incomplete.remove(at));
        let used = LastUse { idle: Duration::ZERO, clock: SystemTime::UNIX_EPOCH };
        let here = here.unwrap_or(Incomplete { key: *key, size: 0, reserved: 0, used, held: true, can_be_had: false });
        let others = contents.clone();
        contents.incomplete.push(Incomplete { reserved: size, held: true, ..here });
        let decision = eviction::decide(&contents, &limits, self.free(), true);
        if decision.short.limit > 0 {
            return Err(CacheError::NoRoom(Box::new(others.refusal(decision.short.limit, limits.max_size))));
        }
        if decision.short.disk > 0 {
            return Err(CacheError::Full { path: self.folder.clone(), needed: decision.short.disk });
        }
        self.carry_out(decision.removals);
        self.reserved().insert(*key, size);
        Ok(Room { store: self.clone(), key: *key })
    }

    /// What the disk has left for this user.
    fn free(&self) -> u64 {
        match statvfs(&self.folder) {
            // Some network file systems do not say it.
            Ok(disk) if disk.blocks() > 0 => disk.blocks_available() * disk.fragment_size(),
            Ok(_) | Err(_) => u64::MAX,
        }
    }

    /// Everything that is here.
    pub(super) fn contents(&self) -> Contents {
        let now = self.shared.life.now();
        let rows = self.index.all().unwrap_or_default();
        let (pinned, last_booted) = (self.pins.all(), self.pins.last_booted());
        let images = self.digests().into_iter().filter_map(|digest| {
            let path = self.path(&digest);
            let file = fs::symlink_metadata(&path).ok().filter(Metadata::is_file)?;
            let used = self.last_use(&digest, now);
            let idle = used.idle.max(set_back(&file, rows.get(&digest)));
            Some(Image {
                digest,
                size: file.len(),
                used: LastUse { idle, ..used },
                pinned: pinned.contains(&digest),
                in_use: is_held(&path),
                last_booted: last_booted == Some(digest),
                can_be_had: self.can_be_had(&digest),
            })
        });
        let reserved = self.reserved().clone();
        let folders = fs::read_dir(&self.partial).into_iter().flatten().flatten();
        let incomplete = folders.filter_map(|folder| {
            let key = folder.file_name().to_str()?.parse().ok()?;
            Some(Incomplete {
                key,
                size: files(&folder.path()).map(|(_, file)| file.len()).sum(),
                reserved: reserved.get(&key).copied().unwrap_or_default(),
                used: self.last_use(&key, now),
                held: is_held(&folder.path().join("lock")),
                can_be_had: self.can_be_had(&key),
            })
        });
        Contents { images: images.collect(), incomplete: incomplete.collect(), pictures: self.pictures() }
    }

    /// Something of which no use is known counts as used now, and its time begins.
    fn last_use(&self, name: &Digest, now: u64) -> LastUse {
        let (last, clock) = self.uses.last(name).unwrap_or_else(|| {
            self.uses.note(name, now);
            (now, SystemTime::UNIX_EPOCH)
        });
        LastUse { idle: life::since(last, now), clock }
    }

    /// The pictures of images: those of this computer, and a folder of them for each server.
    fn pictures(&self) -> Vec<Picture> {
        let mut pictures = Vec::new();
        let mut folders = vec![self.folder.join("thumbnails")];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(entries.filter(|one| one.file_type().is_ok_and(|kind| kind.is_dir())).map(|one| one.path()));
            pictures.extend(files(&folder).map(|(path, file)| Picture {
                path,
                size: file.len(),
                clock: file.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            }));
        }
        pictures
    }

    /// Removes what is still unused, and returns what was removed.
    pub(super) fn carry_out(&self, removals: Vec<Removal>) -> Vec<Removal> {
        removals.into_iter().filter(|removal| self.remove_item(removal)).collect()
    }

    fn remove_item(&self, removal: &Removal) -> bool {
        let removed = match &removal.item {
            Item::Image(digest) => self.remove_unused(digest),
            Item::Incomplete(key) => self.remove_incomplete(key),
            Item::Picture(path) => fs::remove_file(path).map(|()| true),
        };
        let (size_bytes, reason) = (removal.size, &removal.reason);
        match (&removal.item, removed) {
            (_, Ok(false)) => return false,
            (Item::Image(digest), Ok(true)) => {
                tracing::info!(image.digest = %digest, size_bytes, %reason, "an image leaves the cache");
            }
            (Item::Incomplete(key), Ok(true)) => {
                tracing::info!(image.key = %key, size_bytes, %reason, "an incomplete download leaves the cache");
            }
            (Item::Picture(path), Ok(true)) => {
                tracing::debug!(path = %path.display(), size_bytes, %reason, "a picture leaves the cache");
            }
            (item, Err(error)) => {
                tracing::warn!(?item, %error, "something cannot leave the cache");
                return false;
            }
        }
        true
    }

    /// False when somebody uses it.
    fn remove_unused(&self, digest: &Digest) -> io::Result<bool> {
        let before = self.uses.last(digest);
        let file = match File::open(self.path(digest)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        let Some(_lock) = Lock::try_exclusive(file)? else { return Ok(false) };
        // Somebody may have found it a moment ago; from here on nobody can.
        if self.uses.last(digest) != before || self.pins.contains(digest) {
            return Ok(false);
        }
        self.remove(digest).map_err(io::Error::other)?;
        Ok(true)
    }

    /// Removes an incomplete download. False when somebody continues it.
    pub(super) fn remove_incomplete(&self, key: &Digest) -> io::Result<bool> {
        let folder = self.partial_folder(key);
        let lock = match OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            lock => lock?,
        };
        // While the lock is held, as everybody who removes one does.
        let Some(_lock) = Lock::try_exclusive(lock)? else { return Ok(false) };
        fs::remove_dir_all(&folder)?;
        self.uses.forget(key);
        Ok(true)
    }
}

/// The files in a folder, without those of its folders.
fn files(folder: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let file = entry.metadata().ok().filter(Metadata::is_file)?;
        Some((entry.path(), file))
    })
}

/// How far a person has set back the time of a file, as with `touch -d`: that says that it is old. Both times come from
/// the same clock, so their difference is right although the clock may be wrong.
fn set_back(file: &Metadata, row: Option<&Row>) -> Duration {
    let stamp = row.and_then(|row| row.stamp.as_ref());
    let is_changed = stamp.is_some_and(|stamp| stamp.is_of_inode(file.ino()) && *stamp != Stamp::of(file));
    let seconds = u64::try_from(file.ctime().saturating_sub(file.mtime())).unwrap_or_default();
    Some(Duration::from_secs(seconds)).filter(|back| is_changed && *back < PLAUSIBLE).unwrap_or_default()
}
