//! What this computer offers to others: the images of its folders and of its cache, with their pictures.

use pixelrts_shared::{Digest, Problem, ServerId};

use super::image_file::file_here;
use super::{CheckedFile, FilesInUse, Local, ServerPicture, Thumbnails};
use crate::cache::Store;
use crate::remote::Remote;

/// A struct of handles; clones share everything.
#[derive(Clone, Debug)]
pub struct Offered {
    pub local: Local,
    /// Cached images are offered, too; a server of role `catalog` offers its folders only.
    pub store: Option<Store>,
    pub thumbnails: Thumbnails,
    pub in_use: FilesInUse,
}

impl Offered {
    /// The verified file of an image that is offered here. Before the first scan nothing is known to be missing, so
    /// this waits for it.
    pub async fn file(&self, digest: &Digest) -> Result<Option<CheckedFile>, Problem> {
        if let Some(file) = self.in_use.get(digest) {
            return Ok(Some(file));
        }
        let mut file = file_here(&self.local, self.store.as_ref(), digest).await?;
        if file.is_none() {
            self.local.scanned().await?;
            file = file_here(&self.local, self.store.as_ref(), digest).await?;
        }
        file.iter().for_each(|file| self.in_use.add(file));
        Ok(file)
    }

    /// The picture of an image that is offered here, as a PNG file.
    pub async fn thumbnail(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        match self.file(digest).await? {
            Some(file) => Ok(Some(self.thumbnails.of_image(file).await?)),
            None => Ok(None),
        }
    }

    /// The picture that a server shows for an image.
    pub async fn remote_thumbnail(
        &self,
        remote: &Remote,
        server: &ServerId,
        digest: &Digest,
    ) -> Result<Vec<u8>, Problem> {
        let known = remote.catalogs.known_server(server)?;
        let entry = known.catalog.as_ref().and_then(|catalog| catalog.find(digest));
        let address = entry.and_then(|entry| entry.thumbnail.as_deref());
        self.thumbnails
            .of_server(ServerPicture { client: &remote.client, server: &known.server, digest, address })
            .await
    }
}
