//! Reading in pieces, ahead, by plan, and from a file that is only there in part.

use super::*;
use crate::blob::{Blob, SparseBlob};
use proptest::prelude::*;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

const STRIP: usize = 1 << 18;

/// Three segments: three strips with zeros in the middle one, an empty one, one and a bit.
struct Sample {
    file: Vec<u8>,
    contents: [Vec<u8>; 3],
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
    let mut kernel = super::bytes(1, 2 * STRIP + 5000);
    kernel[STRIP..2 * STRIP].fill(0);
    let contents = [kernel, Vec::new(), super::bytes(2, STRIP + 1)];
    let names = [("kernel", Role::Kernel), ("initrd", Role::Initrd), ("disk", Role::Disk)];
    let segments: Vec<_> =
        names.iter().zip(&contents).map(|((name, role), bytes)| (*name, *role, &bytes[..])).collect();
    Sample { file: packed(&segments, Effort::Fast), contents }
});

/// A blob that counts its reads, and refuses them, or gives wrong bytes, on demand.
#[derive(Clone, Debug)]
struct Origin {
    file: &'static [u8],
    reads: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
    /// Reads that give wrong bytes before the right ones.
    wrong: Arc<AtomicUsize>,
}

impl Origin {
    fn new() -> Self {
        let file = &SAMPLE.file[..];
        Self { file, reads: Arc::default(), gone: Arc::default(), wrong: Arc::default() }
    }
}

impl Blob for Origin {
    fn len(&self) -> u64 {
        self.file.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.gone.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::NotConnected.into());
        }
        let start = usize::try_from(offset).unwrap();
        let count = buffer.len().min(self.file.len() - start);
        buffer[..count].copy_from_slice(&self.file[start..start + count]);
        let less = |wrong: usize| wrong.checked_sub(1);
        if self.wrong.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            buffer[count / 2] ^= 1;
        }
        Ok(count)
    }
}

fn sparse(present: &[Range<u64>], origin: &Origin) -> SparseBlob {
    let file = tempfile::tempfile().unwrap();
    for range in present {
        let bytes = &origin.file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        file.write_all_at(bytes, range.start).unwrap();
    }
    SparseBlob::new(file, present.to_vec(), Box::new(origin.clone()))
}

fn image(blob: impl Blob + 'static) -> Image {
    Image::open(Box::new(blob), &Limits::default()).unwrap()
}

