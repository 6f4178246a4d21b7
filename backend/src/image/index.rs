//! The `rtSX` chunk: where every strip is in the file, the hash of each, and a digest that covers all of them.
//!
//! The index digest covers the chunk's data before it and the metadata's text chunk. It is the root of trust for reading
//! a remote image strip by strip.

use std::ops::Range;

use pixelrts_shared::Digest;
use sha2::{Digest as _, Sha256};

use super::ImageError;
use super::chunk::FRAME;
use super::strip::{self, Flags, Geometry};

pub(super) const KIND: [u8; 4] = *b"rtSX";
const MAGIC: [u8; 4] = *b"RTS1";
const HEAD: usize = 24;
const ENTRY: usize = 48;
const DIGEST: usize = 32;
/// At least this many bytes follow the last strip: an IDAT chunk of 6 bytes, and IEND.
const TAIL_MIN: u64 = FRAME + 6 + FRAME;

/// A strip in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// Where its IDAT chunk begins in the file, at the chunk's length field.
    pub(super) at: u64,
    /// The length of the whole chunk in bytes.
    pub(super) length: u32,
    pub(super) flags: Flags,
    /// The hash of the whole chunk.
    pub(super) sha256: Digest,
}

impl IndexEntry {
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(u64::from(self.length))
    }
}

#[derive(Debug)]
pub(super) struct Index {
    pub(super) geometry: Geometry,
    /// The size of the payload in bytes.
    pub(super) data_size: u64,
    pub(super) strips: Vec<IndexEntry>,
    pub(super) digest: Digest,
}

/// The beginning of an entry, which says where its strip is: offset and length.
pub(super) const PLACE: usize = 12;

/// Where the last entry begins in the chunk's data of this length, if it has one.
pub(super) fn last_entry(length: usize) -> Option<usize> {
    length.checked_sub(ENTRY + DIGEST).filter(|at| *at >= HEAD)
}

/// Where a strip ends whose entry begins with these bytes.
pub(super) fn end_of(place: &[u8; PLACE]) -> u64 {
    let (at, length) = place.split_first_chunk::<8>().expect("eight of twelve bytes");
    let length = u32::from_le_bytes(length.try_into().expect("the other four"));
    u64::from_le_bytes(*at).saturating_add(u64::from(length))
}

/// The number of strips of a payload. An empty payload has one too, because a picture must have rows.
pub(super) fn strips_for(data_size: u64) -> u64 {
    data_size.div_ceil(strip::BYTES as u64).max(1)
}

/// The length of the chunk's data in bytes.
pub(super) fn data_len(strips: usize) -> usize {
    HEAD + ENTRY * strips + DIGEST
}

/// The largest payload, in bytes, that an index of `limit` bytes can describe.
pub(super) fn most(limit: usize) -> u64 {
    (limit.saturating_sub(HEAD + DIGEST) / ENTRY) as u64 * strip::BYTES as u64
}

/// The digest of an index (without its last field) and of the text chunk that belongs to it. The index is hashed only
/// once, however many text chunks are tried.
pub(super) fn digest(before: &[u8]) -> impl Fn(&[u8]) -> Digest {
    let hash = Sha256::new_with_prefix(before);
    move |text| Digest::new(hash.clone().chain_update(text).finalize().into())
}

/// Splits the chunk's data into the bytes that the digest covers and the digest itself.
pub(super) fn split(data: &[u8]) -> Option<(&[u8], Digest)> {
    data.split_last_chunk().map(|(before, digest)| (before, Digest::new(*digest)))
}

