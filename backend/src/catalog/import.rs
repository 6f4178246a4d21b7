//! An image that a person puts into the folder of the local catalog: its bytes arrive, are checked, and only then become
//! a file there.
//!
//! Everything that can be known before the bytes is checked before the first of them is read ([`Local::admit`]).

mod error;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use nix::sys::statvfs::statvfs;
use pixelrts_shared::catalog::Imported;
use pixelrts_shared::{Digest, EntryId, Problem, ProblemCode};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::sync::OwnedSemaphorePermit;

use super::{Local, read};
use crate::cache::hash_file;
use crate::files::unfinished;
use crate::image::printable;
use crate::task::blocking;

use error::ImportError;

/// Written and hashed at once, in bytes.
const PIECE: usize = 1 << 20;
/// A file system takes names of 255 bytes; this leaves room for what is put before and behind them.
const LONGEST_NAME: usize = 200;
/// So long the response waits until the new image is listed, whatever hangs in the folders.
const LISTED_WITHIN: Duration = Duration::from_secs(20);
const ENDING: &str = ".rts.png";

/// The name of a file in the folder of the local catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

/// An image that may come.
#[derive(Debug)]
pub struct Admitted {
    file: NamedTempFile,
    path: PathBuf,
    length: u64,
    _turn: OwnedSemaphorePermit,
}

/// How an import ended.
#[derive(Debug, PartialEq)]
pub enum Arrived {
    New(Imported),
    /// The same image has this name already.
    Here(Imported),
}

impl std::str::FromStr for FileName {
    type Err = Problem;

    fn from_str(name: &str) -> Result<Self, Problem> {
        let why = match name.strip_suffix(ENDING) {
            None => "It does not end in .rts.png, so the image would never be listed.",
            Some("") => "It has nothing before .rts.png.",
            Some(_) if name.len() > LONGEST_NAME => "It is longer than 200 bytes.",
            Some(_) if name.starts_with('.') => "It begins with a dot, so the image would never be listed.",
            Some(stem) if stem.contains('/') => "It has a slash. The image goes to the folder of the local catalog.",
            // Of a terminal, such that turn the text around, or bytes that are no text.
            Some(stem) if printable(stem) != stem || stem.contains(char::REPLACEMENT_CHARACTER) => {
                "It has characters that cannot be shown."
            }
            Some(_) => return Ok(Self(name.to_owned())),
        };
        Err(ImportError::Name(why).into())
    }
}

impl Local {
    /// Whether an image may come, by all that is known before its first byte. Holds its place until it is dropped.
    pub async fn admit(&self, name: FileName, length: u64) -> Result<Admitted, Problem> {
        let turn = self.turn_to_import().ok_or(ImportError::Crowded)?;
        let folders: Vec<_> = self.folders().map(Path::to_owned).collect();
        blocking(move || {
            let mut refused = None;
            for folder in folders {
                match place(&folder, &name, length) {
                    Ok((file, path)) => return Ok(Admitted { file, path, length, _turn: turn }),
                    // A name that is taken in one folder is not used in another one.
                    Err(problem) if problem.code == ProblemCode::Busy => return Err(problem),
                    Err(problem) => drop(refused.get_or_insert(problem)),
                }
            }
            Err(refused.unwrap_or_else(|| ImportError::NoFolder.into()))
        })
        .await
    }

    /// Takes the bytes of an image. Whatever fails, and whoever stops it, nothing of them stays.
    pub async fn import<E: std::fmt::Display>(
        &self,
        admitted: Admitted,
        pieces: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Arrived, Problem> {
        let Admitted { file, path, length, _turn } = admitted;
        let mut pieces = std::pin::pin!(pieces);
        let (mut file, mut hash, mut came, mut more) = (file, Sha256::new(), 0_u64, true);
        while more {
            let (mut held, mut bytes) = (Vec::new(), 0);
            while bytes < PIECE {
                let Some(piece) = pieces.next().await else {
                    more = false;
                    break;
                };
                let piece = piece.map_err(|error| ImportError::Broken(error.to_string()))?;
                bytes += piece.len();
                held.push(piece);
            }
            came += bytes as u64;
            if came > length {
                return Err(ImportError::Broken("More bytes came than were announced.".to_owned()).into());
            }
            let written = move || {
                for piece in held {
                    hash.update(&piece);
                    file.write_all(&piece)?;
                }
                Ok::<_, io::Error>((file, hash))
            };
            (file, hash) = blocking(written).await.map_err(ImportError::Unwritten)?;
        }
        if came < length {
            return Err(ImportError::Broken("Fewer bytes came than were announced.".to_owned()).into());
        }
        let digest = Digest::new(hash.finalize().into());
        let named = path.clone();
        let is_new = blocking(move || finish(file, &named, &digest)).await?;
        // It is in the catalog when the response comes, if nothing in its folder hangs.
        let _ = tokio::time::timeout(LISTED_WITHIN, self.refresh()).await;
        let imported = self.described(&path, digest);
        Ok(if is_new { Arrived::New(imported) } else { Arrived::Here(imported) })
    }

    fn described(&self, path: &Path, key: Digest) -> Imported {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match self.get(&key) {
            Some(image) => Imported { key, id: image.entry.id.clone(), name: image.entry.name.clone(), file },
            None => {
                let stem = file.trim_end_matches(ENDING);
                Imported { key, id: EntryId::from_name(stem), name: stem.into(), file }
            }
        }
    }
}

/// The file for the bytes, which nobody sees, and the name that it gets at the end.
fn place(folder: &Path, FileName(name): &FileName, length: u64) -> Result<(NamedTempFile, PathBuf), Problem> {
    let path = folder.join(name);
    // The folder itself may be missing, as on the first day; a folder that it is in may be a disk that is not mounted.
    if let Err(error) = fs::create_dir(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(ImportError::Folder { folder: folder.to_owned(), error }.into());
    }
    if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file() || found.len() != length) {
        return Err(ImportError::Taken { path }.into());
    }
    let room = statvfs(folder).map(|disk| disk.blocks_available() * disk.fragment_size());
    // A file system that cannot say it is tried.
    if let Ok(room) = room
        && room < length
    {
        return Err(ImportError::NoRoom { folder: folder.to_owned(), length, room }.into());
    }
    let file = unfinished(folder).map_err(|error| ImportError::Folder { folder: folder.to_owned(), error })?;
    Ok((file, path))
}

/// Gives the file its name when it is an image. True when it is new.
fn finish(file: NamedTempFile, path: &Path, digest: &Digest) -> Result<bool, Problem> {
    file.as_file().sync_all().map_err(ImportError::Unwritten)?;
    read::check_image(file.path())?;
    match file.persist_noclobber(path) {
        Ok(_) => {
            let folder = path.parent().unwrap_or(path);
            let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| {
                let _ = fs::remove_file(path);
                ImportError::Unwritten(error)
            })?;
            Ok(true)
        }
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => match hash_file(path) {
            Ok((there, _)) if there == *digest => Ok(false),
            Ok(_) | Err(_) => Err(ImportError::Taken { path: path.to_owned() }.into()),
        },
        Err(failed) => Err(ImportError::Unwritten(failed.error).into()),
    }
}
