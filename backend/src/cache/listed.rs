//! What servers called an image when it was fetched, so that it is found by these words when none of them answers, or
//! none is listed any more.

use std::collections::HashMap;

use pixelrts_shared::text::Text;
use pixelrts_shared::{Digest, EntryId, ServerId};

use super::Store;

/// An image in the list of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub server: ServerId,
    pub id: EntryId,
    pub name: Text,
}

impl Listed {
    fn is_at(&self, server: Option<&ServerId>) -> bool {
        server.is_none_or(|server| self.server == *server)
    }

    fn is_called(&self, word: &str) -> bool {
        self.id.as_str() == word || self.name.as_str() == word
    }
}

impl Store {
    /// Remembers what servers call an image that is here.
    pub fn remember_listed(&self, digest: &Digest, listed: &[Listed]) {
        if self.path(digest).exists() {
            listed.iter().for_each(|one| self.index.put_listed(digest, one));
            self.has_changed();
        }
    }

    /// What servers called each image.
    #[must_use]
    pub fn listed(&self) -> HashMap<Digest, Vec<Listed>> {
        self.index.listed()
    }

    /// The images that servers, or the one that is named, listed with this digest, id or name when they were fetched.
    #[must_use]
    pub fn listed_as(&self, word: &str, server: Option<&ServerId>) -> Vec<(Digest, Listed)> {
        let listed = self.index.listed().into_iter().filter(|(digest, _)| self.path(digest).exists());
        let called = listed.filter_map(|(digest, listed)| {
            let is_meant = |one: &Listed| one.is_at(server) && (one.is_called(word) || digest.to_string() == word);
            Some((digest, listed.into_iter().find(is_meant)?))
        });
        called.collect()
    }
}
