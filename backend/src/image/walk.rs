//! Follows the chunks of a file that arrives, so that its end is known although nobody has announced its size.
//!
//! Only the heads of chunks are looked at, the sides of the picture, and the last entry of the index. Nothing of that is
//! verified: what a file says about itself is good enough to stop a body that goes on behind it, and for nothing else.

use super::ImageError;
use super::chunk::{FRAME, HEAD, SIGNATURE};
use super::index;
use super::limits::Limits;

/// What follows the last strip of an image with an index: an empty last block of 9 bytes at most, and IEND.
const TAIL: u64 = FRAME + 9 + FRAME;
/// Width and height, as the header begins with them.
const SIDES: usize = 8;

/// The part of a file from its first byte to where it was followed.
#[derive(Debug)]
pub struct ChunkWalk {
    /// What is looked at next, and where it begins.
    item: Item,
    next: u64,
    /// The bytes of the item, as far as they are known.
    known: Vec<u8>,
    /// A file that is longer is no image.
    most: Option<u64>,
    /// The index has said it, not only the sides of the picture.
    by_index: bool,
    found: Found,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    ChunkHead,
    /// With the end of its chunk.
    Sides(u64),
    LastStrip(u64),
}

impl Item {
    fn len(self) -> usize {
        match self {
            Self::ChunkHead => HEAD,
            Self::Sides(_) => SIDES,
            Self::LastStrip(_) => index::PLACE,
        }
    }
}

/// How far a file is that was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    GoesOn,
    /// The image ends here, whatever follows.
    End(u64),
    /// What is here cannot be a part of a PNG file.
    Broken(u64),
}

impl Default for ChunkWalk {
    fn default() -> Self {
        let item = Item::ChunkHead;
        Self {
            item,
            next: SIGNATURE.len() as u64,
            known: Vec::new(),
            most: None,
            by_index: false,
            found: Found::GoesOn,
        }
    }
}

impl ChunkWalk {
    /// The place of the next byte that matters. Those before it need not be fed.
    #[must_use]
    pub fn wants(&self) -> u64 {
        self.next + self.known.len() as u64
    }

    #[must_use]
    pub fn found(&self) -> Found {
        self.found
    }

    /// The size of the file, give or take a few bytes, once its index was met.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.most.filter(|_| self.by_index)
    }

    /// Why a file of `size` bytes or more that begins like this is no image.
    #[must_use]
    pub fn fault(&self, size: u64) -> Option<ImageError> {
        let fault = |expected, found: &str| Some(ImageError::malformed("the file", expected, found));
        match (self.found, self.most) {
            (Found::Broken(at), _) => fault(format!("a part of a picture from byte {at} on"), "other bytes"),
            (Found::End(end), _) if size > end => fault(format!("an end at byte {end}"), "many more bytes"),
            (_, Some(most)) if size > most => fault(format!("an end at byte {most}, or before it"), "more bytes"),
            _ => None,
        }
    }

    /// Takes bytes from `at` of the file on. They are ignored when the wanted ones are not among them.
    pub fn feed(&mut self, at: u64, bytes: &[u8]) {
        while self.found == Found::GoesOn {
            let skip = self.wants().checked_sub(at).and_then(|skip| usize::try_from(skip).ok());
            let rest = skip.and_then(|skip| bytes.get(skip..)).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            let taken = rest.len().min(self.item.len() - self.known.len());
            self.known.extend_from_slice(&rest[..taken]);
            if self.known.len() == self.item.len() {
                let known = std::mem::take(&mut self.known);
                self.take(&known);
            }
        }
    }

    fn take(&mut self, known: &[u8]) {
        match self.item {
            Item::ChunkHead => {
                let [a, b, c, d, kind @ ..] = *known.first_chunk::<HEAD>().expect("the item has this length");
                self.begin(u32::from_be_bytes([a, b, c, d]), kind);
            }
            Item::Sides(end) => {
                let word = |at: usize| u32::from_be_bytes(known[at..at + 4].try_into().expect("four bytes"));
                self.most = Some(most_of_picture(word(0), word(4)));
                self.go_to(Item::ChunkHead, end);
            }
            Item::LastStrip(end) => {
                let place = known.first_chunk().expect("the item has this length");
                self.by_index = true;
                self.most = Some(index::end_of(place).saturating_add(TAIL).max(end));
                self.go_to(Item::ChunkHead, end);
            }
        }
    }

    fn begin(&mut self, length: u32, kind: [u8; 4]) {
        let at = self.next;
        if !kind.iter().all(u8::is_ascii_alphabetic) || length > i32::MAX as u32 {
            self.found = Found::Broken(at);
            return;
        }
        let end = at + FRAME + u64::from(length);
        match &kind {
            b"IEND" => self.found = Found::End(end),
            b"IHDR" if self.most.is_none() => self.go_to(Item::Sides(end), at + HEAD as u64),
            &index::KIND => match index::last_entry(length as usize) {
                Some(place) => self.go_to(Item::LastStrip(end), at + HEAD as u64 + place as u64),
                None => self.go_to(Item::ChunkHead, end),
            },
            _ => self.go_to(Item::ChunkHead, end),
        }
    }

    fn go_to(&mut self, item: Item, next: u64) {
        (self.item, self.next) = (item, next);
    }
}

