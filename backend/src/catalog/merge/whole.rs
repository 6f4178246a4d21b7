//! The whole view as the document of a response, written piece by piece: neither the document nor copies of its entries
//! are ever in memory as a whole.
//!
//! It says what `Merged::whole` says. What it is written from stays as it is, whatever becomes of the view meanwhile.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::errors;
use serde::Serialize;

use super::documents::described;
use super::member::Member;
use super::{Cached, MemberKey, Merged, Offer, Slot};
use crate::catalog::personal::Notes;
use crate::remote::without_secrets;

/// A piece is about as long, so that giving it away is little work compared with writing it.
const PIECE: usize = 256 << 10;

/// What is left to write. The pieces, one after the other, are the document.
#[derive(Debug)]
pub struct Whole {
    says: String,
    start: Option<Vec<u8>>,
    slots: std::vec::IntoIter<(Digest, Arc<Slot>)>,
    end: Option<Vec<u8>>,
    members: BTreeMap<MemberKey, Said>,
    /// What is known of images of the cache.
    cached: Cached,
}

/// What is said of a member in each of its sources.
#[derive(Debug)]
struct Said {
    /// Its id, as JSON.
    id: Vec<u8>,
    /// The members of the object before and behind those that differ, as JSON.
    before: Vec<u8>,
    behind: Vec<u8>,
    /// The address of its images without their digest, as in JSON.
    images: Option<Vec<u8>>,
    member: Member,
}

impl Merged {
    /// The whole document as it is now.
    pub(in crate::catalog) fn written(&self) -> Whole {
        let mut start = b"{\"revision\":".to_vec();
        json(&mut start, &self.revision());
        start.extend(b",\"generated_at\":");
        json(&mut start, &self.about.generated_at);
        start.extend(b",\"stale\":");
        json(&mut start, &self.about.stale);
        start.extend(b",\"entries\":[");
        let mut end = b"],\"errors\":".to_vec();
        json(&mut end, &errors(&self.servers()));
        end.push(b'}');
        let slots: Vec<_> = self.order.iter().map(|(_, digest)| (*digest, self.slots[digest].clone())).collect();
        Whole {
            says: self.says(),
            start: Some(start),
            slots: slots.into_iter(),
            end: Some(end),
            members: self.members.iter().map(|(key, member)| (*key, Said::of(member))).collect(),
            cached: self.cached.clone(),
        }
    }
}

impl Whole {
    /// All that the document depends on, in a few words: when it is the same, the document is.
    #[must_use]
    pub fn says(&self) -> &str {
        &self.says
    }

    fn entry(&self, digest: &Digest, slot: &Slot, out: &mut Vec<u8>) {
        let (entry, described_by) = described(&self.cached, digest, slot);
        json(out, &*without_secrets(entry));
        // The other members follow in the same object.
        out.pop();
        if let Some(by) = described_by {
            out.extend(b",\"described_by\":");
            out.extend(&self.members[&by].id);
        }
        out.extend(b",\"sources\":[");
        for (place, offer) in slot.offers.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            self.members[&offer.member].source(digest, offer, out);
        }
        out.extend(b"],\"cached\":");
        json(out, &slot.here);
        let Notes { position, favorite, added, booted } = slot.notes;
        if let Some(position) = position {
            out.extend(b",\"position\":");
            json(out, &position);
        }
        if favorite {
            out.extend(b",\"favorite\":true");
        }
        for (name, moment) in [("added", added), ("last_used", booted)] {
            if let Some(moment) = moment {
                write!(out, ",\"{name}\":\"{}\"", moment.rfc3339()).expect("memory takes everything");
            }
        }
        out.extend(b",\"status\":");
        json(out, &slot.status);
        out.push(b'}');
    }
}

impl Iterator for Whole {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let is_first = self.start.is_some();
        let mut piece = self.start.take().unwrap_or_default();
        let head = piece.len();
        while piece.len() < PIECE {
            let Some((digest, slot)) = self.slots.next() else {
                piece.extend(self.end.take().unwrap_or_default());
                break;
            };
            if !is_first || piece.len() > head {
                piece.push(b',');
            }
            self.entry(&digest, &slot, &mut piece);
        }
        Some(piece).filter(|piece| !piece.is_empty())
    }
}

impl Said {
    fn of(member: &Member) -> Self {
        let (mut id, mut before, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        json(&mut id, &member.id());
        before.extend(b"{\"server\":");
        before.extend(&id);
        before.extend(b",\"name\":");
        json(&mut before, &member.name());
        before.extend(b",\"id\":");
        behind.extend(b",\"health\":");
        json(&mut behind, member.health());
        behind.push(b'}');
        let images = member.images().map(|images| {
            let mut text = Vec::new();
            json(&mut text, &images);
            text.pop();
            text
        });
        Self { id, before, behind, images, member: member.without_entries() }
    }

    fn source(&self, digest: &Digest, Offer { entry, .. }: &Offer, out: &mut Vec<u8>) {
        out.extend(&self.before);
        json(out, &entry.id);
        out.extend(b",\"size\":");
        json(out, &entry.size);
        match (&self.images, &entry.url) {
            (Some(images), None) => {
                out.extend(b",\"url\":");
                out.extend(images);
                write!(out, "{digest}.rts.png\"").expect("memory takes everything");
            }
            _ => {
                if let Some(url) = self.member.url(entry) {
                    out.extend(b",\"url\":");
                    json(out, &url);
                }
            }
        }
        out.extend(&self.behind);
    }
}

fn json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("wire types are plain data, and memory takes everything");
}
