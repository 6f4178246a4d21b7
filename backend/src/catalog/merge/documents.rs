//! What is told of the view: one entry, all of it, a page of it, or what has changed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pixelrts_shared::catalog::{
    CatalogDelta, CatalogPage, CatalogServer, Entry, ListedEntry, ListedSource, MergedCatalog, MergedEntry, Source,
    default_url, errors,
};
use pixelrts_shared::image_status::Status;
use pixelrts_shared::server::HealthState;
use pixelrts_shared::{Digest, EntryId, ServerId};

use super::member::Member;
use super::{Cached, MemberKey, Merged, Offer, Slot};
use crate::catalog::personal::{Moment, Notes};
use crate::remote::without_secrets;

/// With more changes, a client gets the pages again, which arrive one after the other.
const MOST_CHANGED: usize = 5_000;

/// The id that is most like this word, if one is.
pub(in crate::catalog) fn nearest(offered: &[Arc<Entry>], word: &str) -> Option<EntryId> {
    let scored = offered.iter().map(|entry| &entry.id).map(|id| (strsim::jaro_winkler(word, id.as_str()), id));
    let (score, id) = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    // "debain" and "debian" have 0.96.
    (score > 0.85).then(|| id.clone())
}

/// The place of an entry in the order of the reader, and the revision of the first page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    revision: String,
    name: Arc<str>,
    digest: Digest,
}

impl Merged {
    /// Names the newest change.
    pub(in crate::catalog) fn revision(&self) -> String {
        format!("{}-{}", self.epoch, self.revision)
    }

    /// One entry. The server that somebody names describes it, unless the image itself is here.
    pub(in crate::catalog) fn entry(&self, digest: &Digest, named: Option<&ServerId>) -> Option<MergedEntry> {
        let slot = self.slots.get(digest)?;
        let mut merged = self.merged(digest, slot);
        let named = slot.offers.iter().find(|offer| named.is_some_and(|named| self.members[&offer.member].is(named)));
        if let Some(offer) = named.filter(|_| merged.described_by.is_some()) {
            merged.entry = Entry::clone(&offer.entry);
            merged.described_by = Some(self.members[&offer.member].id());
        }
        Some(merged)
    }

    pub(in crate::catalog) fn lists(&self, digest: &Digest) -> bool {
        self.slots.contains_key(digest)
    }

    /// Whether a server offers an image.
    pub(in crate::catalog) fn offers(&self, server: &ServerId, digest: &Digest) -> bool {
        let offers = self.slots.get(digest).map(|slot| slot.offers.as_slice()).unwrap_or_default();
        offers.iter().any(|offer| self.members[&offer.member].is(server))
    }

    /// All that is offered, for a search that takes longer than the view may be held.
    pub(in crate::catalog) fn offered(&self) -> Vec<Arc<Entry>> {
        self.slots.values().flat_map(|slot| &slot.offers).map(|offer| offer.entry.clone()).collect()
    }

    /// The images that have this id at any server, or at the one that is named; or else those with this name.
    pub(in crate::catalog) fn called(&self, word: &str, server: Option<&ServerId>) -> Vec<Digest> {
        let found = word.parse().map(|id| self.with_id(&id, server)).unwrap_or_default();
        if found.is_empty() { self.with_name(word, server) } else { found }
    }

    fn with_name(&self, name: &str, server: Option<&ServerId>) -> Vec<Digest> {
        let first: (Arc<str>, _) = (name.into(), Digest::new([0; 32]));
        let named = self.order.range(first..).take_while(|(other, _)| **other == *name).map(|(_, digest)| *digest);
        named.filter(|digest| server.is_none_or(|server| self.offers(server, digest))).collect()
    }

    pub(in crate::catalog) fn with_id(&self, id: &EntryId, server: Option<&ServerId>) -> Vec<Digest> {
        let asked = self.members.iter().filter(|(_, member)| server.is_none_or(|server| member.is(server)));
        let found: BTreeSet<_> = asked
            .flat_map(|(key, member)| {
                let offers = |digest: &Digest| {
                    let slot = self.slots.get(digest);
                    slot.is_some_and(|slot| slot.offers.iter().any(|offer| offer.member == *key))
                };
                member.entries.with_id(id).into_iter().filter(offers)
            })
            .collect();
        found.into_iter().collect()
    }

