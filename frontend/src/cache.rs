//! The cache of the backend: which images are kept on its computer, and how much room they take.

use pixelrts_shared::Digest;
use pixelrts_shared::cache::{CacheContents, CachedImage, IncompleteImage};

use crate::words;

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;

/// What of one image is in the cache.
#[derive(Clone, Debug, PartialEq)]
pub enum Held {
    Nothing,
    Part(IncompleteImage),
    All(CachedImage),
}

impl Held {
    #[must_use]
    pub fn of(contents: &CacheContents, key: &Digest) -> Self {
        let all = contents.items.iter().find(|image| image.sha256 == *key).cloned().map(Self::All);
        let part = || contents.incomplete.iter().find(|image| image.key == *key).cloned().map(Self::Part);
        all.or_else(part).unwrap_or(Self::Nothing)
    }
}

/// How full the cache is: `22.2 MB of 21.5 GB`. The limit is often a thousand times as large.
#[must_use]
pub fn fill(contents: &CacheContents) -> String {
    format!("{} of {}", words::bytes(contents.size), words::bytes(contents.limit))
}

/// What is removed when everything goes that may: how many images and unfinished downloads, and their size.
#[must_use]
pub fn removable(contents: &CacheContents) -> (usize, u64) {
    let items = contents.items.iter().filter(|image| !image.pinned && !image.in_use).map(|image| image.size);
    let parts = contents.incomplete.iter().filter(|image| !image.active).map(|image| image.size);
    let sizes: Vec<_> = items.chain(parts).collect();
    (sizes.len(), sizes.iter().sum::<u64>())
}

/// The question before an image is removed. One that nobody offers cannot be fetched again.
#[must_use]
pub fn removal_question(image: &CachedImage) -> String {
    let size = words::bytes(image.size);
    if image.available {
        format!("Remove {size} from this computer? A server has the image, so it can be fetched again.")
    } else {
        format!("Remove {size} from this computer? No server that answers has the image, so it would be lost.")
    }
}

/// Why an image cannot be removed now.
#[must_use]
pub fn obstacle(image: &CachedImage) -> Option<&'static str> {
    match (image.in_use, image.pinned) {
        (true, _) => Some("A machine uses it."),
        (false, true) => Some("It is pinned."),
        (false, false) => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn contents(items: &Value, incomplete: &Value) -> CacheContents {
        serde_json::from_value(json!({
            "size": 300, "limit": 1000, "ttl": "30d", "items": items, "incomplete": incomplete, "pictures": 5
        }))
        .unwrap()
    }

    pub(crate) fn image(byte: &str, pinned: bool, in_use: bool, available: bool) -> Value {
        json!({
            "sha256": byte.repeat(32), "size": 100, "name": format!("Image {byte}"), "idle_seconds": 60, "pinned": pinned,
            "in_use": in_use, "last_booted": false, "available": available
        })
    }

    #[test]
    fn an_image_is_held_whole_or_in_part_or_not_at_all() {
        let part = json!({"key": "bb".repeat(32), "size": 40, "active": false});
        let contents = contents(&json!([image("aa", false, false, true)]), &json!([part]));
        let held = |byte: &str| Held::of(&contents, &byte.repeat(32).parse().unwrap());
        assert!(matches!(held("aa"), Held::All(image) if image.size == 100));
        assert!(matches!(held("bb"), Held::Part(part) if part.size == 40));
        assert_eq!(held("cc"), Held::Nothing);
    }

    #[test]
    fn what_is_pinned_or_in_use_stays() {
        let items =
            json!([image("aa", true, false, true), image("bb", false, true, true), image("cc", false, false, true)]);
        let parts = json!([
            {"key": "dd".repeat(32), "size": 40, "active": false}, {"key": "ee".repeat(32), "size": 50, "active": true}
        ]);
        let contents = contents(&items, &parts);
        assert_eq!(removable(&contents), (2, 140));
        let obstacles: Vec<_> = contents.items.iter().map(obstacle).collect();
        assert_eq!(obstacles, [Some("It is pinned."), Some("A machine uses it."), None]);
        assert_eq!(fill(&contents).replace('\u{a0}', " "), "300 B of 1.00 KB");
    }

    #[test]
    fn the_question_says_when_an_image_would_be_lost() {
        let contents =
            contents(&json!([image("aa", false, false, true), image("bb", false, false, false)]), &json!([]));
        let lost = contents.items.iter().map(|image| removal_question(image).contains("lost")).collect::<Vec<_>>();
        assert_eq!(lost, [false, true]);
    }
}
