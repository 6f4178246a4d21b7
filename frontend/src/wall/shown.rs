//! The images that the wall shows: those of one tab in which all words of the search are found, in the order of the wall.

use std::ops::Range;
use std::sync::Arc;

use pixelrts_shared::Digest;

use super::filter::Filter;
use super::index::{Index, Live, Read};
use super::sort::Group;

/// All images in the order of the wall.
#[derive(Clone, Debug)]
pub struct Ordered {
    pub index: Arc<Index>,
    /// Places in the index.
    pub places: Arc<[usize]>,
    pub headings: Group,
}

impl Ordered {
    #[must_use]
    pub fn keys(&self) -> Vec<Digest> {
        self.places.iter().map(|place| self.index.images()[*place].key()).collect()
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.places == other.places && self.headings == other.headings
    }
}

/// A line above the rows that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    pub text: String,
    /// The place of the first image below it.
    pub start: usize,
    /// The number of images below it.
    pub count: usize,
}

#[derive(Clone, Debug)]
pub struct Shown {
    ordered: Ordered,
    live: Arc<Live>,
    filter: Filter,
    /// Places in the index, in the order of the wall.
    places: Arc<[usize]>,
    headings: Arc<[Heading]>,
}

impl Shown {
    /// Where the search only goes on from what was shown `before`, only that is looked at.
    #[must_use]
    pub fn new(ordered: Ordered, live: Arc<Live>, filter: Filter, read: Read<'_>, before: Option<&Self>) -> Self {
        let image = |place: &usize| &ordered.index.images()[*place];
        let is_shown = |place: &usize| {
            let image = image(place);
            filter.holds(image, live.get(&image.key()).copied(), read)
        };
        let before = before.filter(|before| {
            Arc::ptr_eq(&before.ordered.index, &ordered.index)
                && Arc::ptr_eq(&before.ordered.places, &ordered.places)
                && before.live == live
                && filter.narrows(&before.filter)
        });
        let among = before.map_or(&ordered.places, |before| &before.places);
        let places: Arc<[usize]> = among.iter().copied().filter(is_shown).collect();
        let mut headings = Vec::<Heading>::new();
        if ordered.headings != Group::None {
            for (start, place) in places.iter().enumerate() {
                let about = image(place).about(read);
                let text = about.map(|about| ordered.headings.heading(about.entry())).unwrap_or_default();
                match headings.last_mut().filter(|heading| heading.text == text) {
                    Some(heading) => heading.count += 1,
                    None => headings.push(Heading { text, start, count: 1 }),
                }
            }
        }
        Self { ordered, live, filter, places, headings: headings.into() }
    }

    /// The line of an image: headings take a line too.
    #[must_use]
    pub fn line(&self, place: usize) -> usize {
        place + self.headings.partition_point(|heading| heading.start <= place)
    }

    #[must_use]
    pub fn lines(&self) -> usize {
        self.len() + self.headings.len()
    }

    /// The images that stand in these lines.
    fn in_lines(&self, lines: &Range<usize>) -> Range<usize> {
        let before = |line: usize| {
            let headings = self.headings.iter().enumerate();
            let above = headings.take_while(|(number, heading)| heading.start + number < line).count();
            line.saturating_sub(above).min(self.len())
        };
        before(lines.start)..before(lines.end)
    }

    /// The headings in these lines, each with its line.
    #[must_use]
    pub fn headings(&self, lines: &Range<usize>) -> Vec<(usize, Heading)> {
        let headings = self.headings.iter().enumerate();
        let lined = headings.map(|(number, heading)| (heading.start + number, heading.clone()));
        lined.filter(|(line, _)| lines.contains(line)).collect()
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
        self.places.get(at).map(|place| self.ordered.index.images()[*place].key())
    }

    #[must_use]
    pub fn place(&self, key: &Digest) -> Option<usize> {
        self.places.iter().position(|place| self.ordered.index.images()[*place].key() == *key)
    }

    /// The one image that the Tab key leads to: the selected one where it is shown, else the first.
    #[must_use]
    pub fn entrance(&self, selected: Option<&Digest>) -> Option<usize> {
        selected.and_then(|selected| self.place(selected)).or((!self.is_empty()).then_some(0))
    }