    /// Everything at once.
    pub(in crate::catalog) fn whole(&self) -> MergedCatalog {
        MergedCatalog {
            revision: self.revision(),
            generated_at: self.about.generated_at.clone(),
            stale: self.about.stale,
            entries: self.order.iter().map(|(_, digest)| self.merged(digest, &self.slots[digest])).collect(),
            errors: errors(&self.servers()),
        }
    }

    /// All that the whole document depends on, in a few words.
    pub(in crate::catalog) fn says(&self) -> String {
        let servers = serde_json::to_string(&self.servers()).expect("wire types are plain data");
        format!("{} {} {} {servers}", self.revision(), self.about.stale, self.about.generated_at)
    }

    /// This computer and all servers, in the order of the list.
    pub(in crate::catalog) fn servers(&self) -> Vec<CatalogServer> {
        let mut members: Vec<_> = self.members.values().collect();
        members.sort_by_key(|member| member.rank);
        members.into_iter().map(Member::listed).collect()
    }

    /// At most `limit` entries behind a place, or the first ones.
    pub(in crate::catalog) fn page(&self, limit: usize, after: Option<Cursor>) -> CatalogPage {
        let (start, revision, servers) = match after {
            None => (Bound::Unbounded, self.revision(), self.servers()),
            Some(Cursor { revision, name, digest }) => (Bound::Excluded((name, digest)), revision, Vec::new()),
        };
        let mut rest = self.order.range((start, Bound::Unbounded));
        let places: Vec<_> = rest.by_ref().take(limit).collect();
        let last = places.last().filter(|_| rest.next().is_some());
        let next = last.map(|(name, digest)| {
            Cursor { revision: revision.clone(), name: name.clone(), digest: *digest }.to_string()
        });
        CatalogPage {
            revision,
            generated_at: self.about.generated_at.clone(),
            stale: self.about.stale,
            total: self.order.len() as u64,
            servers,
            entries: places.into_iter().map(|(_, digest)| self.listed(digest, &self.slots[digest])).collect(),
            next,
        }
    }

    /// What has changed since a revision.
    pub(in crate::catalog) fn since(&self, revision: &str) -> CatalogDelta {
        let told = self.number(revision).and_then(|seen| self.changes(seen));
        let (full, (changed, removed)) = (told.is_none(), told.unwrap_or_default());
        CatalogDelta {
            revision: self.revision(),
            generated_at: self.about.generated_at.clone(),
            stale: self.about.stale,
            full,
            servers: self.servers(),
            changed,
            removed,
        }
    }

    /// The number of a revision of this view, when what has changed since then is known.
    fn number(&self, revision: &str) -> Option<u64> {
        let seen: u64 = revision.strip_prefix(self.epoch.as_str())?.strip_prefix('-')?.parse().ok()?;
        (self.forgotten..=self.revision).contains(&seen).then_some(seen)
    }

    fn changes(&self, seen: u64) -> Option<(Vec<ListedEntry>, Vec<Digest>)> {
        if seen == self.revision {
            return Some((Vec::new(), Vec::new()));
        }
        let changed: Vec<_> = self.slots.iter().filter(|(_, slot)| slot.revision > seen).collect();
        if changed.len() > MOST_CHANGED {
            return None;
        }
        let gone = self.removed.iter().rev().take_while(|(when, _)| *when > seen).map(|(_, digest)| *digest);
        let mut removed: Vec<_> = gone.filter(|digest| !self.slots.contains_key(digest)).collect();
        removed.sort_unstable();
        removed.dedup();
        Some((changed.into_iter().map(|(digest, slot)| self.listed(digest, slot)).collect(), removed))
    }

