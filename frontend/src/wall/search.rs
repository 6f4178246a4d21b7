//! What was typed into the search field.
//!
//! Each word has to be found: in the text of an image, at the beginning of its digest, or in what goes on with it. Case
//! does not matter. A digest is compared with words that can be one only: else every fourth image had a "de" in it.

use pixelrts_shared::Digest;

use super::index::{Image, Read};
use crate::image::state::State;

/// With fewer digits, a word is no digest: in 10,000 images, four are found in one by chance at most.
const DIGITS: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search(Vec<String>);

impl Search {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase().split_whitespace().map(str::to_owned).collect())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `live`: what goes on with this image, if anything does.
    #[must_use]
    pub fn finds(&self, image: &Image, live: Option<State>, read: Read<'_>) -> bool {
        let has = |word: &String| {
            image.about(read).is_some_and(|about| about.text().contains(word.as_str()))
                || live.is_some_and(|state| state.word().to_lowercase().contains(word.as_str()))
                || is_digest(word) && begins(&image.key(), word)
        };
        self.0.iter().all(has)
    }

    /// All that this search finds, the search `before` has found: a letter was added, as a rule. Then only those images
    /// have to be looked at.
    #[must_use]
    pub fn narrows(&self, before: &Self) -> bool {
        let narrower = |word: &String, old: &String| {
            word.contains(old.as_str()) && (!is_digest(word) || is_digest(old) && word.starts_with(old.as_str()))
        };
        before.0.iter().all(|old| self.0.iter().any(|word| narrower(word, old)))
    }
}

fn is_digest(word: &str) -> bool {
    word.len() >= DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `digits` are lower-case hex digits.
fn begins(digest: &Digest, digits: &str) -> bool {
    let nibbles = digest.as_bytes().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut nibbles = nibbles.map(|nibble| char::from_digit(nibble.into(), 16));
    digits.chars().all(|digit| nibbles.next().flatten() == Some(digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::catalog::MergedEntry;
    use serde_json::json;
    use std::sync::Arc;

    /// Whether all words of a search are found in an image of this name and digest.
    fn finds(search: &Search, name: &str, sha256: &str, live: Option<State>) -> bool {
        let entry: Arc<MergedEntry> = Arc::new(
            serde_json::from_value(json!({
                "id": "debian-12", "name": name, "distro": "Debian", "tags": ["Server"], "size": 1, "version": "12.7",
                "architecture": "x86_64", "kernel_version": "6.1.0-26", "description": "For the class room",
                "sha256": sha256, "segments": [], "cached": false, "status": "idle",
                "sources": [{"server": "office", "name": "Office", "id": "debian-12", "health": {"state": "up"}}]
            }))
            .unwrap(),
        );
        search.finds(&Image::new(entry.entry.sha256, name.to_owned()), live, &|_| Some(Arc::clone(&entry)))
    }

    #[test]
    fn every_word_has_to_be_found_whatever_its_case() {
        let found = |text: &str| finds(&Search::new(text), "Debian Wölke", &"73799068".repeat(8), None);
        for text in
            ["", "  ", "DEB", "WÖLKE debian", "server office", "debian-12", "6.1.0", "class", "x86-64", "not here"]
        {
            assert!(found(text), "{text}");
        }
        assert!(!found("debian alpine") && !found("running"));
    }

    #[test]
    fn a_digest_is_found_by_its_beginning_only() {
        let found = |text: &str| finds(&Search::new(text), "Debian", &"73799068".repeat(8), None);
        assert!(found("7379") && found("73799068737990") && found(&"73799068".repeat(8)) && found("debian 73799068"));
        assert!(!found("737") && !found("9068") && !found("73799069") && !found(&"73799068".repeat(9)));
    }

    #[test]
    fn what_goes_on_with_an_image_is_found() {
        let found = |text: &str, live| finds(&Search::new(text), "Debian", &"00".repeat(32), Some(live));
        assert!(found("debian Run", State::Running) && !found("run", State::Stopped));
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn a_narrower_search_finds_nothing_new(
                name in "[0-9a-f ]{0,12}", sha256 in "[0-9a-f]{64}", before in "[0-9a-fr ]{0,6}", after in "[0-9a-fr ]{0,6}",
                begins in 0usize..2, digits in 1usize..9,
            ) {
                // Half of the searches begin like the digest.
                let before = if begins == 1 { sha256[..digits].to_owned() } else { before };
                let (old, new) = (Search::new(&before), Search::new(&format!("{before}{after}")));
                for live in [None, Some(State::Running)] {
                    let found = |search| finds(search, &name, &sha256, live);
                    prop_assert!(!new.narrows(&old) || !found(&new) || found(&old));
                }
            }
        }

        #[test]
        fn a_letter_more_is_narrower_and_a_letter_less_is_not() {
            let narrows = |new: &str, old: &str| Search::new(new).narrows(&Search::new(old));
            assert!(
                narrows("debian", "debia")
                    && narrows("debian cl", "debian")
                    && narrows("a", "")
                    && narrows("73799", "7379")
            );
            assert!(!narrows("debia", "debian") && !narrows("alpine", "debian"));
            assert!(!narrows("7379", "737"), "the fourth digit makes it a digest, which may be another image's");
        }
    }
}