    /// The cards that are made, each with its place: those of these lines, and the entrance wherever it is, so that Tab
    /// reaches it and the focus is not lost with it.
    #[must_use]
    pub fn cards(&self, lines: &Range<usize>, entrance: Option<usize>) -> Vec<(usize, Digest)> {
        let made = self.in_lines(lines);
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
            && self.headings == other.headings
            && (self.places == other.places && Arc::ptr_eq(&self.ordered.index, &other.ordered.index)
                || (0..self.len()).all(|at| self.key(at) == other.key(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::Tab;
    use super::super::index::tests::{entries, index, read};
    use super::super::search::Search;
    use super::*;
    use crate::image::state::State;

    fn by_name(index: Arc<Index>) -> Ordered {
        Ordered { places: (0..index.images().len()).collect(), index, headings: Group::None }
    }

    fn filter(tab: Tab, search: &str) -> Filter {
        Filter { tab, search: Search::new(search), ..Filter::default() }
    }

    const NAMES: [&str; 4] = ["Debian 12", "Debian 11", "Alpine", "Fedora"];

    fn shown(names: &[&str], search: &str) -> Shown {
        let entries = entries(names);
        let index = Arc::new(index(&entries, None));
        Shown::new(by_name(index), Arc::default(), filter(Tab::All, search), &read(&entries), None)
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
        let places = |made: Range<usize>, entrance| {
            shown.cards(&made, entrance).into_iter().map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert_eq!(places(2..4, Some(0)), [0, 2, 3]);
        assert_eq!(places(2..4, Some(3)), [2, 3]);
        assert_eq!(places(2..4, Some(5)), [2, 3, 5]);
        assert!(places(0..0, None).is_empty());
        assert_eq!(
            shown.cards(&(4..99), None).iter().map(|(_, key)| *key).collect::<Vec<_>>(),
            [4, 5].map(|at| shown.key(at).unwrap())
        );
    }

    #[test]
    fn going_on_from_what_is_shown_finds_the_same() {
        let (first, entries) = (shown(&NAMES, "deb"), entries(&NAMES));
        assert_eq!(names(&first), ["Debian 11", "Debian 12"]);
        let next = |search: &str, before| {
            Shown::new(first.ordered.clone(), Arc::default(), filter(Tab::All, search), &read(&entries), before)
        };
        assert_eq!(names(&next("debian 11", Some(&first))), ["Debian 11"]);
        assert_eq!(names(&next("de", Some(&first))), ["Debian 11", "Debian 12"]);
        assert_eq!(names(&next("fe", Some(&first))), ["Fedora"]);
        let live = Arc::new(Live::from([(*entries.keys().nth(2).unwrap(), State::Running)]));
        let none = |_: &_| panic!("what runs is known without reading");
        let running = Shown::new(first.ordered.clone(), live, filter(Tab::Running, ""), &none, Some(&first));
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

    #[test]
    fn a_heading_takes_a_line_of_its_own() {
        let heading = |text: &str, start, count| Heading { text: text.to_owned(), start, count };
        let all = [heading("Alpine", 0, 2), heading("Debian", 2, 3)];
        let shown = Shown { headings: all.clone().into(), ..shown(&["0", "1", "2", "3", "4"], "") };
        assert_eq!((0..5).map(|place| shown.line(place)).collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
        assert_eq!(shown.lines(), 7);
        assert_eq!(shown.headings(&(1..7)), [(3, all[1].clone())]);
        for start in 0..8 {
            for end in start..8 {
                let held: Vec<_> = (0..5).filter(|place| (start..end).contains(&shown.line(*place))).collect();
                assert_eq!(shown.in_lines(&(start..end)).collect::<Vec<_>>(), held, "{start} {end}");
            }
        }
    }

    #[test]
    fn rows_below_one_heading_are_counted() {
        let mut entries = entries(&NAMES);
        for (entry, distro) in entries.values_mut().zip(["Debian", "Debian", "Alpine", "Fedora"]) {
            Arc::make_mut(entry).entry.distro = Some(serde_json::from_value(serde_json::json!(distro)).unwrap());
        }
        let index = Arc::new(index(&entries, None));
        // By name: Alpine, Debian 11, Debian 12, Fedora.
        let ordered = Ordered { headings: Group::System, ..by_name(index) };
        let shown = Shown::new(ordered, Arc::default(), filter(Tab::All, ""), &read(&entries), None);
        let counts: Vec<_> =
            shown.headings.iter().map(|heading| (&*heading.text, heading.start, heading.count)).collect();
        assert_eq!(counts, [("Alpine", 0, 1), ("Debian", 1, 2), ("Fedora", 3, 1)]);
    }
}
