//! The images that the wall shows: those of one tab in which all words of the search are found, in the order of the wall.

use std::ops::Range;
use std::sync::Arc;

use pixelrts_shared::Digest;

use super::filter::Tab;
use super::index::{Index, Live, Read};
use super::search::Search;

#[derive(Clone, Debug)]
pub struct Shown {
    index: Arc<Index>,
    live: Arc<Live>,
    tab: Tab,
    search: Search,
    /// Places in the index, which has its order.
    places: Arc<[usize]>,
}

impl Shown {
    /// Where the search only goes on from what was shown `before`, only that is looked at.
    #[must_use]
    pub fn new(
        index: Arc<Index>,
        live: Arc<Live>,
        (tab, search): (Tab, Search),
        read: Read<'_>,
        before: Option<&Self>,
    ) -> Self {
        let is_shown = |place: &usize| {
            let image = &index.images()[*place];
            let state = live.get(&image.key()).copied();
            tab.holds(image, state, read) && search.finds(image, state, read)
        };
        let before = before.filter(|before| {
            Arc::ptr_eq(&before.index, &index)
                && before.live == live
                && before.tab == tab
                && search.narrows(&before.search)
        });
        let places = match before {
            Some(before) => before.places.iter().copied().filter(is_shown).collect(),
            None => (0..index.images().len()).filter(is_shown).collect(),
        };
        Self { index, live, tab, search, places }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    #[must_use]
    pub fn key(&self, at: usize) -> Option<Digest> {
        self.places.get(at).map(|place| self.index.images()[*place].key())
    }

    #[must_use]
    pub fn place(&self, key: &Digest) -> Option<usize> {
        self.places.iter().position(|place| self.index.images()[*place].key() == *key)
    }

    /// The one image that the Tab key leads to: the selected one where it is shown, else the first.
    #[must_use]
    pub fn entrance(&self, selected: Option<&Digest>) -> Option<usize> {
        selected.and_then(|selected| self.place(selected)).or((!self.is_empty()).then_some(0))
    }

    /// The cards that are made, each with its place: those of these places, and the entrance wherever it is, so that Tab
    /// reaches it and the focus is not lost with it.
    #[must_use]
    pub fn cards(&self, made: Range<usize>, entrance: Option<usize>) -> Vec<(usize, Digest)> {
        let far = entrance.filter(|entrance| !made.contains(entrance));
        let before = far.filter(|far| *far < made.start);
        let after = far.filter(|far| *far >= made.end);
        before.into_iter().chain(made).chain(after).filter_map(|at| self.key(at).map(|key| (at, key))).collect()
    }

    /// The image that is shown now where this one stood before.
    #[must_use]
    pub fn successor(&self, before: &Self, key: &Digest) -> Option<Digest> {
        let at = before.place(key)?;
        self.key(at.min(self.len().checked_sub(1)?))
    }
}

/// The same images in the same order: nothing on the wall moves.
impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && (self.places == other.places && Arc::ptr_eq(&self.index, &other.index)
                || (0..self.len()).all(|at| self.key(at) == other.key(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::tests::{entries, index, read};
    use super::*;
    use crate::image::state::State;

    const NAMES: [&str; 4] = ["Debian 12", "Debian 11", "Alpine", "Fedora"];

    fn shown(names: &[&str], search: &str) -> Shown {
        let entries = entries(names);
        let index = Arc::new(index(&entries, None));
        Shown::new(index, Arc::default(), (Tab::All, Search::new(search)), &read(&entries), None)
    }

    /// The last byte of each digest is the place of its name.
    fn names(shown: &Shown) -> Vec<&'static str> {
        (0..shown.len()).filter_map(|at| shown.key(at)).map(|key| NAMES[usize::from(key.as_bytes()[31])]).collect()
    }

    #[test]
    fn there_is_one_way_in_as_long_as_anything_is_shown() {
        let shown = shown(&["a", "b", "hidden"], "");
        let [second, hidden] = [1, 2].map(|at| shown.key(at).unwrap());
        let fewer = Shown { places: [0, 1].into(), ..shown.clone() };
        assert_eq!(
            (fewer.entrance(Some(&second)), fewer.entrance(Some(&hidden)), fewer.entrance(None)),
            (Some(1), Some(0), Some(0))
        );
        let nothing = Shown { places: [].into(), ..shown };
        assert_eq!(nothing.entrance(Some(&hidden)), None);
    }

    #[test]
    fn the_entrance_stays_however_far_the_wall_is_scrolled() {
        let shown = shown(&["0", "1", "2", "3", "4", "5"], "");
        let places = |made, entrance| shown.cards(made, entrance).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(places(2..4, Some(0)), [0, 2, 3]);
        assert_eq!(places(2..4, Some(3)), [2, 3]);
        assert_eq!(places(2..4, Some(5)), [2, 3, 5]);
        assert!(places(0..0, None).is_empty());
        assert_eq!(
            shown.cards(4..99, None).iter().map(|(_, key)| *key).collect::<Vec<_>>(),
            [4, 5].map(|at| shown.key(at).unwrap())
        );
    }

    #[test]
    fn going_on_from_what_is_shown_finds_the_same() {
        let (first, entries) = (shown(&NAMES, "deb"), entries(&NAMES));
        assert_eq!(names(&first), ["Debian 11", "Debian 12"]);
        let next = |search: &str, before| {
            Shown::new(
                Arc::clone(&first.index),
                Arc::default(),
                (Tab::All, Search::new(search)),
                &read(&entries),
                before,
            )
        };
        assert_eq!(names(&next("debian 11", Some(&first))), ["Debian 11"]);
        assert_eq!(names(&next("de", Some(&first))), ["Debian 11", "Debian 12"]);
        assert_eq!(names(&next("fe", Some(&first))), ["Fedora"]);
        let live = Arc::new(Live::from([(*entries.keys().nth(2).unwrap(), State::Running)]));
        let none = |_: &_| panic!("what runs is known without reading");
        let running =
            Shown::new(Arc::clone(&first.index), live, (Tab::Running, Search::default()), &none, Some(&first));
        assert_eq!(names(&running), ["Alpine"]);
        assert!(next("deb", None) == first && next("fe", None) != first);
    }

    #[test]
    fn the_next_image_takes_the_place_of_one_that_goes() {
        let before = shown(&["a", "b", "c"], "");
        let [a, b, c] = [0, 1, 2].map(|at| before.key(at).unwrap());
        let without = |place: usize| Shown { places: (0..3).filter(|at| *at != place).collect(), ..before.clone() };
        assert_eq!(without(1).successor(&before, &b), Some(c));
        assert_eq!(without(2).successor(&before, &c), Some(b));
        assert_eq!(Shown { places: [].into(), ..before.clone() }.successor(&before, &a), None);
    }
}
