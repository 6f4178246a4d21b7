//! What becomes of an answer: a new catalog is unpacked, kept for the next start, and used as far as there is memory for
//! it; the health of its server changes, and the log says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pixelrts_shared::{Level, ServerId};

use super::ask::{Answer, Fetched};
use super::known::{CatalogInUse, Known, Line};
use super::packed::{self, Packed};
use super::read::{Limits, Read, Reader};
use super::{Catalogs, ServerCatalog, budget};
use crate::remote::RemoteError;
use crate::remote::error::Kind;
use crate::remote::servers::{Kept, KeptHead, Record};
use crate::task::blocking;
use crate::{clock, random, report};

impl Catalogs {
    pub(super) fn in_use(&self, server: &Record) -> Option<CatalogInUse> {
        self.known().get(&server.id).filter(|known| known.url == server.url)?.catalog.clone()
    }

    pub(super) async fn learn(
        &self,
        asked: &Record,
        before: Option<CatalogInUse>,
        answer: Result<Answer, RemoteError>,
    ) {
        let answer = match answer {
            Ok(Answer { catalog: None, latency }) => Ok((None, latency)),
            Ok(Answer { catalog: Some(fetched), latency }) => {
                self.take_over(asked, before, fetched).await.map(|catalog| (Some(catalog), latency))
            }
            Err(error) => Err(error),
        };
        let (now, checked_at, random) = (Instant::now(), clock::now(), random::jitter());
        let told = self.of_current(asked, |known| {
            let line = match answer {
                Ok((catalog, latency)) => known.works(catalog, (latency, checked_at), now, random),
                Err(error) => {
                    let wait = error.wait();
                    known.failed(error.into(), checked_at, wait, now, random)
                }
            };
            let health = known.health_to_keep(now);
            // A command ends when nobody is asked any more.
            known.asking = health.is_some();
            (line, health)
        });
        let Some((line, health)) = told else { return };
        if let Some((line, unsaid)) = line {
            log(&asked.id, &line, unsaid);
        }
        self.keep_within_memory().await;
        if let Some(health) = health {
            let (servers, server) = (self.0.servers.clone(), asked.clone());
            if let Err(error) = blocking(move || servers.keep_health(&server, &health)).await {
                tracing::debug!(server = %asked.id, %error, "the health of a server cannot be kept");
            }
            self.of_current(asked, |known| known.asking = false);
        }
    }

    /// Cuts the largest catalogs while all of them take more memory than there is for them.
    async fn keep_within_memory(&self) {
        loop {
            let Some((id, before, each)) = too_large(&self.known(), self.0.memory) else { return };
            let catalog = before.catalog.clone();
            let cut = blocking(move || before.cut(each)).await;
            if let Some(known) = self.known().get_mut(&id) {
                known.cut(&catalog, cut);
            }
            self.0.changes.send_modify(|n| *n += 1);
        }
    }

    /// Unpacks a new catalog, and keeps it for the next start. Entries that stayed the same are shared with the one
    /// before.
    async fn take_over(
        &self,
        server: &Record,
        before: Option<CatalogInUse>,
        fetched: Fetched,
    ) -> Result<CatalogInUse, RemoteError> {
        let Fetched { read: Read { name, generated_at, entries, left_out }, version, turn } = fetched;
        let each = self.share(&server.id, entries.weight());
        let fingerprint = entries.fingerprint();
        let head = KeptHead { name, generated_at, version, left_out };
        // One that was cut may keep more by now. A little more is not worth the work.
        let has_room = |before: &CatalogInUse| {
            before.kept < before.wanted && each.min(before.wanted) > before.kept + before.kept / 8
        };
        let is_same = |before: &CatalogInUse| {
            before.fingerprint == fingerprint && before.head.name == head.name && !has_room(before)
        };
        if let Some(same) = self.in_use(server).filter(is_same) {
            if same.head.left_out != head.left_out {
                self.keep(server, &head, None);
            }
            return Ok(CatalogInUse { head, ..same });
        }
        let (this, at) = (self.clone(), server.clone());
        let unpacked = blocking(move || {
            let unpacked = unpack(head, &entries, before.as_ref().map(|before| &*before.catalog), each)?;
            this.keep(&at, &unpacked.head, Some(entries.as_bytes()));
            drop((before, turn));
            Ok::<_, packed::Damaged>(unpacked)
        });
        unpacked.await.map_err(|error| RemoteError::new(&server.name, Kind::BadCatalog(error.to_string().into())))
    }

