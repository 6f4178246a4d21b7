//! Which images the wall shows, and which one is selected.

use leptos::prelude::*;
use pixelrts_shared::Digest;

use super::entrance;
use super::filter::{Search, Tab};
use crate::catalog::store::Catalog;
use crate::machines::store::Machines;

#[derive(Clone, Copy)]
pub(crate) struct Wall {
    pub(crate) tab: RwSignal<Tab>,
    pub(crate) search: RwSignal<String>,
    selection: RwSignal<Option<Digest>>,
    /// The images that the wall shows now.
    shown: Memo<Vec<Digest>>,
    counts: Memo<[usize; 5]>,
}

impl Wall {
    pub(crate) fn new(catalog: Catalog, machines: Machines) -> Self {
        let (tab, search) = (RwSignal::new(Tab::All), RwSignal::new(String::new()));
        let holds = move |tab: Tab, key: &Digest| {
            catalog.entry(key).is_some_and(|entry| tab.holds(&entry, machines.has_begun(key)))
        };
        Self {
            tab,
            search,
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

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn shown(self) -> Vec<Digest> {
        self.shown.get()
    }

    /// The number of images in each tab, in the order of the tabs.
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

    pub(crate) fn is_entrance(self, key: &Digest) -> bool {
        let selected = self.selection.get();
        self.shown.with(|shown| entrance(selected.as_ref(), shown) == Some(key))
    }
}
