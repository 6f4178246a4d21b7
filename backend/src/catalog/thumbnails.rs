//! Small pictures of images, made once and kept as files.
//!
//! The picture of an image on this computer is drawn from its own bytes. Until an image is here, its server's picture is
//! used: it is fetched on demand, decoded within limits, drawn again, and kept for that server alone (`server_pictures`).
//! Both are drawn in one way (`picture`).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use pixelrts_shared::{Digest, Problem};
use tokio::sync::Semaphore;

use super::CheckedFile;
use super::error::CatalogError;
use super::picture::{self, MOST_BYTES};
use super::read;
use super::server_pictures::ServerPictures;
use crate::files::{Existing, write_atomically};
use crate::remote::servers::Record;
use crate::remote::{Catalogs, Client};
use crate::task;

/// Drawing takes memory and time, so only this many pictures are drawn at once.
const AT_ONCE: usize = 2;
/// The folder with the pictures of servers.
const OF_SERVERS: &str = "servers";

/// The picture that a server shows for an image.
#[derive(Clone, Copy, Debug)]
pub struct ServerPicture<'a> {
    pub client: &'a Client,
    pub server: &'a Record,
    pub digest: &'a Digest,
    /// Where its catalog says that the picture is.
    pub address: Option<&'a str>,
}

#[derive(Clone, Debug)]
pub struct Thumbnails {
    folder: PathBuf,
    turns: Arc<Semaphore>,
    of_servers: ServerPictures,
}

impl Thumbnails {
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        let of_servers = ServerPictures::new(folder.join(OF_SERVERS));
        Self { folder, turns: Arc::new(Semaphore::new(AT_ONCE)), of_servers }
    }

    /// Removes what earlier versions have kept: larger pictures, and those of servers in folders named by their ids. They
    /// are drawn again when somebody wants them.
    pub fn remove_old(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            // A link is neither a file nor a folder here.
            let removed = match entry.metadata() {
                Ok(found) if found.is_file() && found.len() > MOST_BYTES as u64 => fs::remove_file(&path),
                Ok(found) if found.is_dir() && entry.file_name() != OF_SERVERS => fs::remove_dir_all(&path),
                Ok(_) | Err(_) => Ok(()),
            };
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "old thumbnails cannot be removed");
            }
        }
    }

    /// Removes the pictures of servers that are not listed any more, or not at that address, as long as the scope of
    /// this task runs.
    pub async fn follow(self, catalogs: Catalogs) {
        let mut changes = catalogs.changes();
        let mut known = None;
        loop {
            let bases = catalogs.addresses().ok();
            if bases.is_some() && bases != known {
                let (pictures, stay) = (self.of_servers.clone(), bases.clone().unwrap_or_default());
                task::blocking(move || pictures.retain(&stay)).await;
                known = bases;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The picture of an image that is here, as a PNG file.
    pub async fn of_image(&self, image: CheckedFile) -> Result<Vec<u8>, Problem> {
        let kept = self.folder.join(format!("{}.png", image.digest()));
        // Earlier versions kept larger ones.
        if let Some(picture) = fs::read(&kept).ok().filter(|picture| picture.len() <= MOST_BYTES) {
            return Ok(picture);
        }
        let _turn = self.turns.acquire().await;
        task::blocking(move || {
            let picture = picture::encode(&read::thumbnail(&image, picture::SIDE)?);
            keep(&kept, &picture);
            Ok(picture)
        })
        .await
    }

    /// The picture that a server shows, fetched when it is not kept.
    pub async fn of_server(&self, wanted: ServerPicture<'_>) -> Result<Vec<u8>, Problem> {
        let (kept, base, digest) = (&self.of_servers, &wanted.server.url, wanted.digest);
        if let Some(picture) = kept.find(base, digest) {
            return Ok(picture);
        }
        if let Some(problem) = kept.failure(base, digest, Instant::now()) {
            return Err(problem);
        }
        let picture = self.fetched(wanted).await;
        match &picture {
            Ok(picture) => kept.keep(base, digest, picture),
            Err(problem) => kept.failed(base, digest, Instant::now(), problem),
        }
        picture
    }

    async fn fetched(&self, wanted: ServerPicture<'_>) -> Result<Vec<u8>, Problem> {
        let ServerPicture { client, server, digest, address } = wanted;
        let default = || format!("api/v1/thumbnails/{digest}.png");
        let url = server
            .resolve(&address.map_or_else(default, str::to_owned))
            .ok_or_else(|| broken("its address cannot be used"))?;
        let sent = client.thumbnail(&server.endpoint(), &url).await?;
        let _turn = self.turns.acquire().await;
        task::blocking(move || picture::redraw(&sent).map_err(|error| broken(&error.to_string()))).await
    }
}

/// A picture that cannot be kept is drawn again the next time.
fn keep(path: &Path, picture: &[u8]) {
    let Some(folder) = path.parent() else { return };
    let kept = fs::create_dir_all(folder)
        .and_then(|()| write_atomically(path, Existing::Replace, |file| file.write_all(picture)));
    if let Err(error) = kept {
        tracing::warn!(%error, "a thumbnail cannot be kept");
    }
}

fn broken(why: &str) -> Problem {
    CatalogError::Picture { why: why.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_versions_kept_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (folder.path().join("thumbnails"), folder.path().join("elsewhere"));
        for kept in ["office", "127.0.0.1-8090", "servers/0123"] {
            fs::create_dir_all(root.join(kept)).unwrap();
            fs::write(root.join(kept).join("a.png"), "x").unwrap();
        }
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("link")).unwrap();
        fs::write(root.join("small.png"), "x").unwrap();
        fs::write(root.join("large.png"), vec![0; MOST_BYTES + 1]).unwrap();
        Thumbnails::new(root.clone()).remove_old();
        let mut left: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["link", "servers", "small.png"]);
        assert!(root.join("servers/0123/a.png").exists() && elsewhere.exists());
    }
}
