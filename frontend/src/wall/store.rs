//! Which images the wall shows, which one is selected, how far the wall is scrolled, and which cards are made.

use std::rc::Rc;
use std::sync::Arc;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;

use super::filter::{self, Tab};
use super::grid::Move;
use super::index::{Index, Live};
use super::search::Search;
use super::shown::Shown;
use super::window::Space;
use crate::image::state::State;
use crate::image::store::Images;

/// Until the page has been measured: a window of middling size, and the card of the stylesheet.
const UNMEASURED: Space = Space { width: 1280, height: 720, card_width: 400, card_height: 160, gap: 12 };

/// So many images are read before the page may paint again.
const READ_AT_ONCE: usize = 64;

#[derive(Clone, Copy)]
pub(crate) struct Wall {
    tab: RwSignal<Tab>,
    search: RwSignal<String>,
    selection: RwSignal<Option<Digest>>,
    space: RwSignal<Space>,
    /// How far the wall is scrolled, in pixels.
    offset: RwSignal<u32>,
    first_row: Memo<usize>,
    count: Memo<usize>,
    counts: Memo<Option<[usize; Tab::ALL.len()]>>,
    shown: Memo<Shown>,
    entrance: Memo<Option<usize>>,
    cards: Memo<Vec<(usize, Digest)>>,
}

