//! Which images the wall shows, which one is selected, how far the wall is scrolled, and which cards are made.

use std::rc::Rc;
use std::sync::Arc;

use gloo_net::http::Method;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::Digest;
use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::paths;

use super::facet::{self, Facets, Values};
use super::filter::{self, Filter, Tab};
use super::grid::Move;
use super::index::{Index, Live};
use super::search::Search;
use super::shown::{Heading, Ordered, Shown};
use super::sort::{self, Arrangement, Look};
use super::window::Space;
use crate::catalog::store::Catalog;
use crate::client;
use crate::image::state::State;
use crate::image::store::Images;
use crate::storage;

/// Until the page has been measured: a window of middling size, and the card of the stylesheet.
const UNMEASURED: Space = Space { width: 1280, height: 720, card_width: 400, card_height: 160, gap: 12 };

/// So many images are read before the page may paint again.
const READ_AT_ONCE: usize = 64;

/// Where the browser keeps how a person looks at the images.
const KEY: &str = "wall";

#[derive(Clone, Copy)]
pub(crate) struct Wall {
    catalog: Catalog,
    arrangement: RwSignal<Arrangement>,
    /// The pointer is on the wall, or the details lie over it: nothing may move.
    held: RwSignal<bool>,
    tab: RwSignal<Tab>,
    facets: RwSignal<Facets>,
    values: Memo<Values>,
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
    headings: Memo<Vec<(usize, Heading)>>,
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
        let ready = RwSignal::new(None);
        prepare(index, ready, read);
        let arrangement = RwSignal::new(Arrangement::default());
        let (facets, held) = (RwSignal::new(Facets::default()), RwSignal::new(false));
        let by = Memo::new(move |_| arrangement.get());
        let ordered = Memo::new(move |before: Option<&(Arrangement, Ordered)>| {
            let (index, by, held) = (index.get(), by.get(), held.get());
            let is_read = || index.images().len() <= READ_AT_ONCE || ready.with(|ready| ready.as_ref() == Some(&index));
            let places = match by.needs_names_only() || is_read() {
                true => sort::sorted(&index, by, &read),
                // Until then, names are a good order too, and nobody waits.
                false => (0..index.images().len()).collect(),
            };
            let before = before.filter(|(order, before)| {
                held && (order.sort, order.headings()) == (by.sort, by.headings()) && is_like(&before.index, &index)
            });
            let places = match before {
                Some((_, before)) => sort::unmoved(places, &index, &before.keys()),
                None => places,
            };
            (by, Ordered { index, places: places.into(), headings: by.headings() })
        });
        let shown = Memo::new(move |before: Option<&Shown>| {
            let search = search.with(|text| Search::new(&composed(text)));
            let filter = Filter { tab: tab.get(), facets: facets.get(), search };
            Shown::new(ordered.with(|(_, ordered)| ordered.clone()), live.get(), filter, &read, before)
        });
        let entrance = Memo::new(move |_| {
            let selected = selection.get();
            shown.with(|shown| shown.entrance(selected.as_ref()))
        });
        let first_row = Memo::new(move |_| space.get().first_row(offset.get()));
        let lines = move || shown.with(|shown| space.get().made(first_row.get(), shown.lines()));
        Self {
            catalog,
            arrangement,
            held,
            tab,
            facets,
            values: Memo::new(move |_| facet::values(&index.get(), &read)),
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
                let (lines, entrance) = (lines(), entrance.get());
                shown.with(|shown| shown.cards(&lines, entrance))
            }),
            headings: Memo::new(move |_| {
                let lines = lines();
                shown.with(|shown| shown.headings(&lines))
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

    pub(crate) async fn recall(self) {
        if let Some(stored) = storage::read(KEY).await {
            self.arrangement.set(Arrangement::recalled(&stored));
        }
    }

    pub(crate) fn arrangement(self) -> Arrangement {
        self.arrangement.get()
    }

    /// Another order, and another look, is shown from its beginning.
    pub(crate) fn arrange(self, change: impl FnOnce(&mut Arrangement)) {
        self.offset.set(0);
        self.arrangement.update(change);
        let stored = self.arrangement.get_untracked().stored();
        spawn_local(async move { storage::write(KEY, &stored).await });
    }

    pub(crate) fn switch_look(self) {
        self.arrange(|by| by.look = if by.look == Look::Cards { Look::List } else { Look::Cards });
    }

    /// While it is held, no image changes its place.
    pub(crate) fn hold(self, held: bool) {
        if self.held.get_untracked() != held {
            self.held.set(held);
        }
    }

    pub(crate) fn facets(self) -> Facets {
        self.facets.get()
    }

    pub(crate) fn narrow(self, change: impl FnOnce(&mut Facets)) {
        self.offset.set(0);
        self.facets.update(change);
    }

    /// All by which the wall can be narrowed down.
    pub(crate) fn values(self) -> Values {
        self.values.get()
    }

    /// All images are shown again.
    pub(crate) fn show_all(self) {
        self.show_tab(Tab::All);
        self.facets.set(Facets::default());
        self.search.set(String::new());
    }

    /// A favorite has a tab of its own.
    pub(crate) fn like(self, key: Digest, likes: bool) {
        spawn_local(async move {
            let method = if likes { Method::PUT } else { Method::DELETE };
            // What the backend has is what is shown, whether it took this or not.
            let _ = client::command(method, &paths::entry_favorite(&key)).await;
            self.catalog.revalidate().await;
        });
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

    /// The number of lines that they take, with the headings.
    pub(crate) fn lines(self) -> usize {
        self.shown.with(Shown::lines)
    }

    /// The line of a place.
    pub(crate) fn line(self, place: usize) -> usize {
        self.shown.with(|shown| shown.line(place))
    }

    /// The headings that are made, each with its line.
    pub(crate) fn headings(self) -> Vec<(usize, Heading)> {
        self.headings.get()
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
            place if self.line(place) >= in_sight => 1,
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
        let line = self.shown.with_untracked(|shown| shown.line(place));
        self.scrolled(self.space.get_untracked().scrolled_to(line, self.offset.get_untracked()));
        Some(key)
    }
}

/// Few images have come or gone. Where many have, nobody looks at one that could move.
fn is_like(before: &Index, now: &Index) -> bool {
    before.images().len().abs_diff(now.images().len()) <= 24
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