impl Index {
    /// Parses the chunk's data, whose digest is checked elsewhere. The strips must begin at byte `first` or later in a file
    /// of `size` bytes, and leave room for the end of the stream.
    pub(super) fn parse(data: &[u8], first: u64, size: u64) -> Result<Self, ImageError> {
        let wrong = |expected: &str, found: String| ImageError::malformed("the index", expected, found);
        let too_short = || wrong("at least 104 bytes", data.len().to_string());
        let (before, digest) = split(data).ok_or_else(too_short)?;
        let (head, entries) = before.split_first_chunk::<HEAD>().ok_or_else(too_short)?;
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        if head[..4] != MAGIC {
            return Err(wrong("the magic RTS1", "other bytes".to_owned()));
        }
        let (width, rows, count) = (word(4), word(8), word(12));
        let data_size = u64::from_le_bytes(head[16..].try_into().expect("eight bytes"));
        let geometry = Geometry::new(width).filter(|geometry| geometry.rows() == rows);
        let geometry = geometry.ok_or_else(|| wrong("a strip of 65,536 pixels", format!("{width} x {rows}")))?;
        let (entries, rest) = entries.as_chunks::<ENTRY>();
        if entries.len() != count as usize || !rest.is_empty() {
            let found = format!("{} bytes", data.len());
            return Err(wrong(
                &format!("{} bytes for {count} strips", (HEAD + DIGEST) as u64 + ENTRY as u64 * u64::from(count)),
                found,
            ));
        }
        if strips_for(data_size) != u64::from(count) {
            return Err(wrong(&format!("{} strips for {data_size} bytes", strips_for(data_size)), count.to_string()));
        }
        let mut free = first;
        let mut strips = Vec::with_capacity(entries.len());
        for (number, bytes) in entries.iter().enumerate() {
            let entry = parse_entry(bytes, &geometry).map_err(|found| {
                ImageError::malformed(format!("strip {number} in the index"), "a length and flags of a strip", found)
            })?;
            if entry.at < free {
                let part = format!("strip {number} in the index");
                return Err(ImageError::malformed(part, format_args!("an offset of {free} or more"), entry.at));
            }
            free = entry.end();
            let least = free.saturating_add(TAIL_MIN);
            if least > size {
                let part = format!("strip {number} with the end of the stream");
                return Err(ImageError::Truncated { part, expected: least, found: size });
            }
            strips.push(entry);
        }
        Ok(Self { geometry, data_size, strips, digest })
    }

    /// Makes the chunk's data; `text` is the data of the text chunk.
    pub(super) fn write(geometry: &Geometry, data_size: u64, strips: &[IndexEntry], text: &[u8]) -> Vec<u8> {
        let count = u32::try_from(strips.len()).expect("the index limit bounds the strips");
        let mut data = Vec::with_capacity(data_len(strips.len()));
        data.extend_from_slice(&MAGIC);
        for word in [geometry.width(), geometry.rows(), count] {
            data.extend_from_slice(&word.to_le_bytes());
        }
        data.extend_from_slice(&data_size.to_le_bytes());
        for entry in strips {
            data.extend_from_slice(&entry.at.to_le_bytes());
            data.extend_from_slice(&entry.length.to_le_bytes());
            data.extend_from_slice(&entry.flags.bits().to_le_bytes());
            data.extend_from_slice(entry.sha256.as_bytes());
        }
        let digest = digest(&data)(text);
        data.extend_from_slice(digest.as_bytes());
        data
    }

    /// The strips that hold these bytes of the payload.
    pub(super) fn of(&self, bytes: Range<u64>) -> &[IndexEntry] {
        let number = |offset: u64| usize::try_from(offset).map_or(self.strips.len(), |at| at.min(self.strips.len()));
        let border = strip::BYTES as u64;
        &self.strips[number(bytes.start / border)..number(bytes.end.div_ceil(border))]
    }

    /// The height of the picture in pixels.
    pub(super) fn height(&self) -> u64 {
        self.strips.len() as u64 * u64::from(self.geometry.rows())
    }

    /// The ranges of the file that a range of the payload is read from, in order. Adjacent strips are merged into one range;
    /// strips of zeros need none.
    pub(super) fn plan(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut plan: Vec<Range<u64>> = Vec::new();
        for (number, _) in pieces(range) {
            let strip = &self.strips[number];
            match plan.last_mut() {
                _ if strip.flags.is_zero() => {}
                Some(last) if last.end == strip.at => last.end = strip.end(),
                _ => plan.push(strip.at..strip.end()),
            }
        }
        plan
    }
}

/// The strips that hold a range of the payload, each with the range of its bytes that belongs to it.
pub(super) fn pieces(range: Range<u64>) -> impl Iterator<Item = (usize, Range<usize>)> {
    const STRIP: u64 = strip::BYTES as u64;
    let within = |offset: u64| usize::try_from(offset).expect("within a strip");
    let strips = if range.is_empty() { 0..0 } else { range.start / STRIP..range.end.div_ceil(STRIP) };
    strips.map(move |number| {
        let start = number * STRIP;
        let bytes = range.start.saturating_sub(start)..STRIP.min(range.end - start);
        (usize::try_from(number).expect("the payload has that many strips"), within(bytes.start)..within(bytes.end))
    })
}

