//! All catalogs as one view: an entry per digest, with every server that offers it. This is pure.
//!
//! The digest is the identity: the same bytes on two servers are one entry with two sources, the same id with other
//! bytes stays two entries. Sources stand in the order in which they are tried: this computer, then servers that
//! answer before those that do not, each by priority. What a server says of an image counts for its own source only;
//! the image itself describes the entry once it is here, before that the first source does. An image of the cache stays
//! in the view without any source, because it still boots.
//!
//! The view is kept and changed only where something has changed. Every change gets a number, so that a client can ask
//! for what is new since the one that it has seen.

mod documents;
mod member;
mod whole;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::{Entry, MergedEntry};
use pixelrts_shared::download::Download;
use pixelrts_shared::image_status::{self, Status, machine_that_counts};
use pixelrts_shared::machine::Machine;

use super::personal::{Moment, Notes, Personal};
use super::scan::Found;
use crate::remote::catalogs::KnownServer;
pub use documents::Cursor;
pub(super) use documents::nearest;
use member::{Entries, Member};
pub use whole::Whole;

/// How many images that are gone are remembered, for clients that still have them.
const MOST_REMOVED: usize = 20_000;

/// Everything that the view is made of.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) local: Arc<Found>,
    /// In priority order.
    pub(super) servers: Vec<KnownServer>,
    /// Whole images in the download cache, each with what is known of it without a catalog, where that has been read.
    pub(super) cached: Cached,
    pub(super) downloads: Vec<Download>,
    /// In the order in which they were started.
    pub(super) machines: Vec<Machine>,
    pub(super) personal: Personal,
    /// Images of which something personal has changed.
    pub(super) changed: HashSet<Digest>,
    /// When images that are new here came; `None`: that is not noted.
    pub(super) now: Option<Moment>,
}

pub(super) type Cached = HashMap<Digest, Option<Told>>;

/// What is known of an image of the cache without a catalog.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) entry: Arc<Entry>,
    /// The image itself was read. Otherwise this is what a server called it once.
    pub(super) by_itself: bool,
}

/// The view.
#[derive(Debug)]
pub(super) struct Merged {
    /// Names this view: the numbers of another one mean nothing here.
    epoch: String,
    /// Of the newest change.
    revision: u64,
    /// Changes up to this one cannot be told any more.
    forgotten: u64,
    about: About,
    next_key: MemberKey,
    /// This computer, and the enabled servers.
    members: BTreeMap<MemberKey, Member>,
    /// Whoever writes the whole view keeps the slots that it began with.
    slots: HashMap<Digest, Arc<Slot>>,
    /// The slots by name, then by digest: the order of the reader.
    order: BTreeSet<(Arc<str>, Digest)>,
    removed: VecDeque<(u64, Digest)>,
    cached: Cached,
    /// The images of downloads and machines.
    active: HashSet<Digest>,
}

/// One image.
#[derive(Clone, Debug)]
struct Slot {
    /// In the order in which they are tried.
    offers: Vec<Offer>,
    name: Arc<str>,
    /// The whole image is on this computer.
    here: bool,
    notes: Notes,
    status: Status,
    /// The change that brought it to what it is.
    revision: u64,
}

/// What a member says of the image.
#[derive(Clone, Debug)]
struct Offer {
    member: MemberKey,
    entry: Arc<Entry>,
}

/// Names a member as long as it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct MemberKey(u32);

impl Merged {
    pub(super) fn new(epoch: String) -> Self {
        Self {
            epoch,
            revision: 0,
            forgotten: 0,
            about: About::default(),
            next_key: MemberKey(1),
            members: [(MemberKey::THIS_COMPUTER, Member::this_computer())].into(),
            slots: HashMap::new(),
            order: BTreeSet::new(),
            removed: VecDeque::new(),
            cached: HashMap::new(),
            active: HashSet::new(),
        }
    }

    /// Takes over what has changed. True when an entry has.
    pub(super) fn update(&mut self, now: Inputs) -> bool {
        let mut touched = Touched::default();
        self.about = About::of(&now);
        self.take_members(now.local, &now.servers, &mut touched);
        self.take_cached(now.cached, &mut touched);
        let facts = Facts::new(&now.downloads, &now.machines);
        let active: HashSet<_> = facts.digests().collect();
        let before = std::mem::replace(&mut self.active, active);
        before.iter().chain(&self.active).chain(&now.changed).for_each(|digest| touched.look(*digest));
        let mut personal = now.personal.known();
        if let Some(moment) = now.now {
            let is_new = |digest: &Digest| self.slots.get(digest).is_some_and(|slot| slot.revision == 0);
            let new: Vec<_> = touched.0.keys().filter(|digest| is_new(digest)).copied().collect();
            personal.see(&new, moment, |digest| self.slots.contains_key(digest));
        }
        let revision = self.revision + 1;
        let (mut changed, mut listed) = (false, Vec::new());
        for (digest, differs) in touched.0 {
            changed |= self.rebuild(digest, (differs, personal.get(&digest)), &facts, revision, &mut listed);
        }
        self.list(listed);
        if changed {
            self.revision = revision;
        }
        changed
    }

