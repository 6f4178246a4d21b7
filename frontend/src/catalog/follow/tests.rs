//! Pages of a browser that follow a backend which changes, restarts and forgets, and that write into one store.

#![cfg(not(target_arch = "wasm32"))]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pixelrts_shared::catalog::{ListedEntry, MergedEntry};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn digest(n: u8) -> Digest {
    Digest::new([n; 32])
}

/// What is said of an image: its name, whether server `b` has it too, whether that one answers.
type Said = (u8, bool, bool);

fn listed(n: u8, (name, both, up): Said) -> ListedEntry {
    let second = if up { json!({"server": "b"}) } else { json!({"server": "b", "state": "down"}) };
    let sources = if both { json!([{"server": "a"}, second]) } else { json!([{"server": "a"}]) };
    serde_json::from_value(json!({
        "id": format!("e{n}"), "name": format!("n{name}"), "size": 1, "sha256": digest(n), "segments": [],
        "sources": sources, "status": "idle"
    }))
    .unwrap()
}

fn server(id: &str, name: u8, latency: u8) -> CatalogServer {
    let health = json!({"state": "up", "latency_ms": latency});
    serde_json::from_value(
        json!({"id": id, "name": format!("{id}{name}"), "url": format!("http://{id}/"), "health": health}),
    )
    .unwrap()
}

/// The backend.
struct Model {
    life: u32,
    number: u64,
    forgotten: u64,
    entries: BTreeMap<u8, (u64, ListedEntry)>,
    removed: Vec<(u64, u8)>,
    servers: Vec<CatalogServer>,
    /// The lines of the entries at each revision.
    history: HashMap<String, BTreeMap<Digest, String>>,
}

impl Model {
    fn new() -> Self {
        let servers = vec![server("a", 0, 0), server("b", 0, 0)];
        let (entries, removed) = (BTreeMap::new(), Vec::new());
        let mut model = Self { life: 0, number: 0, forgotten: 0, entries, removed, servers, history: HashMap::new() };
        model.remember();
        model
    }

    fn revision(&self) -> String {
        format!("{}-{}", self.life, self.number)
    }

    fn remember(&mut self) {
        let line = |entry: &ListedEntry| {
            format!("{}{}\n{}", entry.entry.sha256, entry.entry.name, serde_json::to_string(entry).unwrap())
        };
        let lines = self.entries.values().map(|(_, entry)| (entry.entry.sha256, line(entry))).collect();
        self.history.insert(self.revision(), lines);
    }

    fn set(&mut self, n: u8, said: Option<Said>) {
        self.number += 1;
        match said {
            Some(said) => drop(self.entries.insert(n, (self.number, listed(n, said)))),
            None if self.entries.remove(&n).is_some() => self.removed.push((self.number, n)),
            None => self.number -= 1,
        }
        self.remember();
    }

    fn restart(&mut self) {
        (self.life, self.number, self.forgotten) = (self.life + 1, 1, 0);
        self.removed.clear();
        self.entries.values_mut().for_each(|(number, _)| *number = 1);
        self.remember();
    }

    fn in_order(&self) -> Vec<&ListedEntry> {
        let mut entries: Vec<_> = self.entries.values().map(|(_, entry)| entry).collect();
        entries.sort_by_key(|entry| (&entry.entry.name, entry.entry.sha256));
        entries
    }

    fn page(&self, after: Option<&str>) -> CatalogPage {
        let after = after.map(|after| {
            let mut parts = after.split('~');
            (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned(), parts.next().unwrap().parse().unwrap())
        });
        let behind = |entry: &&&ListedEntry| {
            after
                .as_ref()
                .is_none_or(|(_, name, digest)| (entry.entry.name.as_str(), &entry.entry.sha256) > (name, digest))
        };
        let order = self.in_order();
        let rest: Vec<_> = order.iter().filter(behind).collect();
        let revision = after.as_ref().map_or_else(|| self.revision(), |(revision, ..)| revision.clone());
        let entries: Vec<_> = rest.iter().take(2).map(|entry| ListedEntry::clone(entry)).collect();
        let next = entries.last().filter(|_| rest.len() > 2);
        CatalogPage {
            next: next.map(|last| format!("{revision}~{}~{}", last.entry.name, last.entry.sha256)),
            total: order.len() as u64,
            servers: if after.is_none() { self.servers.clone() } else { Vec::new() },
            revision,
            entries,
            ..CatalogPage::default()
        }
    }

