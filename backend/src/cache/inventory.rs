//! What a person sees of the cache and does with it: looks at it, checks it, removes from it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use nix::fcntl::OFlag;
use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::eviction::{Incomplete, Item, Limits, Reason, Removal};
use super::index::Stamp;
use super::uses::is_held;
use super::{CacheError, Listed, Store};
use crate::clock;

/// A file is hashed in pieces of this size, and the caller hears of each.
const PIECE: usize = 1 << 20;

/// Everything that is here.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// In bytes.
    pub size: u64,
    pub limits: Option<Limits>,
    /// The image that was used last comes first.
    pub images: Vec<KeptImage>,
    /// Key, size, and whether somebody downloads it.
    pub incomplete: Vec<(Digest, u64, bool)>,
    /// The size of all pictures.
    pub pictures: u64,
}

/// A complete image.
#[derive(Clone, Debug)]
pub struct KeptImage {
    pub digest: Digest,
    pub path: PathBuf,
    pub size: u64,
    pub source: Option<String>,
    /// What servers called it when it was fetched.
    pub listed: Vec<Listed>,
    /// Absent when it will be hashed before its next use.
    pub verified_at: Option<String>,
    pub last_used: Option<String>,
    pub idle: Duration,
    pub pinned: bool,
    pub in_use: bool,
    pub last_booted: bool,
    pub can_be_had: bool,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// Its bytes have another digest.
    Damaged(Digest),
    Gone,
}

impl Store {
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let contents = self.contents();
        let mut rows = self.index.all().unwrap_or_default();
        let mut listed = self.index.listed();
        let mut images: Vec<_> = contents.images.iter().collect();
        images.sort_by_key(|image| (image.used.idle, std::cmp::Reverse(image.used.clock), image.digest));
        let images = images.into_iter().map(|image| {
            let path = self.path(&image.digest);
            let stamp = fs::metadata(&path).ok().map(|file| Stamp::of(&file));
            let row = rows.remove(&image.digest);
            let is_known = row.as_ref().is_some_and(|row| row.stamp.is_some() && row.stamp == stamp);
            let (source, verified_at) = row.map(|row| (row.source, row.verified_at)).unzip();
            KeptImage {
                digest: image.digest,
                path,
                size: image.size,
                source: source.flatten(),
                listed: listed.remove(&image.digest).unwrap_or_default(),
                verified_at: verified_at.filter(|_| is_known),
                last_used: self.uses.last(&image.digest).map(|(_, clock)| clock::rfc3339(clock)),
                idle: image.used.idle,
                pinned: image.pinned,
                in_use: image.in_use,
                last_booted: image.last_booted,
                can_be_had: image.can_be_had,
            }
        });
        let incomplete = contents.incomplete.iter().map(|one| (one.key, one.size, one.held));
        Inventory {
            size: contents.size(),
            limits: *self.limits(),
            images: images.collect(),
            incomplete: incomplete.collect(),
            pictures: contents.pictures.iter().map(|picture| picture.size).sum(),
        }
    }

    /// Removes one image as a person asks, and returns its size.
    pub fn discard(&self, digest: &Digest) -> Result<u64, CacheError> {
        let path = self.path(digest);
        let size = match fs::symlink_metadata(&path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(CacheError::NotHere(digest.to_string()));
            }
            Err(error) => return Err(CacheError::Io { path, error }),
        };
        if self.pins.contains(digest) {
            return Err(CacheError::Pinned(*digest));
        }
        if is_held(&path) {
            return Err(CacheError::InUse(*digest));
        }
        self.remove(digest)?;
        tracing::info!(image.digest = %digest, size_bytes = size, reason = %Reason::Asked, "an image leaves the cache");
        Ok(size)
    }

    /// Removes what has arrived of an image, unless somebody downloads it now.
    pub fn discard_incomplete(&self, key: &Digest) -> Result<(), CacheError> {
        let folder = self.partial_folder(key);
        match self.remove_incomplete(key) {
            Ok(true) => Ok(()),
            Ok(false) if folder.exists() => Err(CacheError::Downloading(*key)),
            Ok(false) => Err(CacheError::NotHere(key.to_string())),
            Err(error) => Err(CacheError::Io { path: folder, error }),
        }
    }

    /// Removes everything that a person can do without: images that are neither pinned nor in use, downloads that
    /// nobody continues, and pictures. Returns what was removed, and which images stay and why.
    pub fn clear(&self) -> (Vec<Removal>, Vec<(Digest, CacheError)>) {
        let _one_at_a_time = self.shared.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = self.contents();
        let removal = |item, size| Removal { item, size, reason: Reason::Asked };
        let idle = |one: &&Incomplete| !one.held;
        let incomplete =
            contents.incomplete.iter().filter(idle).map(|one| removal(Item::Incomplete(one.key), one.size));
        let pictures = contents.pictures.iter().map(|one| removal(Item::Picture(one.path.clone()), one.size));
        let mut removed = self.carry_out(incomplete.chain(pictures).collect());
        let mut stay = Vec::new();
        for image in &contents.images {
            match self.discard(&image.digest) {
                Ok(size) => removed.push(removal(Item::Image(image.digest), size)),
                Err(CacheError::NotHere(_)) => {}
                Err(error) => stay.push((image.digest, error)),
            }
        }
        (removed, stay)
    }

    /// Hashes an image and changes nothing. `told` gets the number of bytes after each piece.
    pub fn verify(&self, digest: &Digest, mut told: impl FnMut(u64)) -> Result<Verdict, CacheError> {
        let path = self.path(digest);
        let failed = |error| CacheError::Io { path: path.clone(), error };
        let flags = (OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits();
        let mut file = match fs::OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Verdict::Gone),
            file => file.map_err(failed)?,
        };
        let before = file.metadata().map_err(failed)?;
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece).map_err(failed)? {
                0 => break,
                count => {
                    hasher.update(&piece[..count]);
                    told(count as u64);
                }
            }
        }
        let found = Digest::new(hasher.finalize().into());
        if found != *digest {
            return Ok(Verdict::Damaged(found));
        }
        self.index.put(digest, &before, None);
        Ok(Verdict::Right)
    }
}
