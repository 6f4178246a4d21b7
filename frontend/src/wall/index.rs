//! All images in the order of the wall, with the texts in which people search.
//!
//! The order needs the names only, so the first cards wait for nothing else. The text of an image is made ready once, by
//! the first search or before it while the page has nothing else to do, and again only when its entry has changed. So a
//! key that is typed costs one pass over ready texts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;

use super::order;
use crate::image::state::State;
use crate::image::text;

/// Images with which something goes on, and what that is.
pub type Live = BTreeMap<Digest, State>;

/// Reads the entry of an image, which may have gone meanwhile.
pub type Read<'a> = &'a dyn Fn(&Digest) -> Option<Arc<MergedEntry>>;

/// One image, ready to be sorted and, once it was read, to be searched.
#[derive(Debug)]
pub struct Image {
    key: Digest,
    name: String,
    order: Vec<u8>,
    about: OnceLock<Option<About>>,
}

/// What tabs and search look at.
#[derive(Debug)]
pub struct About {
    entry: Arc<MergedEntry>,
    /// In lower case, without the digest.
    text: String,
}

impl Image {
    #[must_use]
    pub fn new(key: Digest, name: String) -> Self {
        Self { key, order: order::natural(&name), name, about: OnceLock::new() }
    }

    #[must_use]
    pub fn key(&self) -> Digest {
        self.key
    }

    #[must_use]
    pub fn about(&self, read: Read<'_>) -> Option<&About> {
        self.about.get_or_init(|| read(&self.key).map(About::new)).as_ref()
    }

    /// What was read of it is still so.
    fn is_current(&self, name: &str, read: Read<'_>) -> bool {
        let is_same = |about: &About| read(&self.key).is_some_and(|entry| Arc::ptr_eq(&entry, &about.entry));
        self.name == name && self.about.get().is_none_or(|about| about.as_ref().is_some_and(is_same))
    }
}

impl About {
    #[must_use]
    pub fn new(entry: Arc<MergedEntry>) -> Self {
        let (searched, system) = (entry.searched(), text::system(&entry.entry));
        Self { text: format!("{searched}\n{system}\n{}", State::at_rest(&entry).word()).to_lowercase(), entry }
    }

    #[must_use]
    pub fn entry(&self) -> &MergedEntry {
        &self.entry
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[derive(Debug, Default)]
pub struct Index(Vec<Arc<Image>>);

impl Index {
    /// Images that are the same as in the index `before` are taken from it.
    #[must_use]
    pub fn new(named: impl Iterator<Item = (Digest, String)>, read: Read<'_>, before: Option<&Self>) -> Self {
        let before = before.into_iter().flat_map(|before| &before.0);
        let known: HashMap<_, _> = before.map(|image| (image.key, image)).collect();
        let mut images: Vec<_> = named
            .map(|(key, name)| match known.get(&key) {
                Some(image) if image.is_current(&name, read) => Arc::clone(image),
                _ => Arc::new(Image::new(key, name)),
            })
            .collect();
        // Images of one name keep their order too, whichever server is asked first.
        images.sort_by(|a, b| a.order.cmp(&b.order).then_with(|| (&a.name, a.key).cmp(&(&b.name, b.key))));
        Self(images)
    }

    #[must_use]
    pub fn images(&self) -> &[Arc<Image>] {
        &self.0
    }
}

/// Two indexes of the same objects are the same.
impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(image, other)| Arc::ptr_eq(image, other))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// Images with these names; the digest of each is made from its place.
    pub(crate) fn entries(names: &[&str]) -> BTreeMap<Digest, Arc<MergedEntry>> {
        let entry = |(place, name): (usize, &&str)| {
            let entry = json!({
                "id": "e", "name": name, "size": 1, "sha256": format!("{place:064x}"), "segments": [], "sources": [],
                "cached": true, "status": "idle"
            });
            let entry: MergedEntry = serde_json::from_value(entry).unwrap();
            (entry.entry.sha256, Arc::new(entry))
        };
        names.iter().enumerate().map(entry).collect()
    }

    pub(crate) fn read(entries: &BTreeMap<Digest, Arc<MergedEntry>>) -> impl Fn(&Digest) -> Option<Arc<MergedEntry>> {
        |key| entries.get(key).map(Arc::clone)
    }

    pub(crate) fn index(entries: &BTreeMap<Digest, Arc<MergedEntry>>, before: Option<&Index>) -> Index {
        let named = entries.iter().rev().map(|(key, entry)| (*key, entry.entry.name.to_string()));
        Index::new(named, &read(entries), before)
    }

    #[test]
    fn images_stand_in_natural_order_and_namesakes_always_in_the_same() {
        let entries = entries(&["Image 550", "image 70", "Image 70", "Image 70", "Alpine"]);
        let index = index(&entries, None);
        let order: Vec<_> = index.images().iter().map(|image| (&*image.name, image.key.as_bytes()[31])).collect();
        assert_eq!(order, [("Alpine", 4), ("Image 70", 2), ("Image 70", 3), ("image 70", 1), ("Image 550", 0)]);
    }

    #[test]
    fn the_order_reads_no_entry_and_only_what_changed_is_read_again() {
        let mut entries = entries(&["a", "b", "c"]);
        let names: Vec<_> = entries.iter().map(|(key, entry)| (*key, entry.entry.name.to_string())).collect();
        let before = Index::new(names.into_iter(), &|_| panic!("an entry was read"), None);
        for image in &before.images()[..2] {
            assert!(image.about(&read(&entries)).is_some_and(|about| about.text().contains("on this computer")));
        }
        let second = entries.values_mut().nth(1).unwrap();
        *second = Arc::new(MergedEntry { cached: false, ..MergedEntry::clone(second) });
        let after = index(&entries, Some(&before));
        let same = [0, 1, 2].map(|at| Arc::ptr_eq(&before.images()[at], &after.images()[at]));
        assert_eq!(same, [true, false, true], "the third was not read yet");
        assert!(after.images()[1].about(&read(&entries)).is_some_and(|about| about.text().contains("out of reach")));
        assert!(after != before && index(&entries, Some(&after)) == after);
    }
}
