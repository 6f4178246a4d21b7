//! Narrowing down the wall: by system, architecture and server, each with the number of images that have it.

use std::collections::BTreeMap;

use pixelrts_shared::ServerId;
use pixelrts_shared::catalog::MergedEntry;

use super::index::{About, Index, Read};
use crate::image::text;
use crate::servers::health;

/// What the wall is narrowed down to; at most one value of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    pub system: Option<String>,
    pub architecture: Option<String>,
    pub server: Option<ServerId>,
}

impl Facets {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    #[must_use]
    pub fn holds(&self, entry: &MergedEntry) -> bool {
        let is = |wanted: &Option<String>, has: String| wanted.as_ref().is_none_or(|wanted| *wanted == has);
        is(&self.system, text::distribution(&entry.entry))
            && is(&self.architecture, text::architecture(&entry.entry))
            && self.server.as_ref().is_none_or(|server| entry.sources.iter().any(|source| source.server == *server))
    }
}

/// A value that images have, and how many have it.
pub type Counted<T> = Vec<(T, usize)>;

/// All values by which the wall can be narrowed down, the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub systems: Counted<String>,
    pub architectures: Counted<String>,
    /// Each with its name for people.
    pub servers: Counted<(ServerId, String)>,
}

/// Counts all images of an index, which are read for it.
#[must_use]
pub fn values(index: &Index, read: Read<'_>) -> Values {
    let (mut systems, mut architectures, mut servers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for entry in index.images().iter().filter_map(|image| image.about(read)).map(About::entry) {
        *systems.entry(text::distribution(&entry.entry)).or_default() += 1;
        *architectures.entry(text::architecture(&entry.entry)).or_default() += 1;
        for source in &entry.sources {
            *servers.entry((source.server.clone(), health::name(source))).or_default() += 1;
        }
    }
    Values { systems: ranked(systems), architectures: ranked(architectures), servers: ranked(servers) }
}

fn ranked<T: Ord>(counts: BTreeMap<T, usize>) -> Counted<T> {
    let mut counted: Vec<_> = counts.into_iter().collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counted
}

#[cfg(test)]
mod tests {
    use super::super::index::tests::{entries, index, read};
    use super::*;
    use crate::image::condition::tests::entry;
    use std::sync::Arc;

    fn of(distro: &str, sources: &[(&str, &str)]) -> MergedEntry {
        let mut entry = entry(false, sources);
        entry.entry.distro = Some(serde_json::from_value(serde_json::json!(distro)).unwrap());
        entry
    }

    #[test]
    fn each_kind_narrows_down_and_all_of_them_together() {
        let debian = of("Debian", &[("office", "up"), ("lab", "up")]);
        let wanted = |system: Option<&str>, server: Option<&str>| Facets {
            system: system.map(str::to_owned),
            server: server.map(|server| server.parse().unwrap()),
            architecture: None,
        };
        assert!(Facets::default().is_empty() && Facets::default().holds(&debian));
        assert!(wanted(Some("Debian"), Some("lab")).holds(&debian));
        assert!(!wanted(Some("Debian"), Some("north")).holds(&debian) && !wanted(Some("Alpine"), None).holds(&debian));
        assert!(!Facets { architecture: Some("x86-64".to_owned()), ..Facets::default() }.holds(&debian));
    }

    #[test]
    fn the_most_frequent_value_is_first() {
        let mut entries = entries(&["a", "b", "c"]);
        for (place, listed) in entries.values_mut().enumerate() {
            let sources: &[_] = if place == 0 { &[("office", "up"), ("lab", "up")] } else { &[("lab", "down")] };
            let key = listed.entry.sha256;
            let mut other = of(if place == 0 { "Alpine" } else { "Debian" }, sources);
            other.entry.sha256 = key;
            *listed = Arc::new(other);
        }
        let values = values(&index(&entries, None), &read(&entries));
        assert_eq!(values.systems, [("Debian".to_owned(), 2), ("Alpine".to_owned(), 1)]);
        let servers: Vec<_> = values.servers.iter().map(|((id, _), count)| (id.to_string(), *count)).collect();
        assert_eq!(servers, [("lab".to_owned(), 3), ("office".to_owned(), 1)]);
    }
}
