//! The merged catalog: everything that can be booted, from this computer and from all servers.

use std::collections::HashMap;
use std::sync::Arc;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::{MergedCatalog, MergedEntry};

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;

/// The entries of a catalog, found by their digest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    /// In the order of the catalog.
    keys: Vec<Digest>,
    entries: HashMap<Digest, Arc<MergedEntry>>,
}

impl Index {
    /// Entries that are equal to those of the index `before` stay the same objects, so that comparing them is cheap.
    #[must_use]
    pub fn new(catalog: Option<&MergedCatalog>, before: Option<&Self>) -> Self {
        let listed = catalog.map_or(&[][..], |catalog| &catalog.entries);
        let shared = |entry: &MergedEntry| {
            let same = before.and_then(|before| before.get(&entry.entry.sha256)).filter(|known| ***known == *entry);
            same.map_or_else(|| Arc::new(entry.clone()), Arc::clone)
        };
        Self {
            keys: listed.iter().map(|entry| entry.entry.sha256).collect(),
            entries: listed.iter().map(|entry| (entry.entry.sha256, shared(entry))).collect(),
        }
    }

    #[must_use]
    pub fn keys(&self) -> &[Digest] {
        &self.keys
    }

    #[must_use]
    pub fn get(&self, key: &Digest) -> Option<&Arc<MergedEntry>> {
        self.entries.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalog(names: [&str; 2]) -> MergedCatalog {
        let entry = |(place, name): (usize, &str)| {
            json!({
                "id": "e", "name": name, "size": 1, "sha256": format!("{place}0").repeat(32), "segments": [],
                "sources": [], "cached": true, "status": "idle"
            })
        };
        let entries: Vec<_> = names.into_iter().enumerate().map(entry).collect();
        serde_json::from_value(json!({"generated_at": "", "stale": false, "entries": entries})).unwrap()
    }

    #[test]
    fn the_order_is_the_catalog_s_and_what_did_not_change_is_shared() {
        let before = Index::new(Some(&catalog(["a", "b"])), None);
        let after = Index::new(Some(&catalog(["a", "c"])), Some(&before));
        let [first, second] = after.keys() else { panic!("two entries: {:?}", after.keys()) };
        assert!(Arc::ptr_eq(before.get(first).unwrap(), after.get(first).unwrap()));
        assert_eq!((&*after.get(second).unwrap().entry.name, &*before.get(second).unwrap().entry.name), ("c", "b"));
        assert_eq!(Index::new(None, Some(&after)), Index::default());
    }
}