/// Where the head of the sample ends, in its file.
fn head_end() -> u64 {
    let Content::Streamable(image) = image(MemoryBlob::from(SAMPLE.file.clone())).content else { unreachable!() };
    image.index.strips[0].at
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_read_of_a_whole_and_of_a_half_present_file_is_the_same(
        reads in prop::collection::vec((0_usize..3, 0..3 * STRIP as u64, 0..2 * STRIP as u64), 1..12),
        present in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
        ahead: bool,
    ) {
        let origin = Origin::new();
        let place = |at: &prop::sample::Index| at.index(origin.file.len()) as u64;
        let present: Vec<_> =
            present.iter().map(|(a, b)| place(a)..place(b)).filter(|range| !range.is_empty()).collect();
        let images = [image(MemoryBlob::from(SAMPLE.file.clone())), image(sparse(&present, &origin))];
        for (which, offset, count) in reads {
            let content = &SAMPLE.contents[which];
            let at = |offset: u64| usize::try_from(offset).unwrap().min(content.len());
            for image in &images {
                let segment = &image.segments()[which];
                let range = offset..offset + count;
                let pieces = image.read(segment, range.clone()).unwrap();
                prop_assert_eq!(&pieces.concat()[..], &content[at(range.start)..at(range.end)]);
                prop_assert_eq!(image.ready(segment, range.clone()), Some(pieces));
                let border = usize::try_from((segment.offset + segment.size).div_ceil(STRIP as u64)).unwrap();
                for strip in image.ahead(segment, range) {
                    prop_assert!(strip < border);
                    if ahead {
                        image.prepare(strip);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_planned_is_enough_and_needed(
        which in 0_usize..3,
        offset in 0..3 * STRIP as u64,
        count in 0..2 * STRIP as u64,
        without: prop::sample::Index,
    ) {
        let (origin, range) = (Origin::new(), offset..offset + count);
        let whole = image(origin.clone());
        let segment = &whole.segments()[which];
        let plan = whole.plan(segment, range.clone()).unwrap();
        let open = |plan: &[Range<u64>]| {
            let present: Vec<_> = plan.iter().cloned().chain(std::iter::once(0..head_end())).collect();
            origin.gone.store(false, Ordering::Relaxed);
            let image = image(sparse(&present, &origin));
            origin.gone.store(true, Ordering::Relaxed);
            image
        };
        let expected = whole.read(segment, range.clone()).unwrap().concat();
        prop_assert_eq!(open(&plan).read(segment, range.clone()).unwrap().concat(), expected);
        if !plan.is_empty() {
            let mut less = plan;
            less.remove(without.index(less.len()));
            prop_assert!(matches!(open(&less).read(segment, range), Err(ImageError::Io(_))));
        }
    }
}

#[test]
fn a_strip_that_comes_wrong_is_asked_for_once_more_and_never_kept() {
    let origin = Origin::new();
    let blob = Arc::new(sparse(std::slice::from_ref(&(0..head_end())), &origin));
    let image = image(Shared(Arc::clone(&blob)));
    let disk = image.segment("disk").unwrap();
    let read = || image.read(disk, 0..100).map(|pieces| pieces.concat());

    origin.wrong.store(2, Ordering::Relaxed);
    assert!(matches!(read(), Err(ImageError::StripMismatch { .. })));
    let strip = image.plan(disk, 0..100).unwrap().remove(0);
    assert!(!blob.present().overlaps(&strip));
    assert!(image.ready(disk, 0..100).is_none());

    origin.wrong.store(1, Ordering::Relaxed);
    assert_eq!(read().unwrap(), SAMPLE.contents[2][..100]);
    assert!(blob.present().gaps(&strip).next().is_none());

    // What was kept goes bad: it is forgotten and fetched again.
    let again = [(); 2].map(|()| self::image(Shared(Arc::clone(&blob))));
    let read = |which: usize| again[which].read(disk, 0..100).map(|pieces| pieces.concat());
    origin.gone.store(true, Ordering::Relaxed);
    assert_eq!(read(0).unwrap(), SAMPLE.contents[2][..100]);
    blob.damage(strip.start + 1000);
    assert!(matches!(read(1), Err(ImageError::Io(_))));
    origin.gone.store(false, Ordering::Relaxed);
    assert_eq!(read(1).unwrap(), SAMPLE.contents[2][..100]);
}

#[test]
fn one_strip_is_decoded_once_for_many() {
    let origin = Origin::new();
    let image = image(origin.clone());
    let disk = image.segment("disk").unwrap();
    let before = origin.reads.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let image = &image;
            scope.spawn(move || {
                let piece = image.read(disk, reader * 1000..STRIP as u64).unwrap().concat();
                assert_eq!(piece, SAMPLE.contents[2][usize::try_from(reader).unwrap() * 1000..STRIP]);
            });
        }
    });
    assert_eq!(origin.reads.load(Ordering::Relaxed), before + 1);
}

#[test]
fn strips_are_decoded_ahead_only_of_a_reader_in_order() {
    let content = super::bytes(3, 24 * STRIP);
    let image = image(MemoryBlob::from(packed(&[("disk", Role::Disk, &content)], Effort::None)));
    let disk = image.segment("disk").unwrap();
    let read = |strip: usize| {
        let range = (strip * STRIP) as u64..(strip * STRIP) as u64 + 4096;
        image.read(disk, range.clone()).unwrap();
        image.ahead(disk, range)
    };
    assert!([7, 20, 2, 12].into_iter().all(|strip| read(strip).is_empty()));
    assert_eq!((read(13), read(13)), (14..15, 14..14), "once for a strip");
    image.prepare(14);
    assert_eq!(read(14), 15..17);
    assert!((15..22).map(read).all(|ahead| ahead.end <= 24));
    assert_eq!((read(22), read(23)), (23..24, 24..24), "never beyond the segment");
}

/// One blob for two images.
#[derive(Clone, Debug)]
struct Shared(Arc<SparseBlob>);

impl Blob for Shared {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn verified(&self, bytes: &[u8], offset: u64) {
        self.0.verified(bytes, offset);
    }

    fn invalidated(&self, range: Range<u64>) -> bool {
        self.0.invalidated(range)
    }
}