/// The number of the first strip that begins at `end` of the payload or behind it.
pub(super) fn strip_behind(end: u64) -> usize {
    usize::try_from(end.div_ceil(strip::BYTES as u64)).expect("the payload has that many strips")
}

fn parse_entry(bytes: &[u8; ENTRY], geometry: &Geometry) -> Result<IndexEntry, String> {
    let (at, rest) = bytes.split_first_chunk::<8>().expect("an entry has 48 bytes");
    let (length, rest) = rest.split_first_chunk::<4>().expect("an entry has 48 bytes");
    let (flags, sha256) = rest.split_first_chunk::<4>().expect("an entry has 48 bytes");
    let length = u32::from_le_bytes(*length);
    let flags = u32::from_le_bytes(*flags);
    // An empty IDAT chunk has 12 bytes, and no strip is longer than its stored form.
    if length < 12 || length as usize > geometry.chunk_max() {
        return Err(format!("a length of {length}"));
    }
    Ok(IndexEntry {
        at: u64::from_le_bytes(*at),
        length,
        flags: Flags::new(flags).ok_or_else(|| format!("flags {flags:#x}"))?,
        sha256: Digest::new(sha256.try_into().expect("an entry has 48 bytes")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(strips: usize) -> Vec<u8> {
        let geometry = Geometry::for_strips(strips);
        let entry = |number: usize| IndexEntry {
            at: 1000 + 100 * number as u64,
            length: 100,
            flags: Flags::NONE,
            sha256: Digest::new([7; 32]),
        };
        let entries: Vec<_> = (0..strips).map(entry).collect();
        Index::write(&geometry, (strips * strip::BYTES) as u64 - 5, &entries, b"text")
    }

    proptest! {
        #[test]
        fn a_written_index_is_read_back(strips in 1_usize..40) {
            let data = sample(strips);
            prop_assert_eq!(data.len(), data_len(strips));
            let index = Index::parse(&data, 1000, 1030 + 100 * strips as u64).unwrap();
            prop_assert_eq!(index.strips.len(), strips);
            prop_assert_eq!(index.data_size, (strips * strip::BYTES) as u64 - 5);
            let again = Index::write(&index.geometry, index.data_size, &index.strips, b"text");
            prop_assert_eq!(again, data);
        }

        #[test]
        fn changed_bytes_never_panic(strips in 1_usize..6, at: proptest::sample::Index, byte: u8, cut: proptest::sample::Index) {
            let mut data = sample(strips);
            let place = at.index(data.len());
            data[place] = byte;
            let _ = Index::parse(&data, 1000, 10_000);
            let _ = Index::parse(&data[..cut.index(data.len())], 1000, 10_000);
        }

        #[test]
        fn random_bytes_never_panic(data: Vec<u8>) {
            let _ = Index::parse(&data, 0, u64::MAX);
        }
    }

    #[test]
    fn a_strip_is_never_longer_than_its_stored_form() {
        let mut data = sample(1);
        let stored = u32::try_from(Geometry::for_strips(1).chunk_max()).unwrap();
        assert_eq!(stored, 128 * (1 + 4 * 512) + 42, "docs/FORMAT.md, 3.2");
        for (length, is_legal) in [(11, false), (12, true), (stored, true), (stored + 1, false)] {
            data[HEAD + 8..][..4].copy_from_slice(&length.to_le_bytes());
            assert_eq!(Index::parse(&data, 1000, 1 << 30).is_ok(), is_legal, "{length}");
        }
    }

    #[test]
    fn strips_must_lie_in_the_file_in_order() {
        let data = sample(3);
        assert!(Index::parse(&data, 1000, 1330).is_ok());
        assert!(matches!(Index::parse(&data, 1001, 1330), Err(ImageError::Malformed { .. })));
        assert!(matches!(Index::parse(&data, 1000, 1329), Err(ImageError::Truncated { .. })));
        let mut overlapping = data.clone();
        overlapping[HEAD + ENTRY..][..8].copy_from_slice(&1099_u64.to_le_bytes());
        assert!(matches!(Index::parse(&overlapping, 1000, 1330), Err(ImageError::Malformed { .. })));
        let mut overflowing = data;
        overflowing[HEAD + 2 * ENTRY..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(Index::parse(&overflowing, 1000, u64::MAX - 1), Err(ImageError::Truncated { .. })));
    }
}