    fn since(&self, revision: &str) -> CatalogDelta {
        let (life, seen) = revision.split_once('-').unwrap();
        let seen: u64 = seen.parse().unwrap();
        let full = life != self.life.to_string() || !(self.forgotten..=self.number).contains(&seen);
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        if !full {
            changed.extend(self.entries.values().filter(|(number, _)| *number > seen).map(|(_, entry)| entry.clone()));
            let gone = self.removed.iter().filter(|(number, n)| *number > seen && !self.entries.contains_key(n));
            removed.extend(gone.map(|(_, n)| digest(*n)));
        }
        let servers = self.servers.clone();
        CatalogDelta { revision: self.revision(), full, servers, changed, removed, ..CatalogDelta::default() }
    }

    /// The whole document, without the health of servers but for those that are down.
    fn whole(&self) -> Vec<MergedEntry> {
        let merged = |listed: &&ListedEntry| {
            let mut entry = listed.merged(|id| self.servers.iter().find(|server| server.id == *id));
            for (source, told) in entry.sources.iter_mut().zip(&listed.sources) {
                source.health = pixelrts_shared::server::Health::default();
                source.health.state = told.state.unwrap_or_default();
            }
            entry
        };
        self.in_order().iter().map(merged).collect()
    }
}

/// What the browser stores. A write that has begun keeps others out until it is over.
#[derive(Default)]
struct Disk {
    revision: Option<String>,
    servers: Vec<CatalogServer>,
    lines: BTreeMap<Digest, String>,
    writing: Option<Writing>,
}

/// What a page writes.
struct Writing {
    page: usize,
    write: Write,
    lines: BTreeMap<Digest, String>,
    servers: Vec<CatalogServer>,
}

struct Browser {
    disk: Disk,
    pages: Vec<Follower>,
}

impl Browser {
    fn new() -> Self {
        Self { disk: Disk::default(), pages: vec![Follower::default(), Follower::default()] }
    }

    fn reload(&mut self, at: usize) {
        if self.disk.writing.is_some() {
            return;
        }
        self.pages[at] = Follower::default();
        if let Some(revision) = self.disk.revision.clone() {
            let lines = self.disk.lines.values().cloned().collect();
            self.pages[at].recall(revision, self.disk.servers.clone(), lines);
        }
    }

    /// One question and its reply, if that arrives.
    fn exchange(&mut self, at: usize, model: &Model, arrives: bool) -> Next {
        let page = &mut self.pages[at];
        let ask = page.ask();
        if !arrives {
            return Next::Later;
        }
        let before: Vec<_> = page.held().keys().iter().filter_map(|key| page.held().entry(key)).collect();
        let told = page.held().servers().clone();
        let step = match ask {
            Ask::Page { after } => page.take_page(model.page(after.as_deref())),
            Ask::Since(revision) => page.take_delta(model.since(&revision)),
        };
        let after: Vec<_> = page.held().keys().iter().filter_map(|key| page.held().entry(key)).collect();
        for entry in &after {
            let same = before.iter().find(|was| was.entry.sha256 == entry.entry.sha256 && was == &entry);
            assert!(same.is_none_or(|was| Arc::ptr_eq(was, entry)), "an entry that is as it was is the same object");
        }
        assert!(before == after || step.entries, "what is shown changes with notice only");
        assert_eq!(told != *page.held().servers(), step.servers);
        step.next
    }

    fn begin_write(&mut self, at: usize) {
        if self.disk.writing.is_some() {
            return;
        }
        let page = &mut self.pages[at];
        let Some(write) = page.to_write(self.disk.revision.as_deref()) else { return };
        let lines = write.put.iter().map(|key| (*key, page.held().line(key).unwrap().to_owned())).collect();
        self.disk.writing = Some(Writing { page: at, write, lines, servers: page.held().servers().to_vec() });
    }

    fn end_write(&mut self, model: &Model, succeeds: bool) {
        let Some(Writing { page, write, lines, servers }) = self.disk.writing.take() else { return };
        self.pages[page].written(succeeds.then_some(write.revision.as_str()));
        if !succeeds {
            return;
        }
        if write.clear {
            self.disk.lines.clear();
        }
        write.remove.iter().for_each(|key| drop(self.disk.lines.remove(key)));
        self.disk.lines.extend(lines);
        self.disk.servers = servers;
        let number = |revision: &str| {
            revision.split_once('-').map(|(life, number)| (life.to_owned(), number.parse::<u64>().unwrap()))
        };
        let (new, old) = (number(&write.revision), self.disk.revision.as_deref().and_then(number));
        let (new, old) = (new.unwrap(), old.unwrap_or_default());
        assert!(new.0 != old.0 || new.1 > old.1, "{old:?} is replaced by {new:?}");
        assert_eq!(self.disk.lines, model.history[&write.revision], "what is stored is the catalog of one revision");
        self.disk.revision = Some(write.revision);
    }

