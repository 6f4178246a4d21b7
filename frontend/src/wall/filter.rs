//! Tabs and search: which entries the wall shows.

use pixelrts_shared::catalog::MergedEntry;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    #[default]
    All,
    Local,
    Remote,
    Offline,
    Running,
}

impl Tab {
    pub const ALL: [Self; 5] = [Self::All, Self::Local, Self::Remote, Self::Offline, Self::Running];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Local => "Local",
            Self::Remote => "Remote",
            Self::Offline => "Offline",
            Self::Running => "Running",
        }
    }

    /// `has_begun`: a machine of this image runs or boots.
    #[must_use]
    pub fn holds(self, entry: &MergedEntry, has_begun: bool) -> bool {
        match self {
            Self::All => true,
            Self::Local => entry.sources.iter().any(|source| source.server.is_local()),
            Self::Remote => entry.sources.iter().any(|source| !source.server.is_local()),
            Self::Offline => entry.cached,
            Self::Running => has_begun,
        }
    }
}

/// What was typed into the search field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search(Vec<String>);

impl Search {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.split_whitespace().map(lowercase).collect())
    }

    /// Each word has to be somewhere in the text of the entry, or in the name of a server that has it.
    #[must_use]
    pub fn finds(&self, entry: &MergedEntry) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let text = lowercase(&entry.searched());
        self.0.iter().all(|word| text.contains(word))
    }
}

/// The browser has the tables of Unicode already; with those of the standard library, every visitor would download them.
#[cfg(target_arch = "wasm32")]
fn lowercase(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

#[cfg(not(target_arch = "wasm32"))]
fn lowercase(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(server: &str, cached: bool) -> MergedEntry {
        serde_json::from_value(json!({
            "id": "debian-12", "name": "Debian cloud", "distro": "Debian", "tags": ["Server"], "size": 1,
            "sha256": "00".repeat(32), "segments": [], "cached": cached, "status": "idle",
            "sources": [{"server": server, "name": "Office", "id": "debian-12", "health": {"state": "up"}}]
        }))
        .unwrap()
    }

    #[test]
    fn every_word_has_to_be_found_whatever_its_case() {
        let entry = entry("office", false);
        for text in ["", "  ", "DEB", "cloud debian", "server office", "debian-12"] {
            assert!(Search::new(text).finds(&entry), "{text}");
        }
        assert!(!Search::new("debian alpine").finds(&entry));
    }

    #[test]
    fn tabs_hold_what_they_say() {
        let held = |entry: &MergedEntry, has_begun| Tab::ALL.map(|tab| tab.holds(entry, has_begun));
        assert_eq!(held(&entry("office", false), false), [true, false, true, false, false]);
        assert_eq!(held(&entry("local", true), true), [true, true, false, true, true]);
    }
}
