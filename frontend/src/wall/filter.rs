//! The tabs of the wall: which images each of them holds.

use super::facet::Facets;
use super::index::{Image, Index, Live, Read};
use super::search::Search;
use crate::image::state::State;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    #[default]
    All,
    Favorites,
    Here,
    Elsewhere,
    Running,
    Arriving,
    /// Something failed, and somebody has to decide what follows.
    NeedsYou,
}

impl Tab {
    pub const ALL: [Self; 7] =
        [Self::All, Self::Favorites, Self::Here, Self::Elsewhere, Self::Running, Self::Arriving, Self::NeedsYou];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Favorites => "Favorites",
            Self::Here => "On this computer",
            Self::Elsewhere => "Not here",
            Self::Running => "Running",
            Self::Arriving => "Arriving",
            Self::NeedsYou => "Needs you",
        }
    }

    /// As addresses name it.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Here => "here",
            Self::Elsewhere => "elsewhere",
            Self::Running => "running",
            Self::Arriving => "arriving",
            Self::Favorites => "favorites",
            Self::NeedsYou => "needs-you",
        }
    }

    /// For a narrow page, where the word is shorter.
    #[must_use]
    pub fn short_word(self) -> &'static str {
        match self {
            Self::Here => "Here",
            other => other.word(),
        }
    }

    /// The tab is there although it holds nothing. The others come and go with what they are about.
    #[must_use]
    pub fn stays(self) -> bool {
        !matches!(self, Self::Favorites | Self::Arriving | Self::NeedsYou)
    }

    /// `live`: what goes on with this image, if anything does.
    #[must_use]
    pub fn holds(self, image: &Image, live: Option<State>, read: Read<'_>) -> bool {
        let is_here = |here: bool| image.about(read).is_some_and(|about| about.entry().cached == here);
        match self {
            Self::All => true,
            Self::Favorites => image.about(read).is_some_and(|about| about.entry().favorite),
            Self::Here => is_here(true),
            Self::Elsewhere => is_here(false),
            Self::Running => matches!(live, Some(State::Booting | State::Running)),
            Self::Arriving => matches!(live, Some(State::Arriving | State::Retrying)),
            Self::NeedsYou => live == Some(State::Failed),
        }
    }

    /// The tab that an arrow key, Home or End leads to from this one, of those that are there.
    #[must_use]
    pub fn after_key(self, key: &str, there: &[Self]) -> Option<Self> {
        let at = there.iter().position(|tab| *tab == self)?;
        let to = match key {
            "ArrowRight" => (at + 1) % there.len(),
            "ArrowLeft" => (at + there.len() - 1) % there.len(),
            "Home" => 0,
            "End" => there.len() - 1,
            _ => return None,
        };
        Some(there[to])
    }
}

/// What the wall is to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub tab: Tab,
    pub facets: Facets,
    pub search: Search,
}

impl Filter {
    /// `live`: what goes on with this image, if anything does.
    #[must_use]
    pub fn holds(&self, image: &Image, live: Option<State>, read: Read<'_>) -> bool {
        let in_facets = || image.about(read).is_some_and(|about| self.facets.holds(about.entry()));
        self.tab.holds(image, live, read)
            && (self.facets.is_empty() || in_facets())
            && self.search.finds(image, live, read)
    }

    /// All that this holds, the filter `before` has held: only the search went on.
    #[must_use]
    pub fn narrows(&self, before: &Self) -> bool {
        self.tab == before.tab && self.facets == before.facets && self.search.narrows(&before.search)
    }
}

/// The number of images in each tab, in the order of the tabs. All of them are read for it.
#[must_use]
pub fn counts(index: &Index, live: &Live, read: Read<'_>) -> [usize; Tab::ALL.len()] {
    let mut counts = [0; Tab::ALL.len()];
    for image in index.images() {
        for (count, tab) in counts.iter_mut().zip(Tab::ALL) {
            *count += usize::from(tab.holds(image, live.get(&image.key()).copied(), read));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::index::tests::{entries, index, read};
    use super::*;
    use crate::image::condition::tests::entry;
    use pixelrts_shared::catalog::MergedEntry;
    use std::sync::Arc;

    #[test]
    fn tabs_hold_what_they_say() {
        let held = |cached, live| {
            let entry = Arc::new(entry(cached, &[]));
            let image = Image::new(entry.entry.sha256, String::new());
            Tab::ALL.map(|tab| tab.holds(&image, live, &|_| Some(Arc::clone(&entry))))
        };
        assert_eq!(held(false, None), [true, false, false, true, false, false, false]);
        assert_eq!(held(true, Some(State::Booting)), [true, false, true, false, true, false, false]);
        assert_eq!(held(false, Some(State::Retrying)), [true, false, false, true, false, true, false]);
        assert_eq!(held(true, Some(State::Failed)), [true, false, true, false, false, false, true]);
        assert_eq!(held(true, Some(State::Stopped)), [true, false, true, false, false, false, false]);
        let liked = Arc::new(MergedEntry { favorite: true, ..entry(false, &[]) });
        let image = Image::new(liked.entry.sha256, String::new());
        assert!(Tab::Favorites.holds(&image, None, &|_| Some(Arc::clone(&liked))));
    }

    #[test]
    fn arrow_keys_go_round_the_tabs_that_are_there() {
        let there = [Tab::All, Tab::Here, Tab::Running];
        assert_eq!(Tab::Here.after_key("ArrowRight", &there), Some(Tab::Running));
        assert_eq!(Tab::Running.after_key("ArrowRight", &there), Some(Tab::All));
        assert_eq!(Tab::All.after_key("ArrowLeft", &there), Some(Tab::Running));
        assert_eq!(
            (Tab::Here.after_key("Home", &there), Tab::Here.after_key("End", &there)),
            (Some(Tab::All), Some(Tab::Running))
        );
        assert_eq!((Tab::Here.after_key("a", &there), Tab::Arriving.after_key("Home", &there)), (None, None));
    }

    #[test]
    fn each_tab_has_its_count_and_an_entry_that_cannot_be_read_is_only_in_all() {
        let mut entries = entries(&["a", "b", "c"]);
        let keys: Vec<_> = entries.keys().copied().collect();
        let live = Live::from([(keys[1], State::Running), (keys[2], State::Failed)]);
        let index = index(&entries, None);
        entries.remove(&keys[0]);
        assert_eq!(counts(&index, &live, &read(&entries)), [3, 0, 2, 0, 1, 0, 1]);
    }
}