/// Twice the pixels leaves room for every compressor and for small chunks. Besides, there are index and metadata.
fn most_of_picture(width: u32, height: u32) -> u64 {
    let Limits { metadata, index, .. } = Limits::default();
    let pixels = u64::from(height).saturating_mul(4 * u64::from(width) + 1);
    pixels.saturating_mul(2).saturating_add((metadata + index + (1 << 20)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::sample_heads;
    use proptest::prelude::*;

    fn walked(bytes: &[u8], piece: usize) -> ChunkWalk {
        let mut walk = ChunkWalk::default();
        for (number, part) in bytes.chunks(piece).enumerate() {
            walk.feed((number * piece) as u64, part);
        }
        walk
    }

    #[test]
    fn a_file_says_where_it_ends_however_it_arrives() {
        for file in sample_heads() {
            let size = file.len() as u64;
            let longer = [&file[..], &[0; 5000]].concat();
            for piece in [1, 7, 100, 4096, 1 << 20] {
                assert_eq!(walked(&longer, piece).found(), Found::End(size));
                assert!(walked(&longer, piece).fault(size).is_none());
                assert!(walked(&longer, piece).fault(size + 1).is_some());
            }
            assert_eq!(walked(&file[..file.len() - 12], 9).found(), Found::GoesOn);
            // Zeros instead of a chunk.
            let spoiled = [&file[..file.len() - 12], &[0; 5000]].concat();
            assert_eq!(walked(&spoiled, 100).found(), Found::Broken(size - 12));
            assert!(walked(&spoiled, 100).fault(0).is_some());
        }
    }

    #[test]
    fn an_index_bounds_the_size_better_than_the_picture() {
        let [streamable, classic, ..] = sample_heads() else { panic!("there are three") };
        let size = streamable.len() as u64;
        let index = walked(streamable, 100).size().unwrap();
        assert!(index >= size && index - size <= 4, "{index} of {size}");
        assert_eq!(walked(classic, 100).size(), None);
        // The picture has so many bytes at most, even without an end.
        let open = walked(&classic[..classic.len() - 12], 100);
        assert!(open.fault(classic.len() as u64).is_none());
        assert!(open.fault(100 << 20).is_some());
    }

    #[test]
    fn only_what_is_wanted_must_be_fed() {
        let file = &sample_heads()[0];
        let mut walk = ChunkWalk::default();
        let mut fed = 0;
        while walk.found() == Found::GoesOn {
            let at = walk.wants();
            walk.feed(at, &file[usize::try_from(at).unwrap()..][..1]);
            fed += 1;
        }
        assert_eq!(walk.found(), Found::End(file.len() as u64));
        assert!(fed < 200, "{fed}");
        let mut behind = ChunkWalk::default();
        behind.feed(9, &[0; 100]);
        assert_eq!(behind.wants(), 8, "there is a gap");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_stand_still(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
            let walk = walked(&bytes, piece);
            prop_assert!(walk.found() != Found::GoesOn || walk.wants() >= bytes.len() as u64);
        }
    }
}