impl Wall {
    pub(crate) fn new(images: Images) -> Self {
        let (tab, search) = (RwSignal::new(Tab::All), RwSignal::new(String::new()));
        let (selection, space, offset) = (RwSignal::new(None), RwSignal::new(UNMEASURED), RwSignal::new(0));
        let catalog = images.catalog;
        let read = move |key: &Digest| untrack(|| catalog.entry(key));
        let index = Memo::new(move |before: Option<&Arc<Index>>| {
            let named = catalog.keys().into_iter().map(|key| (key, catalog.name(&key)));
            Arc::new(Index::new(named, &read, before.map(|before| &**before)))
        });
        let live = Memo::new(move |_| Arc::new(live(images)));
        let shown = Memo::new(move |before: Option<&Shown>| {
            let words = search.with(|text| Search::new(&composed(text)));
            Shown::new(index.get(), live.get(), (tab.get(), words), &read, before)
        });
        let ready = RwSignal::new(None);
        prepare(index, ready, read);
        let entrance = Memo::new(move |_| {
            let selected = selection.get();
            shown.with(|shown| shown.entrance(selected.as_ref()))
        });
        let first_row = Memo::new(move |_| space.get().first_row(offset.get()));
        Self {
            tab,
            search,
            selection,
            space,
            offset,
            first_row,
            count: Memo::new(move |_| index.with(|index| index.images().len())),
            counts: Memo::new(move |_| {
                let index = index.get();
                let is_ready = ready.with(|ready| ready.as_ref() == Some(&index));
                is_ready.then(|| live.with(|live| filter::counts(&index, live, &read)))
            }),
            shown,
            entrance,
            cards: Memo::new(move |_| {
                let (space, entrance) = (space.get(), entrance.get());
                shown.with(|shown| shown.cards(space.made(first_row.get(), shown.len()), entrance))
            }),
        }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn tab(self) -> Tab {
        self.tab.get()
    }

    /// Another tab is shown from its beginning.
    pub(crate) fn show_tab(self, tab: Tab) {
        self.offset.set(0);
        self.tab.set(tab);
    }

    pub(crate) fn search(self) -> String {
        self.search.get()
    }

    /// What is found is shown from its beginning.
    pub(crate) fn search_for(self, text: String) {
        self.offset.set(0);
        self.search.set(text);
    }

    /// The number of images in each tab, in the order of the tabs, once all images were read.
    pub(crate) fn counts(self) -> Option<[usize; Tab::ALL.len()]> {
        self.counts.get()
    }

    /// The number of all images.
    pub(crate) fn count(self) -> usize {
        self.count.get()
    }

    pub(crate) fn shown(self) -> Memo<Shown> {
        self.shown
    }

    /// The number of images that are shown, whether their cards are made or not.
    pub(crate) fn shown_count(self) -> usize {
        self.shown.with(Shown::len)
    }

    /// The images whose cards are made.
    pub(crate) fn cards(self) -> Vec<Digest> {
        self.cards.with(|cards| cards.iter().map(|(_, key)| *key).collect())
    }

    /// The same, those first that are needed first: the one that the Tab key leads to, those in sight, the margin.
    pub(crate) fn cards_by_need(self) -> Vec<Digest> {
        let (space, entrance) = (self.space.get(), self.entrance.get());
        let in_sight = self.first_row.get() * space.columns();
        let need = |place: usize| match place {
            place if Some(place) == entrance => 0,
            place if place >= in_sight => 1,
            _ => 2,
        };
        self.cards.with(|cards| {
            let of = |wanted: u8| cards.iter().filter(move |(place, _)| need(*place) == wanted);
            of(0).chain(of(1)).chain(of(2)).map(|(_, key)| *key).collect()
        })
    }

    /// The place of an image whose card is made.
    pub(crate) fn place(self, key: &Digest) -> Option<usize> {
        self.cards.with(|cards| cards.iter().find(|(_, other)| other == key).map(|(place, _)| *place))
    }

    pub(crate) fn is_entrance(self, key: &Digest) -> bool {
        let entrance = self.entrance.get();
        entrance.is_some() && entrance == self.place(key)
    }

    pub(crate) fn selected(self) -> Option<Digest> {
        self.selection.get()
    }

    pub(crate) fn select(self, key: Digest) {
        if self.selection.get_untracked() != Some(key) {
            self.selection.set(Some(key));
        }
    }

    pub(crate) fn space(self) -> Space {
        self.space.get()
    }

    pub(crate) fn measured(self, space: Space) {
        if self.space.get_untracked() != space {
            self.space.set(space);
        }
    }

    pub(crate) fn offset(self) -> u32 {
        self.offset.get()
    }

    pub(crate) fn scrolled(self, offset: u32) {
        if self.offset.get_untracked() != offset {
            self.offset.set(offset);
        }
    }

    /// Moves the selection and brings it into sight. Returns the image that is selected now.
    pub(crate) fn go(self, movement: Move) -> Option<Digest> {
        let space = self.space.get_untracked();
        let (selected, count) = (self.selection.get_untracked(), self.shown.with_untracked(Shown::len));
        let from = self.shown.with_untracked(|shown| selected.and_then(|key| shown.place(&key)));
        let place = movement.target(from, count, space.columns(), space.rows_of_a_page())?;
        self.enter(place)
    }

    /// Selects the first image, as Enter in the search field does.
    pub(crate) fn go_to_first(self) -> Option<Digest> {
        self.enter(0)
    }

    fn enter(self, place: usize) -> Option<Digest> {
        let key = self.shown.with_untracked(|shown| shown.key(place))?;
        self.select(key);
        self.scrolled(self.space.get_untracked().scrolled_to(place, self.offset.get_untracked()));
        Some(key)
    }
}

/// Reads the images of each new index, a few at a time, so that the page goes on meanwhile. Then the index is `ready`: it
/// can be counted and searched at once.
fn prepare(
    index: Memo<Arc<Index>>,
    ready: RwSignal<Option<Arc<Index>>>,
    read: impl Fn(&Digest) -> Option<Arc<MergedEntry>> + 'static,
) {
    let read = Rc::new(read);
    Effect::new(move |_| {
        let (now, read) = (index.get(), Rc::clone(&read));
        spawn_local(async move {
            for some in now.images().chunks(READ_AT_ONCE) {
                if index.try_with_untracked(|newest| *newest == now) != Some(true) {
                    return;
                }
                for image in some {
                    let _ = image.about(&*read);
                }
                // Painting goes first.
                TimeoutFuture::new(0).await;
            }
            ready.set(Some(now));
        });
    });
}

/// What goes on with which image.
fn live(images: Images) -> Live {
    let keys = images.machines.keys().into_iter().chain(images.downloads.keys()).chain(images.failures.keys());
    let state = |key: Digest| {
        let entry = images.catalog.entry(&key)?;
        Some((key, State::of(images.condition_now(&key).status(), entry.cached)))
    };
    let at_rest = |state: State| matches!(state, State::Here | State::Elsewhere | State::Away);
    keys.filter_map(state).filter(|(_, state)| !at_rest(*state)).collect()
}

/// In Unicode's normal form C, as all texts of the backend are; the browser has the tables for it.
fn composed(text: &str) -> String {
    js_sys::JsString::from(text).normalize("NFC").into()
}