    fn take_members(&mut self, local: Arc<Found>, servers: &[KnownServer], touched: &mut Touched) {
        let keys: HashMap<_, _> = self.members.iter().map(|(key, member)| (member.id(), *key)).collect();
        let mut places: Vec<_> = servers.iter().map(|known| keys.get(&known.server.id).copied()).collect();
        let gone: Vec<_> = keys
            .values()
            .filter(|key| **key != MemberKey::THIS_COMPUTER && !places.contains(&Some(**key)))
            .copied()
            .collect();
        for key in gone {
            self.replace_entries(key, Entries::None, touched);
            self.members.remove(&key);
        }
        // Only what stands in another order than before is looked at again.
        let stayed: Vec<_> = places.iter().flatten().copied().collect();
        let reordered = !stayed.is_sorted_by_key(|key| self.members[key].rank);
        for (place, known) in places.iter_mut().zip(servers) {
            let key = *place.get_or_insert_with(|| {
                let key = self.next_key;
                self.next_key = MemberKey(key.0 + 1);
                self.members.insert(key, Member::server(known));
                key
            });
            let member = self.members.get_mut(&key).expect("it was found or inserted");
            if member.renew(known) || reordered {
                member.entries.all().iter().for_each(|entry| touched.changed(entry.sha256));
            }
        }
        for (place, (key, known)) in places.into_iter().flatten().zip(servers).enumerate() {
            self.members.get_mut(&key).expect("it was found or inserted").rank = place + 1;
            self.replace_entries(key, Entries::of_server(known), touched);
        }
        if !self.members[&MemberKey::THIS_COMPUTER].entries.is_of(&local) {
            self.replace_entries(MemberKey::THIS_COMPUTER, Entries::of_folders(local), touched);
        }
    }

    /// Exchanges what a member offers.
    fn replace_entries(&mut self, key: MemberKey, new: Entries, touched: &mut Touched) {
        let member = self.members.get_mut(&key).expect("a member has its key");
        if member.entries.is_same(&new) {
            return;
        }
        let old = std::mem::replace(&mut member.entries, new);
        let member = &*member;
        let usable = |entry: &&Arc<Entry>| member.can_give(entry);
        self.slots.reserve(member.entries.all().len().saturating_sub(old.all().len()));
        let mut before: HashMap<_, _> = old.all().iter().filter(usable).map(|entry| (entry.sha256, entry)).collect();
        for entry in member.entries.all().iter().filter(usable) {
            let slot = self.slots.entry(entry.sha256).or_default();
            match before.remove(&entry.sha256) {
                Some(was) => {
                    if !Arc::ptr_eq(was, entry) && was != entry {
                        touched.changed(entry.sha256);
                    }
                    let offer = slot.offers.iter().position(|offer| offer.member == key);
                    if let Some(at) = offer.filter(|at| !Arc::ptr_eq(&slot.offers[*at].entry, entry)) {
                        Arc::make_mut(slot).offers[at].entry = entry.clone();
                    }
                }
                None => {
                    Arc::make_mut(slot).offers.push(Offer { member: key, entry: entry.clone() });
                    touched.changed(entry.sha256);
                }
            }
        }
        for digest in before.into_keys() {
            if let Some(slot) = self.slots.get_mut(&digest) {
                Arc::make_mut(slot).offers.retain(|offer| offer.member != key);
            }
            touched.changed(digest);
        }
    }

    fn take_cached(&mut self, cached: Cached, touched: &mut Touched) {
        for (digest, told) in &cached {
            let before = self.cached.get(digest);
            let is_same = |before: &Told, told: &Told| Arc::ptr_eq(&before.entry, &told.entry);
            match (before.and_then(Option::as_ref), told) {
                (None, None) if before.is_some() => {}
                (Some(before), Some(told)) if is_same(before, told) || before == told => {}
                _ => touched.changed(*digest),
            }
            // It stays as long as it is in the cache, whoever offers it.
            if told.is_some() {
                self.slots.entry(*digest).or_default();
            }
        }
        self.cached.keys().filter(|digest| !cached.contains_key(*digest)).for_each(|digest| touched.changed(*digest));
        self.cached = cached;
    }

