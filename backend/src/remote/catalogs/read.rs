//! A catalog document, read while it arrives.
//!
//! The bytes may come in pieces of any length. Each entry is checked as soon as its last byte is there, packed, and
//! forgotten, so that what a reader needs is bounded by what it keeps, whatever a server sends. One entry that cannot
//! be used costs that entry only; what no catalog can be ends the reading at once.

mod entry;
mod input;
mod split;

use std::collections::HashSet;

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::Catalog;
use pixelrts_shared::left_out::{LeftOut, LeftOutEntry};
use pixelrts_shared::text::Text;
use url::Url;

use super::packed::Packed;
use input::Input;
use split::{Part, Splitter};

/// What a catalog may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of the whole document, as it is sent and after decoding.
    pub(super) bytes: usize,
    /// Further entries are only counted.
    pub(super) entries: usize,
    /// Of the packed entries.
    pub(super) packed: usize,
}

impl Limits {
    /// Enough for 50,000 entries of images with several segments, which our own server writes. They take half of what
    /// packed entries may take.
    pub(super) const SERVER: Self = Self { bytes: 64 << 20, entries: 50_000, packed: 24 << 20 };
}

/// Why a document is no catalog that can be used. The sentence goes on "The catalog of SERVER cannot be used: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotACatalog {
    #[error("it is larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
    /// A web page or another document of markup; its beginning.
    #[error("it is a web page or another document, not a catalog")]
    Markup(String),
    #[error("it is no catalog: {0}")]
    Malformed(String),
    #[error("it is no catalog: {0} is missing")]
    Missing(&'static str),
    /// Its number, if it is one.
    #[error("its format is not {}", Catalog::FORMAT)]
    Format(Option<u64>),
    #[error("it ends in the middle")]
    Cut,
    #[error("its compression is damaged: {0}")]
    Compression(String),
}

/// A catalog with its entries packed.
#[derive(Debug)]
pub(super) struct Read {
    /// As the server calls itself.
    pub(super) name: Text,
    pub(super) generated_at: Text,
    pub(super) entries: Packed,
    pub(super) left_out: LeftOut,
}

#[derive(Debug)]
pub(super) struct Reader {
    input: Input,
    splitter: Splitter,
    found: Found,
}

#[derive(Debug)]
struct Found {
    limits: Limits,
    base: Option<Url>,
    format: bool,
    listed: bool,
    name: Text,
    generated_at: Text,
    seen: usize,
    digests: HashSet<Digest>,
    entries: Packed,
    left_out: LeftOut,
}

impl Reader {
    /// `base` is the address that addresses in the catalog are relative to.
    pub(super) fn new(base: Option<Url>, limits: Limits) -> Self {
        let found = Found {
            limits,
            base,
            format: false,
            listed: false,
            name: Text::default(),
            generated_at: Text::default(),
            seen: 0,
            digests: HashSet::new(),
            entries: Packed::default(),
            left_out: LeftOut::default(),
        };
        Self { input: Input::new(limits.bytes), splitter: Splitter::default(), found }
    }

    /// Takes the next bytes. After an error nothing more can be read.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), NotACatalog> {
        let Self { input, splitter, found } = self;
        input.push(bytes, &mut |text| splitter.push(text, &mut |part| found.take(part)))
    }

    /// How many bytes its entries will take in memory.
    pub(super) fn weight(&self) -> usize {
        self.found.entries.weight()
    }

    /// There are no more bytes.
    pub(super) fn finish(mut self) -> Result<Read, NotACatalog> {
        let Self { input, splitter, found } = &mut self;
        input.finish(&mut |text| splitter.push(text, &mut |part| found.take(part)))?;
        self.splitter.finish()?;
        let found = self.found;
        if !found.format {
            return Err(NotACatalog::Missing("format"));
        }
        if !found.listed {
            return Err(NotACatalog::Missing("entries"));
        }
        let Found { name, generated_at, mut entries, left_out, .. } = found;
        entries.finish();
        Ok(Read { name, generated_at, entries, left_out })
    }
}

impl Found {
    fn take(&mut self, part: Part<'_>) -> Result<(), NotACatalog> {
        match part {
            Part::Entries => self.listed = true,
            Part::Member { key, value } => self.member(key, value)?,
            Part::Entry(_) | Part::LongEntry(_) if self.seen >= self.limits.entries => {
                let most = self.limits.entries;
                self.leave_out(&[], || format!("only the first {most} entries are read"));
            }
            Part::LongEntry(start) => {
                self.seen += 1;
                let most = split::MOST_ENTRY >> 10;
                self.leave_out(start, || format!("it is longer than {most} KiB"));
            }
            Part::Entry(text) => {
                self.seen += 1;
                self.entry(text);
                if self.entries.len() > self.limits.packed {
                    return Err(NotACatalog::TooLarge(self.limits.bytes));
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, text: &[u8]) {
        let entry = match entry::read(text, self.base.as_ref()) {
            Ok(entry) => entry,
            Err(reason) => return self.leave_out(text, || reason),
        };
        if self.digests.insert(entry.sha256) {
            self.entries.push(&entry);
        } else {
            self.leave_out(text, || "another entry has the same sha256".to_owned());
        }
    }

    fn leave_out(&mut self, text: &[u8], reason: impl FnOnce() -> String) {
        self.left_out.add(|| LeftOutEntry { id: entry::label(text).into(), reason: reason().into() });
    }

    /// A member of the document other than a list of entries. What is not known is ignored.
    fn member(&mut self, key: &[u8], value: &[u8]) -> Result<(), NotACatalog> {
        let text = || serde_json::from_slice::<Text>(value).unwrap_or_default();
        match serde_json::from_slice::<String>(key).unwrap_or_default().as_str() {
            "format" => match serde_json::from_slice(value).ok().and_then(|format| entry::whole_number(&format)) {
                Some(format) if format == u64::from(Catalog::FORMAT) => self.format = true,
                other => return Err(NotACatalog::Format(other)),
            },
            // Some programs write an empty list so.
            "entries" if value == b"null" => self.listed = true,
            "entries" => return Err(NotACatalog::Malformed("its entries are no list".to_owned())),
            "name" => self.name = text(),
            "generated_at" => self.generated_at = text(),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
