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

#[derive(Clone, Debug)]
pub struct Thumbnails {
    folder: PathBuf,
    turns: Arc<Semaphore>,
    of_servers: ServerPictures,
}

impl Thumbnails {
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        let of_servers = ServerPictures::new(folder.join("servers"));
        Self { folder, turns: Arc::new(Semaphore::new(AT_ONCE)), of_servers }
    }

    /// Removes pictures that earlier versions have kept, which were larger. They are drawn again when somebody wants them.
    pub fn remove_large(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_large = entry.metadata().is_ok_and(|found| found.is_file() && found.len() > MOST_BYTES as u64);
            if is_large && let Err(error) = fs::remove_file(entry.path()) {
                tracing::warn!(%error, "an old thumbnail cannot be removed");
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

    /// The picture that a server shows for a digest.
    pub async fn of_server(
        &self,
        client: &Client,
        server: &Record,
        digest: &Digest,
        address: Option<&str>,
    ) -> Result<Vec<u8>, Problem> {
        let (kept, base) = (&self.of_servers, &server.url);
        if let Some(picture) = kept.find(base, digest) {
            return Ok(picture);
        }
        if let Some(problem) = kept.failure(base, digest, Instant::now()) {
            return Err(problem);
        }
        let picture = self.fetched(client, server, digest, address).await;
        match &picture {
            Ok(picture) => kept.keep(base, digest, picture),
            Err(problem) => kept.failed(base, digest, Instant::now(), problem),
        }
        picture
    }

    async fn fetched(
        &self,
        client: &Client,
        server: &Record,
        digest: &Digest,
        address: Option<&str>,
    ) -> Result<Vec<u8>, Problem> {
        let default = || format!("api/v1/thumbnails/{digest}.png");
        let url = server.resolve(&address.map_or_else(default, str::to_owned)).ok_or_else(|| broken("its address"))?;
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