    /// Replies arrive again.
    fn settle(&mut self, at: usize, model: &Model) {
        self.pages[at].begin_round();
        for _ in 0..40 {
            match self.exchange(at, model, true) {
                Next::AskAgain => {}
                Next::Done { .. } => return,
                Next::Later => self.pages[at].begin_round(),
            }
        }
        panic!("it never ends: {:?}", self.pages[at]);
    }
}

#[derive(Clone, Debug)]
enum Event {
    Set(u8, Option<Said>),
    Servers(u8, u8),
    Restart,
    Forget,
    Exchange(usize, bool),
    Reload(usize),
    BeginWrite(usize),
    EndWrite(bool),
    Evict,
}

fn event() -> impl Strategy<Value = Event> {
    let said = (0_u8..2, prop::bool::ANY, prop::bool::ANY);
    prop_oneof![
        6 => (0_u8..4, prop::option::weighted(0.7, said)).prop_map(|(n, said)| Event::Set(n, said)),
        1 => (0_u8..2, 0_u8..3).prop_map(|(name, latency)| Event::Servers(name, latency)),
        1 => Just(Event::Restart),
        1 => Just(Event::Forget),
        10 => (0_usize..2, prop::bool::weighted(0.8)).prop_map(|(at, arrives)| Event::Exchange(at, arrives)),
        1 => (0_usize..2).prop_map(Event::Reload),
        4 => (0_usize..2).prop_map(Event::BeginWrite),
        4 => prop::bool::weighted(0.8).prop_map(Event::EndWrite),
        1 => Just(Event::Evict),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever happens on the way, every page ends with the catalog of the backend, and so does the next visit.
    #[test]
    fn pages_and_changes_end_in_the_whole_catalog(events in prop::collection::vec(event(), 0..60)) {
        let (mut model, mut browser) = (Model::new(), Browser::new());
        for event in events {
            match event {
                Event::Set(n, said) => model.set(n, said),
                Event::Servers(name, latency) => model.servers = vec![server("a", name, latency), server("b", 0, latency)],
                Event::Restart => model.restart(),
                Event::Forget => model.forgotten = model.number,
                Event::Exchange(at, arrives) => drop(browser.exchange(at, &model, arrives)),
                Event::Reload(at) => browser.reload(at),
                Event::BeginWrite(at) => browser.begin_write(at),
                Event::EndWrite(succeeds) => browser.end_write(&model, succeeds),
                Event::Evict if browser.disk.writing.is_none() => browser.disk = Disk::default(),
                Event::Evict => {}
            }
        }
        browser.end_write(&model, true);
        for at in [0, 1] {
            browser.settle(at, &model);
            let held = browser.pages[at].held();
            let entries: Vec<_> = held.keys().iter().filter_map(|key| held.entry(key)).collect();
            prop_assert_eq!(entries.len(), held.keys().len());
            prop_assert_eq!(entries.iter().map(|entry| MergedEntry::clone(entry)).collect::<Vec<_>>(), model.whole());
            prop_assert_eq!(&**held.servers(), &*model.servers);
            // The second time, it knows what is stored.
            for _ in 0..2 {
                browser.begin_write(at);
                browser.end_write(&model, true);
            }
            prop_assert_eq!(browser.disk.revision.as_deref(), Some(&*model.revision()));
        }
        browser.reload(0);
        let held = browser.pages[0].held();
        prop_assert_eq!(held.keys().to_vec(), model.in_order().iter().map(|entry| entry.entry.sha256).collect::<Vec<_>>());
        browser.settle(0, &model);
        prop_assert_eq!(browser.pages[0].to_write(browser.disk.revision.as_deref()), None);
    }
}

impl Browser {
    fn write(&mut self, at: usize, model: &Model) {
        self.begin_write(at);
        self.end_write(model, true);
    }
}

#[test]
fn what_was_changed_and_changed_back_is_written_over_what_another_page_stored_between() {
    let (mut model, mut browser) = (Model::new(), Browser::new());
    let (one, other) = (Some((1, false, true)), Some((2, false, true)));
    model.set(1, one);
    browser.settle(0, &model);
    browser.settle(1, &model);
    browser.write(0, &model);
    model.set(1, other);
    browser.settle(1, &model);
    browser.write(1, &model);
    assert_eq!(browser.disk.revision.as_deref(), Some("0-2"));
    model.set(1, one);
    browser.settle(0, &model);
    browser.write(0, &model);
    assert_eq!(browser.disk.revision.as_deref(), Some("0-3"));
}

#[test]
fn a_page_that_read_everything_again_does_not_know_what_was_between() {
    let (mut model, mut browser) = (Model::new(), Browser::new());
    let (one, other) = (Some((1, false, true)), Some((2, false, true)));
    model.set(1, one);
    browser.settle(0, &model);
    browser.begin_write(0);
    model.set(1, other);
    browser.settle(1, &model);
    model.set(1, one);
    model.forgotten = model.number;
    browser.settle(0, &model);
    browser.end_write(&model, true);
    browser.write(1, &model);
    assert_eq!(browser.disk.revision.as_deref(), Some("0-2"));
    model.set(2, one);
    browser.settle(0, &model);
    browser.write(0, &model);
    assert_eq!(browser.disk.revision.as_deref(), Some("0-4"));
}

#[test]
fn the_first_time_is_read_in_pages_and_then_only_what_has_changed() {
    let (mut model, mut page) = (Model::new(), Follower::default());
    (0..5).for_each(|n| model.set(n, Some((n % 3, false, true))));
    let mut asked = Vec::new();
    loop {
        let ask = page.ask();
        asked.push(ask.path());
        let step = match ask {
            Ask::Page { after } => page.take_page(model.page(after.as_deref())),
            Ask::Since(revision) => page.take_delta(model.since(&revision)),
        };
        if step.next != Next::AskAgain {
            assert_eq!(step, Step { entries: false, servers: false, next: Next::Done { stale: false } });
            break;
        }
    }
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[0], "/api/v1/catalog/remote?limit=500");
    assert!(asked[1].starts_with("/api/v1/catalog/remote?limit=500&after=0-5~n"), "{asked:?}");
    assert_eq!(asked[3], "/api/v1/catalog/remote?since=0-5");
}

