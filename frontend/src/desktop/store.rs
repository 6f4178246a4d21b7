//! What is looked at: place, tab, search, selection.

use leptos::prelude::*;
use pixelrts_shared::Digest;

use super::filter::{Search, Tab};
use crate::catalog::store::Catalog;
use crate::machines::store::Machines;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Wall,
    Settings,
}

#[derive(Clone, Copy)]
pub(crate) struct Desk {
    pub(crate) place: RwSignal<Place>,
    pub(crate) tab: RwSignal<Tab>,
    pub(crate) search: RwSignal<String>,
    pub(crate) details: RwSignal<bool>,
    pub(crate) help: RwSignal<bool>,
    pub(crate) adding: RwSignal<bool>,
    selection: RwSignal<Option<Digest>>,
    /// What hangs on the wall now.
    shown: Memo<Vec<Digest>>,
    counts: Memo<[usize; 5]>,
}

impl Desk {
    pub(crate) fn new(catalog: Catalog, machines: Machines) -> Self {
        let (tab, search) = (RwSignal::new(Tab::All), RwSignal::new(String::new()));
        let holds = move |tab: Tab, key: &Digest| {
            catalog.entry(key).is_some_and(|entry| tab.holds(&entry, machines.lives(key)))
        };
        Self {
            place: RwSignal::new(Place::Wall),
            tab,
            search,
            details: RwSignal::new(false),
            help: RwSignal::new(false),
            adding: RwSignal::new(false),
            selection: RwSignal::new(None),
            shown: Memo::new(move |_| {
                let (tab, words) = (tab.get(), search.with(|text| Search::new(text)));
                let found = |key: &Digest| catalog.entry(key).is_some_and(|entry| words.finds(&entry));
                catalog.keys().into_iter().filter(|key| holds(tab, key) && found(key)).collect()
            }),
            counts: Memo::new(move |_| {
                let keys = catalog.keys();
                Tab::ALL.map(|tab| keys.iter().filter(|key| holds(tab, key)).count())
            }),
        }
    }

    pub(crate) fn shown(self) -> Vec<Digest> {
        self.shown.get()
    }

    /// Of the tabs, in their order.
    pub(crate) fn counts(self) -> [usize; 5] {
        self.counts.get()
    }

    pub(crate) fn selected(self) -> Option<Digest> {
        self.selection.get()
    }

    pub(crate) fn select(self, key: Digest) {
        if self.selection.get_untracked() != Some(key) {
            self.selection.set(Some(key));
        }
    }

    /// Tab leads to one object of the wall: the selected one, else the first.
    pub(crate) fn is_entrance(self, key: &Digest) -> bool {
        let selected = self.selection.get();
        self.shown.with(|shown| selected.filter(|selected| shown.contains(selected)).or(shown.first().copied()))
            == Some(*key)
    }
}
