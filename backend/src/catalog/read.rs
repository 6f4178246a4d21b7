//! Reading an image file: what it is, and the entry that describes it. This is the only place of the catalog that opens
//! images.
//!
//! The head of a file is read first: what is no image is recognized by it, without reading the rest.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pixelrts_shared::catalog::{Entry, SegmentSummary};
use pixelrts_shared::{Digest, EntryId, Problem};
use sha2::{Digest as _, Sha256};

use super::CheckedFile;
use super::turns::Turns;
use crate::blob::FileBlob;
use crate::files::{FileIdentity, open_regular};
use crate::image::{Depth, Image, ImageError, Limits, Thumbnail};

/// Read and hashed at once, in bytes.
const PIECE: usize = 1 << 20;

/// What a file was when it was read, and what was found in it.
pub(super) type Found = (FileIdentity, Result<Entry, Unfit>);

/// Why a file has no entry.
#[derive(Debug)]
pub(super) enum Unfit {
    /// Whoever reads it was asked to stop.
    Stopped,
    /// Somebody wrote into it while it was read.
    Changed,
    Image(ImageError),
}

impl<E: Into<ImageError>> From<E> for Unfit {
    fn from(error: E) -> Self {
        Self::Image(error.into())
    }
}

/// Reads a file to its end: what it is now, and what was found in it. `go_on` is asked before each piece.
pub(super) fn file(path: &Path, turns: &Turns, go_on: &mut dyn FnMut() -> bool) -> io::Result<Found> {
    let (_, found) = open_regular(path)?;
    std::thread::sleep(until_settled(&found, SystemTime::now()));
    let (file, before) = open_regular(path)?;
    let entry = whole(path, &file, before.size, turns, go_on);
    let after = FileIdentity::of(&file.metadata()?);
    Ok((after, if after == before { entry } else { Err(Unfit::Changed) }))
}

fn whole(path: &Path, file: &File, size: u64, turns: &Turns, go_on: &mut dyn FnMut() -> bool) -> Result<Entry, Unfit> {
    let blob = FileBlob::of(file.try_clone()?)?;
    let image = Image::open_with(Box::new(blob), &Limits::default(), &mut |_, _| {
        // What is decoded is decoded to its end; this only says that it goes on.
        go_on();
    })?;
    let digest = hash(file, size, turns, go_on)?;
    Ok(describe(path, &image, digest, size))
}

/// The digest of the file. It is read outside of the turn: a disk may hang, and would keep it.
fn hash(file: &File, size: u64, turns: &Turns, go_on: &mut dyn FnMut() -> bool) -> Result<Digest, Unfit> {
    let (mut hasher, mut buffer, mut at) = (Sha256::new(), vec![0; PIECE], 0);
    while at < size {
        if !go_on() {
            return Err(Unfit::Stopped);
        }
        let count = usize::try_from(size - at).map_or(PIECE, |rest| rest.min(PIECE));
        file.read_exact_at(&mut buffer[..count], at)?;
        turns.take(|| hasher.update(&buffer[..count]));
        at += count as u64;
    }
    Ok(Digest::new(hasher.finalize().into()))
}

/// How long to wait before a file is read, so that whoever writes into it afterwards gives it another time: file systems
/// count time in steps, and those that count whole seconds in steps of up to two of them.
fn until_settled(file: &FileIdentity, now: SystemTime) -> Duration {
    let step = if file.changed.nanoseconds == 0 { Duration::from_secs(2) } else { Duration::from_millis(20) };
    file.changed.age(now).map_or(Duration::ZERO, |age| step.saturating_sub(age))
}

/// The entry of an image whose digest is known.
pub(super) fn entry(file: &CheckedFile) -> Result<Entry, Problem> {
    let image = Image::open(Box::new(file.blob().map_err(ImageError::from)?), &Limits::default())?;
    Ok(describe(file.path(), &image, *file.digest(), file.size()))
}

/// The id is the file's name.
fn describe(path: &Path, image: &Image, sha256: Digest, size: u64) -> Entry {
    let metadata = image.metadata().clone();
    let stem = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().trim_end_matches(".rts.png");
    Entry {
        id: EntryId::from_name(stem),
        name: metadata.name.as_deref().unwrap_or(stem).into(),
        description: metadata.description.map(Into::into),
        version: metadata.version.map(Into::into),
        distro: metadata.distro.map(Into::into),
        architecture: metadata.architecture.map(Into::into),
        kernel_version: metadata.kernel_version.map(Into::into),
        cmdline: metadata.cmdline,
        tags: Vec::new(),
        size,
        sha256,
        index_sha256: image.index_digest(),
        segments: image
            .segments()
            .iter()
            .map(|segment| SegmentSummary {
                name: segment.name.as_str().into(),
                role: segment.role,
                size: segment.size,
                sha256: segment.sha256,
            })
            .collect(),
        width: Some(image.width()),
        height: Some(image.height()),
        memory: metadata.memory,
        cpus: metadata.cpus,
        net: metadata.net,
        url: None,
        thumbnail: None,
    }
}

/// Checks a file for which no catalog promises a digest: it must be a complete image that matches its own index.
pub fn check_image(path: &Path) -> Result<(), Problem> {
    Image::open_file(path, &Limits::default())?.verify(Depth::Strips, &mut |_| {})?;
    Ok(())
}

/// An opaque picture of the image, at most `side` pixels wide and high.
pub(super) fn thumbnail(file: &CheckedFile, side: u32) -> Result<Thumbnail, Problem> {
    let blob = file.blob().map_err(ImageError::from)?;
    Ok(Image::open(Box::new(blob), &Limits::default())?.thumbnail(side)?)
}
