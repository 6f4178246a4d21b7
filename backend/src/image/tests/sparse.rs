use super::*;
use proptest::prelude::*;
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

const STRIP: u64 = 1 << 18;

fn pack(input: &Path, out: &Path, threads: usize, layout: Layout, effort: Effort) -> Packed {
    let source = |name: &str, role| SegmentFile { name: name.into(), role, path: input.into() };
    // The first ends inside a strip, if the file does.
    let segments = vec![source("kernel", Role::Kernel), source("disk", Role::Disk)];
    let threads = Threads(NonZeroUsize::new(threads).unwrap());
    Pack { segments, layout, effort, threads, ..Pack::default() }.write(out, &mut |_, _| {}).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn holes_and_threads_change_nothing(
        size in 1..12 * STRIP, effort in prop_oneof![Just(Effort::None), Just(Effort::Fast)], threads in 1..9_usize,
        data in proptest::collection::vec((any::<u64>(), 1..3 * STRIP / 2), 0..3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let sparse = File::create(at("sparse")).unwrap();
        sparse.set_len(size).unwrap();
        for (seed, length) in data {
            let offset = seed % size;
            let length = usize::try_from(length.min(size - offset)).unwrap();
            sparse.write_all_at(&bytes(seed, length), offset).unwrap();
        }
        let content = std::fs::read(at("sparse")).unwrap();
        std::fs::write(at("dense"), &content).unwrap();

        pack(&at("dense"), &at("a"), 1, Layout::default(), effort);
        let said = pack(&at("sparse"), &at("b"), threads, Layout::default(), effort);
        prop_assert!(std::fs::read(at("a")).unwrap() == std::fs::read(at("b")).unwrap());
        let counts = said.strips.unwrap();

        // Over itself, every strip is taken over, the zero ones too.
        let base = Layout::Streamable { base: Some(at("a")) };
        let said = pack(&at("sparse"), &at("c"), threads, base, Effort::Best);
        prop_assert_eq!(said.reused, counts.total);
        prop_assert!(std::fs::read(at("a")).unwrap() == std::fs::read(at("c")).unwrap());

        for layout in ["b", "classic"] {
            if layout == "classic" {
                pack(&at("sparse"), &at("classic"), threads, Layout::Classic, effort);
            }
            let image = Image::open_file(&at(layout), &Limits::default()).unwrap();
            for segment in image.segments() {
                let (file, mut last) = (File::create(at("unpacked")).unwrap(), 0);
                image.unpack(segment, &file, &mut |done| { assert!(done > last); last = done; }).unwrap();
                prop_assert_eq!(last, size);
                prop_assert!(std::fs::read(at("unpacked")).unwrap() == content);
                let room = (counts.total - counts.zero) as u64 / 2 * (STRIP + 8192);
                prop_assert!(file.metadata().unwrap().blocks() * 512 <= room, "zeros take no room");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("in"), bytes(5, 3_000_000)).unwrap();
    for (layout, effort) in [(Layout::default(), Effort::Best), (Layout::Classic, Effort::Fast)] {
        let images = [1, 2, 7].map(|threads| {
            pack(&at("in"), &at("out"), threads, layout.clone(), effort);
            std::fs::read(at("out")).unwrap()
        });
        assert!(images[0] == images[1] && images[1] == images[2], "{layout:?}");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_packed_has_no_hole_there() {
    use crate::blob::{Blob, FileBlob};
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(4 * STRIP).unwrap();
    file.as_file().write_all_at(b"data", 0).unwrap();
    let blob = FileBlob::open(file.path()).unwrap();
    assert!(!blob.is_hole(0..STRIP));
    assert!(blob.is_hole(STRIP..4 * STRIP));
    file.as_file().set_len(2 * STRIP).unwrap();
    assert!(blob.is_hole(STRIP..2 * STRIP) && !blob.is_hole(STRIP..4 * STRIP));
}
