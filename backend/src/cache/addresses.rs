//! What an address had when it was fetched the last time: `addresses/{key}` names the image and the server's validator.
//!
//! With it, an image that is here is not transferred again when its server still has the same one, and it can be used
//! when its server is away. The key is a hash: an address may hold secrets. A file that cannot be read, or whose image is
//! gone, only costs a transfer.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use pixelrts_shared::Digest;
use serde::{Deserialize, Serialize};

use super::{CacheError, Cached, Store};
use crate::clock;
use crate::files::{Existing, write_atomically};

/// A complete image that an address had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressCopy {
    pub cached: Cached,
    /// In the server's words.
    pub validator: Option<String>,
    /// When the server was asked the last time.
    pub checked_at: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    sha256: Digest,
    #[serde(default)]
    validator: Option<String>,
    checked_at: String,
}

impl Store {
    /// The copy of what this address had.
    pub fn copy_of(&self, address: &Digest) -> Result<Option<AddressCopy>, CacheError> {
        let path = self.address(address);
        let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let Some(Kept { sha256, validator, checked_at }) = kept else { return Ok(None) };
        let Some(cached) = self.find(&sha256)? else {
            let _ = fs::remove_file(path);
            return Ok(None);
        };
        Ok(Some(AddressCopy { cached, validator, checked_at }))
    }

    /// Remembers that the server has this image at this address now.
    pub fn remember_address(&self, address: &Digest, image: &Digest, validator: Option<&str>) {
        let kept = Kept { sha256: *image, validator: validator.map(ToOwned::to_owned), checked_at: clock::now() };
        let path = self.address(address);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            write_atomically(&path, Existing::Replace, |file| file.write_all(&serde_json::to_vec(&kept)?))
        });
        if let Err(error) = written {
            tracing::debug!(path = %path.display(), %error, "what an address had cannot be remembered");
        }
    }

    fn address(&self, address: &Digest) -> PathBuf {
        self.folder.join("addresses").join(address.to_string())
    }
}
