//! How much memory the catalogs of all servers may take together. Pure.
//!
//! What is too much is taken from the largest catalogs: all of them may keep the same amount, which is as large as
//! possible, and a smaller catalog stays whole. So a server with a huge catalog never costs another one its entries.

use pixelrts_shared::catalog::{Entry, SegmentSummary};

/// For all servers. A hundred thousand entries as our own server writes them take so much.
pub(super) const MEMORY: usize = 192 << 20;

/// How many bytes an entry takes in memory, about.
pub(super) fn weight(entry: &Entry) -> usize {
    let Entry { id, name, description, version, distro, architecture, kernel_version, cmdline, tags, segments, .. } =
        entry;
    let Entry { memory, cpus, net, url, thumbnail, .. } = entry;
    let words = [version, distro, architecture, kernel_version].into_iter().flatten().map(|text| text.len());
    let texts = [cmdline, memory, cpus, net, url, thumbnail].into_iter().flatten().map(String::len);
    let lists = tags.iter().map(|tag| size_of_val(tag) + tag.len());
    let parts = segments.iter().map(|segment| size_of::<SegmentSummary>() + segment.name.len());
    let long = id.as_str().len() + name.len() + description.as_ref().map_or(0, |text| text.len());
    size_of::<Entry>() + long + words.chain(texts).chain(lists).chain(parts).sum::<usize>()
}

/// How much each catalog may keep, so that all of them together keep no more than `memory`.
pub(super) fn share(memory: usize, mut wanted: Vec<usize>) -> usize {
    wanted.sort_unstable();
    let mut rest = memory;
    for (place, one) in wanted.iter().enumerate() {
        let each = rest / (wanted.len() - place);
        if *one > each {
            return each;
        }
        rest -= one;
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_give_what_is_too_much() {
        assert_eq!(share(100, vec![10, 20, 30]), 100, "there is enough for all");
        assert_eq!(share(100, vec![90, 10, 80]), 45);
        assert_eq!(share(100, vec![1000]), 100);
        assert_eq!(share(0, vec![0, 5]), 0);
    }

    proptest! {
        #[test]
        fn nothing_is_exceeded_nothing_is_wasted_and_small_catalogs_stay_whole(
            memory in 0_usize..10_000, wanted in prop::collection::vec(0_usize..3_000, 1..40),
        ) {
            let each = share(memory, wanted.clone());
            let kept: usize = wanted.iter().map(|one| one.min(&each)).sum();
            prop_assert!(kept <= memory);
            prop_assert!(kept + wanted.len() > memory.min(wanted.iter().sum()));
            let fair = memory / wanted.len();
            prop_assert!(wanted.iter().filter(|one| **one <= fair).all(|one| *one <= each));
        }
    }

    #[test]
    fn a_longer_entry_weighs_more() {
        let entry = |text: &str| -> Entry {
            let json = serde_json::json!({"id": "a", "name": text, "size": 1, "sha256": "0".repeat(64),
                "tags": [text], "cmdline": text, "description": text,
                "segments": [{"name": text, "role": "kernel", "size": 1}]});
            serde_json::from_value(json).unwrap()
        };
        assert_eq!(weight(&entry(&"x".repeat(100))) - weight(&entry("x")), 5 * 99);
    }
}