    /// How much memory a server's catalog may take that wants so much.
    fn share(&self, server: &ServerId, wanted: usize) -> usize {
        let known = self.known();
        let others = known.iter().filter(|(id, _)| *id != server).filter_map(|(_, known)| known.catalog.as_ref());
        budget::share(self.0.memory, others.map(|other| other.wanted).chain([wanted]).collect())
    }

    fn keep(&self, server: &Record, head: &KeptHead, entries: Option<&[u8]>) {
        if let Err(error) = self.0.servers.keep(server, head, entries) {
            tracing::warn!(server = %server.id, %error, "a catalog cannot be kept for the next start");
        }
    }
}

/// Keeps the first entries that take no more than `memory`.
fn unpack(
    head: KeptHead,
    entries: &Packed,
    before: Option<&ServerCatalog>,
    memory: usize,
) -> Result<CatalogInUse, packed::Damaged> {
    let (mut all, mut offered, mut wanted, mut kept) = (Vec::new(), 0, 0, 0);
    entries.unpack(|entry| {
        offered += 1;
        wanted += budget::weight(&entry);
        if wanted > memory {
            return;
        }
        kept = wanted;
        let same = before.and_then(|before| before.find(&entry.sha256)).filter(|known| ***known == entry);
        all.push(same.cloned().unwrap_or_else(|| Arc::new(entry)));
    })?;
    let catalog = Arc::new(ServerCatalog::of(head.name.clone(), head.generated_at.clone(), all));
    Ok(CatalogInUse { catalog, fingerprint: entries.fingerprint(), head, offered, wanted, kept })
}

/// A catalog that takes more memory than its share, and that share.
pub(super) fn too_large(known: &BTreeMap<ServerId, Known>, memory: usize) -> Option<(ServerId, CatalogInUse, usize)> {
    let catalogs = || known.iter().filter_map(|(id, known)| Some((id, known.catalog.as_ref()?)));
    let each = budget::share(memory, catalogs().map(|(_, catalog)| catalog.wanted).collect());
    let (id, catalog) = catalogs().find(|(_, catalog)| catalog.kept > each)?;
    Some((id.clone(), catalog.clone(), each))
}

/// A catalog out of the database. One that cannot be read is as if there were none: the server has it.
pub(super) fn catalog_of(Kept { mut head, entries }: Kept, id: &ServerId) -> Option<CatalogInUse> {
    let entries = match entries.first() {
        // As earlier versions kept it: the document that was sent.
        Some(b'{') => {
            let mut reader = Reader::new(None, Limits::SERVER);
            let read = reader.push(&entries).and_then(|()| reader.finish());
            let Read { name, generated_at, entries, left_out } = read.ok()?;
            head = KeptHead { name, generated_at, left_out, version: None };
            entries
        }
        _ => Packed::from_bytes(entries),
    };
    match unpack(head, &entries, None, usize::MAX) {
        Ok(unpacked) => Some(unpacked),
        Err(error) => {
            tracing::warn!(server = %id, %error, "the catalog of the last run cannot be used");
            None
        }
    }
}

/// `unsaid`: changes that were not logged.
fn log(server: &ServerId, line: &Line, unsaid: u32) {
    let unsaid = (unsaid > 0).then_some(unsaid);
    match line {
        Line::WorksAgain => tracing::info!(%server, unsaid, "the server works again"),
        Line::LeftOut(left_out) => {
            let first = left_out.first.first();
            let (id, reason) = (first.map(|first| first.id.as_str()), first.map(|first| first.reason.as_str()));
            let count = left_out.count;
            tracing::warn!(%server, count, id, reason, unsaid, "entries of a server's catalog are left out");
        }
        Line::Failed(problem) => {
            let unsaid = unsaid.map(|unsaid| format!("; {unsaid} changes before were not logged")).unwrap_or_default();
            report::problem(Level::Info, problem, &format!("the server {server} cannot be used{unsaid}"));
        }
    }
}
