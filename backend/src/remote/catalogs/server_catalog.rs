//! The catalog of one server in memory, in which an entry is found by its digest or its id without a search.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::budget::weight;
use crate::remote::address::without_secrets;
use pixelrts_shared::catalog::{Catalog, Entry};
use pixelrts_shared::text::Text;
use pixelrts_shared::{Digest, EntryId};

/// What a server offers. It never changes: a new answer of the server makes a new one, which shares the entries that
/// stayed the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerCatalog {
    name: Text,
    generated_at: Text,
    /// In the server's order, no digest twice.
    entries: Vec<Arc<Entry>>,
    /// Places in `entries`, in the order of digests, and in the order of ids.
    by_digest: Vec<u32>,
    by_id: Vec<u32>,
}

impl ServerCatalog {
    /// Of entries with the same digest, the first one counts.
    #[must_use]
    pub fn new(catalog: Catalog) -> Self {
        let entries = catalog.entries.into_iter().map(Arc::new);
        Self::of(catalog.name, catalog.generated_at, entries.collect())
    }

    pub(super) fn of(name: Text, generated_at: Text, mut entries: Vec<Arc<Entry>>) -> Self {
        let mut seen = HashSet::with_capacity(entries.len());
        entries.retain(|entry| seen.insert(entry.sha256));
        drop(seen);
        let places = 0..u32::try_from(entries.len()).expect("the number of entries is limited");
        let (mut by_digest, mut by_id): (Vec<u32>, Vec<u32>) = (places.clone().collect(), places.collect());
        by_digest.sort_unstable_by_key(|at| entries[*at as usize].sha256);
        by_id.sort_by(|a, b| entries[*a as usize].id.cmp(&entries[*b as usize].id));
        Self { name, generated_at, entries, by_digest, by_id }
    }

    /// Its first entries, which take no more than `memory`, and what they take.
    pub(super) fn first(&self, memory: usize) -> (Self, usize) {
        let mut kept = 0;
        let fits = |entry: &&Arc<Entry>| {
            let with_it = kept + weight(entry);
            let fits = with_it <= memory;
            kept = if fits { with_it } else { kept };
            fits
        };
        let entries = self.entries.iter().take_while(fits).cloned().collect();
        (Self::of(self.name.clone(), self.generated_at.clone(), entries), kept)
    }

    /// As the server calls itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All entries, in the server's order.
    #[must_use]
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<&Arc<Entry>> {
        let at = self.by_digest.binary_search_by_key(digest, |at| self.entries[*at as usize].sha256).ok()?;
        Some(&self.entries[self.by_digest[at] as usize])
    }

    /// The entries with an id: usually one, but nothing keeps a server from giving an id twice.
    pub fn with_id<'a>(&'a self, id: &'a EntryId) -> impl Iterator<Item = &'a Arc<Entry>> {
        let entry = |at: &u32| &self.entries[*at as usize];
        let start = self.by_id.partition_point(|at| entry(at).id < *id);
        self.by_id[start..].iter().map(entry).take_while(|entry| entry.id == *id)
    }

    /// As the document that the server sends.
    #[must_use]
    pub fn to_catalog(&self) -> Catalog {
        Catalog {
            format: Catalog::FORMAT,
            name: self.name.clone(),
            generated_at: self.generated_at.clone(),
            entries: self.entries.iter().map(|entry| without_secrets(Cow::Borrowed(entry)).into_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(id: u8, digest: u8) -> Entry {
        let digest = Digest::new([digest; 32]);
        let json = serde_json::json!({"id": format!("e{id}"), "name": "x", "size": 1, "sha256": digest});
        serde_json::from_value(json).unwrap()
    }

    proptest! {
        /// Looking up finds what a search through all entries finds.
        #[test]
        fn looking_up_is_searching(list in prop::collection::vec((0_u8..6, 0_u8..8), 0..12)) {
            let entries: Vec<_> = list.iter().map(|(id, digest)| entry(*id, *digest)).collect();
            let catalog = Catalog { format: 1, name: "n".into(), generated_at: Text::default(), entries: entries.clone() };
            let catalog = ServerCatalog::new(catalog);
            for digest in 0..8_u8 {
                let digest = Digest::new([digest; 32]);
                let found = catalog.find(&digest).map(|entry| Entry::clone(entry));
                prop_assert_eq!(found, entries.iter().find(|entry| entry.sha256 == digest).cloned());
            }
            for id in 0..6_u8 {
                let id: EntryId = format!("e{id}").parse().unwrap();
                let found: Vec<_> = catalog.with_id(&id).collect();
                let expected: Vec<_> = catalog.entries().iter().filter(|entry| entry.id == id).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