    fn described<'a>(&'a self, digest: &Digest, slot: &'a Slot) -> (Cow<'a, Entry>, Option<ServerId>) {
        let (entry, by) = described(&self.cached, digest, slot);
        (entry, by.map(|key| self.members[&key].id()))
    }

    fn merged(&self, digest: &Digest, slot: &Slot) -> MergedEntry {
        let (entry, described_by) = self.described(digest, slot);
        let source = |offer: &Offer| {
            let (member, offered) = (&self.members[&offer.member], &*offer.entry);
            Source {
                server: member.id(),
                name: member.name(),
                id: offered.id.clone(),
                size: offered.size,
                url: member.url(offered),
                health: member.health().clone(),
            }
        };
        let sources = slot.offers.iter().map(source).collect();
        let entry = without_secrets(entry).into_owned();
        whole_entry(entry, described_by, sources, slot.here, slot.notes, slot.status)
    }

    fn listed(&self, digest: &Digest, slot: &Slot) -> ListedEntry {
        let (entry, described_by) = self.described(digest, slot);
        let source = |offer: &Offer| {
            let (member, offered) = (&self.members[&offer.member], &*offer.entry);
            let usual = member.base().map(|base| default_url(base, digest));
            ListedSource {
                server: member.id(),
                id: Some(&offered.id).filter(|id| **id != entry.id).cloned(),
                size: Some(offered.size).filter(|size| *size != entry.size),
                url: offered.url.as_ref().and_then(|_| member.url(offered)).filter(|url| Some(url) != usual.as_ref()),
                state: member.is_down().then_some(HealthState::Down),
            }
        };
        ListedEntry {
            sources: slot.offers.iter().map(source).collect(),
            entry: without_secrets(entry).into_owned(),
            described_by,
            cached: slot.here,
            position: slot.notes.position,
            favorite: slot.notes.favorite,
            added: slot.notes.added.map(Moment::rfc3339),
            last_used: slot.notes.booted.map(Moment::rfc3339),
            status: slot.status,
        }
    }
}

pub(super) fn whole_entry(
    entry: Entry,
    described_by: Option<ServerId>,
    sources: Vec<Source>,
    cached: bool,
    notes: Notes,
    status: Status,
) -> MergedEntry {
    MergedEntry {
        entry,
        described_by,
        sources,
        cached,
        position: notes.position,
        favorite: notes.favorite,
        added: notes.added.map(Moment::rfc3339),
        last_used: notes.booted.map(Moment::rfc3339),
        status,
    }
}

/// What describes an image, and who says it: `None` is the image itself, or nobody any more. `cached`: what is known of
/// images of the cache.
pub(super) fn described<'a>(
    cached: &'a Cached,
    digest: &Digest,
    slot: &'a Slot,
) -> (Cow<'a, Entry>, Option<MemberKey>) {
    let told = cached.get(digest).and_then(Option::as_ref);
    let own = told.filter(|told| told.by_itself).map(|told| &*told.entry);
    match (slot.offers.first(), own) {
        (Some(Offer { member: MemberKey::THIS_COMPUTER, entry: best }), _) => (Cow::Borrowed(best), None),
        (Some(Offer { entry: best, .. }), Some(own)) => (Cow::Owned(told_by_itself(own, best)), None),
        (Some(Offer { member, entry: best }), None) => (Cow::Borrowed(best), Some(*member)),
        (None, _) => (Cow::Borrowed(&told.expect("a slot stays only with what describes it").entry), None),
    }
}

/// What an image says of itself, with what only a catalog knows: its id there, and its name where it has none.
fn told_by_itself(own: &Entry, offered: &Entry) -> Entry {
    let nameless = own.name.as_str() == own.sha256.to_string();
    Entry {
        id: offered.id.clone(),
        name: if nameless { offered.name.clone() } else { own.name.clone() },
        tags: offered.tags.clone(),
        thumbnail: offered.thumbnail.clone(),
        url: offered.url.clone(),
        ..own.clone()
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}~{}~{}", self.revision, self.digest, BASE64_URL_SAFE_NO_PAD.encode(self.name.as_bytes()))
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('~');
        let (Some(revision), Some(digest), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let name = BASE64_URL_SAFE_NO_PAD.decode(name).map_err(|_| ())?;
        Ok(Self {
            revision: revision.to_owned(),
            name: String::from_utf8(name).map_err(|_| ())?.into(),
            digest: digest.parse().map_err(|_| ())?,
        })
    }
}
