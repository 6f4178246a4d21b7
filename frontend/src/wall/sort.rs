//! In which order images stand on the wall, and what is remembered of how a person looks at them.

use std::cmp::Reverse;
use std::collections::HashMap;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;

use super::index::{About, Index, Read};
use super::order::natural;
use crate::image::text;
use crate::servers::health;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Name,
    /// What was booted last comes first.
    LastUsed,
    /// The largest comes first.
    Size,
    /// The newest comes first.
    Added,
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Name, Self::LastUsed, Self::Size, Self::Added];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::LastUsed => "Last used",
            Self::Size => "Size",
            Self::Added => "Added",
        }
    }
}

/// Under which headings the rows of the list stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    #[default]
    None,
    Server,
    System,
}

impl Group {
    pub const ALL: [Self; 3] = [Self::None, Self::Server, Self::System];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "No groups",
            Self::Server => "By server",
            Self::System => "By system",
        }
    }

    /// The heading above an image. An image that several servers have stands below the one that is asked first.
    #[must_use]
    pub fn heading(self, entry: &MergedEntry) -> String {
        match self {
            Self::None => String::new(),
            Self::Server => entry.sources.first().map_or_else(|| "This computer".to_owned(), health::name),
            Self::System => text::distribution(&entry.entry),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    #[default]
    Cards,
    List,
}

/// How a person looks at the images. The browser keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrangement {
    pub look: Look,
    pub sort: Sort,
    pub group: Group,
    /// The column that narrows down is open.
    pub narrows: bool,
}

impl Arrangement {
    /// Cards stand in rows without headings.
    #[must_use]
    pub fn headings(self) -> Group {
        if self.look == Look::List { self.group } else { Group::None }
    }

    /// Nothing but the names has to be read for it.
    #[must_use]
    pub fn needs_names_only(self) -> bool {
        self.sort == Sort::Name && self.headings() == Group::None
    }

    #[must_use]
    pub fn stored(self) -> String {
        let place = |found: Option<usize>| found.unwrap_or_default();
        let sort = place(Sort::ALL.iter().position(|sort| *sort == self.sort));
        let group = place(Group::ALL.iter().position(|group| *group == self.group));
        format!("{} {sort} {group} {}", u8::from(self.look == Look::List), u8::from(self.narrows))
    }

    /// What an earlier visit has stored, as far as it is understood.
    #[must_use]
    pub fn recalled(text: &str) -> Self {
        let mut numbers = text.split(' ').map(|number| number.parse::<usize>().unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        Self {
            look: if next() == 1 { Look::List } else { Look::Cards },
            sort: Sort::ALL.get(next()).copied().unwrap_or_default(),
            group: Group::ALL.get(next()).copied().unwrap_or_default(),
            narrows: next() == 1,
        }
    }
}

/// The places of all images in this order. Equal ones keep the order of their names; those of which nothing is known come
/// last.
#[must_use]
pub fn sorted(index: &Index, by: Arrangement, read: Read<'_>) -> Vec<usize> {
    let mut places: Vec<_> = (0..index.images().len()).collect();
    let entry = |place: &usize| index.images()[*place].about(read).map(About::entry);
    match by.sort {
        Sort::Name => {}
        Sort::Size => places.sort_by_cached_key(|place| Reverse(entry(place).map(|entry| entry.entry.size))),
        Sort::LastUsed => {
            places.sort_by_cached_key(|place| Reverse(entry(place).and_then(|entry| entry.last_used.clone())))
        }
        Sort::Added => places.sort_by_cached_key(|place| Reverse(entry(place).and_then(|entry| entry.added.clone()))),
    }
    let headings = by.headings();
    if headings != Group::None {
        places.sort_by_cached_key(|place| {
            natural(&entry(place).map(|entry| headings.heading(entry)).unwrap_or_default())
        });
    }
    places
}

/// The same places, with images that were there `before` in the order they had. What is new comes last.
///
/// Cards must not move under the pointer, so a new order waits until it has gone.
#[must_use]
pub fn unmoved(mut places: Vec<usize>, index: &Index, before: &[Digest]) -> Vec<usize> {
    let was: HashMap<_, _> = before.iter().enumerate().map(|(place, key)| (key, place)).collect();
    places.sort_by_key(|place| was.get(&index.images()[*place].key()).copied().unwrap_or(usize::MAX));
    places
}

#[cfg(test)]
mod tests {
    use super::super::index::tests::{entries, index, read};
    use super::*;
    use std::sync::Arc;

    fn by(sort: Sort) -> Arrangement {
        Arrangement { sort, ..Arrangement::default() }
    }

    #[test]
    fn each_order_has_its_first_and_unknown_ones_are_last() {
        let mut entries = entries(&["a", "b", "c"]);
        let facts =
            [(5, None, "2026-01-02"), (9, Some("2026-03-01"), "2026-01-01"), (5, Some("2026-02-01"), "2026-01-03")];
        for (entry, (size, used, added)) in entries.values_mut().zip(facts) {
            let entry = Arc::make_mut(entry);
            entry.entry.size = size;
            entry.last_used = used.map(str::to_owned);
            entry.added = Some(added.to_owned());
        }
        let index = index(&entries, None);
        let order = |sort| sorted(&index, by(sort), &read(&entries));
        assert_eq!(order(Sort::Name), [0, 1, 2]);
        assert_eq!(order(Sort::Size), [1, 0, 2]);
        assert_eq!(order(Sort::LastUsed), [1, 2, 0]);
        assert_eq!(order(Sort::Added), [2, 0, 1]);
    }

    #[test]
    fn rows_of_one_heading_stand_together_in_the_list_only() {
        let mut entries = entries(&["a", "b", "c"]);
        for (entry, distro) in entries.values_mut().zip([Some("Fedora"), Some("Alpine"), Some("Fedora")]) {
            Arc::make_mut(entry).entry.distro =
                distro.map(|distro| serde_json::from_value(serde_json::json!(distro)).unwrap());
        }
        let index = index(&entries, None);
        let grouped =
            |look| sorted(&index, Arrangement { look, group: Group::System, ..by(Sort::Name) }, &read(&entries));
        assert_eq!((grouped(Look::List), grouped(Look::Cards)), (vec![1, 0, 2], vec![0, 1, 2]));
    }

    #[test]
    fn what_was_there_does_not_move_and_what_is_new_comes_last() {
        let entries = entries(&["a", "b", "c", "d"]);
        let index = index(&entries, None);
        let key = |place: usize| index.images()[place].key();
        assert_eq!(unmoved(vec![0, 1, 2, 3], &index, &[key(3), key(1)]), [3, 1, 0, 2]);
        assert_eq!(unmoved(vec![2, 0, 1, 3], &index, &[]), [2, 0, 1, 3]);
    }

    #[test]
    fn what_is_stored_is_recalled_and_nonsense_is_the_usual_wall() {
        for look in [Look::Cards, Look::List] {
            for sort in Sort::ALL {
                for group in Group::ALL {
                    let kept = Arrangement { look, sort, group, narrows: group == Group::Server };
                    assert_eq!(Arrangement::recalled(&kept.stored()), kept);
                }
            }
        }
        for nonsense in ["", "x y z", "9 99 -1 7", "1e9"] {
            assert_eq!(Arrangement::recalled(nonsense), Arrangement::default(), "{nonsense}");
        }
    }
}