#[test]
fn a_backend_that_never_can_tell_what_has_changed_is_left_alone_for_now() {
    let (model, mut page) = (Model::new(), Follower::default());
    let full = || CatalogDelta { full: true, ..CatalogDelta::default() };
    page.begin_round();
    let mut steps = Vec::new();
    while steps.last() != Some(&Next::Later) {
        steps.push(match page.ask() {
            Ask::Page { after } => page.take_page(model.page(after.as_deref())).next,
            Ask::Since(_) => page.take_delta(full()).next,
        });
    }
    assert_eq!(steps.len(), 4);
    let endless = CatalogPage { next: Some("more".to_owned()), ..CatalogPage::default() };
    assert_eq!(page.ask(), Ask::Page { after: None });
    assert_eq!(page.take_page(endless).next, Next::Later);
}

#[test]
fn an_entry_that_an_older_version_stored_in_another_way_is_read_again() {
    let (mut model, mut page) = (Model::new(), Follower::default());
    model.set(1, Some((1, false, true)));
    page.recall(model.revision(), model.servers.clone(), vec![format!("{}n1\n{{\"older\": true}}", digest(1))]);
    assert_eq!((page.held().name(&digest(1)), page.held().entry(&digest(1))), (Some("n1"), None));
    let Ask::Page { after: None } = page.ask() else { panic!("it begins anew") };
    page.take_page(model.page(None));
    assert_eq!(&*page.held().entry(&digest(1)).unwrap().entry.id.to_string(), "e1");
    assert_eq!(page.ask(), Ask::Since(model.revision()));
}

#[test]
fn what_was_stored_does_not_replace_what_the_backend_has_said() {
    let (mut model, mut page) = (Model::new(), Follower::default());
    model.set(1, Some((1, false, true)));
    page.take_page(model.page(None));
    assert!(!page.recall("9-9".to_owned(), Vec::new(), Vec::new()));
    assert_eq!(page.held().keys().len(), 1);
    page.take_delta(model.since(&model.revision()));
    assert!(page.to_write(Some("9-9")).is_some_and(|write| write.clear), "it has seen what is stored");
}