    /// Puts one image together again. True when something about it has changed. A place in the order that it takes is
    /// added to `listed`.
    fn rebuild(
        &mut self,
        digest: Digest,
        (differs, notes): (bool, Notes),
        facts: &Facts<'_>,
        revision: u64,
        listed: &mut Vec<(Arc<str>, Digest)>,
    ) -> bool {
        let Some(slot) = self.slots.get_mut(&digest) else { return false };
        let published = slot.revision > 0;
        if slot.offers.is_empty() && self.cached.get(&digest).is_none_or(Option::is_none) {
            if published {
                self.order.remove(&(slot.name.clone(), digest));
                self.removed.push_back((revision, digest));
                while self.removed.len() > MOST_REMOVED {
                    let oldest = self.removed.pop_front().expect("it is not empty");
                    self.forgotten = oldest.0;
                }
            }
            self.slots.remove(&digest);
            return published;
        }
        let members = &self.members;
        let turn = |offer: &Offer| members[&offer.member].turn();
        let sorted = slot.offers.is_sorted_by_key(turn);
        let of_folders = slot.offers.iter().any(|offer| offer.member == MemberKey::THIS_COMPUTER);
        let here = of_folders || self.cached.contains_key(&digest);
        let status = facts.status(&digest, here, slot.offers.iter().any(|offer| !members[&offer.member].is_down()));
        if published && !differs && sorted && (here, status, notes) == (slot.here, slot.status, slot.notes) {
            return false;
        }
        let slot = Arc::make_mut(slot);
        slot.offers.sort_by_key(turn);
        (slot.here, slot.status, slot.notes, slot.revision) = (here, status, notes, revision);
        let (described, _) = documents::described(&self.cached, &digest, slot);
        if !published || *slot.name != *described.name {
            let name: Arc<str> = described.name.as_str().into();
            let before = std::mem::replace(&mut slot.name, name.clone());
            if published {
                self.order.remove(&(before, digest));
            }
            listed.push((name, digest));
        }
        true
    }

    /// Puts images into the order of the reader: many at once, where that is less work.
    fn list(&mut self, listed: Vec<(Arc<str>, Digest)>) {
        if listed.len() > self.order.len() / 8 {
            self.order.append(&mut listed.into_iter().collect());
        } else {
            self.order.extend(listed);
        }
    }
}

/// An image of the cache by the words by which it was found there.
pub(super) fn only_here(entry: Entry, notes: Notes, downloads: &[Download], machines: &[Machine]) -> MergedEntry {
    let status = Facts::new(downloads, machines).status(&entry.sha256, true, false);
    documents::whole_entry(entry, None, Vec::new(), true, notes, status)
}

impl MemberKey {
    const THIS_COMPUTER: Self = Self(0);
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            offers: Vec::new(),
            name: "".into(),
            here: false,
            notes: Notes::default(),
            status: Status::Idle,
            revision: 0,
        }
    }
}

/// The images that are looked at again, and whether what is said of them is known to differ.
#[derive(Debug, Default)]
struct Touched(HashMap<Digest, bool>);

impl Touched {
    fn look(&mut self, digest: Digest) {
        self.0.entry(digest).or_default();
    }

    fn changed(&mut self, digest: Digest) {
        self.0.insert(digest, true);
    }
}

/// What the document says about itself.
#[derive(Debug, Default)]
struct About {
    /// Of the newest part, so that the document only changes when something in it does.
    generated_at: String,
    stale: bool,
}

impl About {
    fn of(now: &Inputs) -> Self {
        let scanned_at = &now.local.scanned_at;
        let checked = now.servers.iter().filter_map(|known| known.health.checked_at.as_ref());
        Self {
            generated_at: checked.fold(scanned_at, Ord::max).clone(),
            stale: scanned_at.is_empty() || now.servers.iter().any(|known| known.asking),
        }
    }
}

/// What is known about images apart from the catalogs.
#[derive(Debug)]
struct Facts<'a> {
    downloads: HashMap<Digest, &'a Download>,
    /// In the order in which they were started.
    machines: HashMap<Digest, Vec<&'a Machine>>,
}

impl<'a> Facts<'a> {
    fn new(downloads: &'a [Download], machines: &'a [Machine]) -> Self {
        let mut by_image: HashMap<_, Vec<_>> = HashMap::new();
        for machine in machines {
            by_image.entry(machine.key).or_default().push(machine);
        }
        Self { downloads: downloads.iter().map(|download| (download.key, download)).collect(), machines: by_image }
    }

    fn digests(&self) -> impl Iterator<Item = Digest> {
        self.downloads.keys().chain(self.machines.keys()).copied()
    }

    /// `offered`: a server that has it may answer.
    fn status(&self, digest: &Digest, here: bool, offered: bool) -> Status {
        let machines = self.machines.get(digest).map(Vec::as_slice).unwrap_or_default();
        let known = image_status::Facts {
            machine: machine_that_counts(machines.iter().copied()),
            download: self.downloads.get(digest).copied(),
            asked: false,
            refused: None,
            here,
            offered,
            reachable: true,
        };
        image_status::decide(&known).status()
    }
}

#[cfg(test)]
mod tests;
