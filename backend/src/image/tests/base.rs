use super::*;

const STRIP: usize = 1 << 18;

/// Packs over `old`, as another compressor would.
fn over(old: &[u8], segments: &[(&str, Role, &[u8])]) -> (Vec<u8>, Packed) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("old");
    std::fs::write(&base, old).unwrap();
    packed_as(Layout::Streamable { base: Some(base) }, segments, Effort::Best)
}

fn strips(file: &[u8]) -> Vec<Digest> {
    let image = open(file.to_vec()).unwrap();
    let Content::Streamable(image) = &image.content else { panic!("it has strips") };
    image.index.strips.iter().map(|strip| strip.sha256).collect()
}

#[test]
fn equal_strips_keep_their_bytes_wherever_they_are() {
    let (kernel, disk) = (bytes(1, STRIP + 10), bytes(2, 12 * STRIP));
    let old = packed(&[("kernel", Role::Kernel, &kernel), ("disk", Role::Disk, &disk)], Effort::Fast);
    let mut changed = disk.clone();
    changed[5 * STRIP + 7] ^= 1;
    // A longer kernel moves the disk.
    let longer = [&kernel[..], &bytes(3, STRIP)].concat();
    let segments = [("kernel", Role::Kernel, &longer[..]), ("disk", Role::Disk, &changed[..])];
    let (new, said) = over(&old, &segments);
    let (before, after) = (strips(&old), strips(&new));
    assert_eq!((before.len(), after.len()), (14, 15));
    assert_eq!(said.reused, 1 + 11);
    assert_eq!((before[0], &before[2..7], &before[8..]), (after[0], &after[3..8], &after[9..]));
    assert_eq!(said.width, open(old.clone()).unwrap().width(), "another width would move every pixel");
    let image = open(new.clone()).unwrap();
    for (name, _, content) in &segments {
        assert!(read(&image, image.segment(name).unwrap(), 100_000).unwrap() == *content, "{name}");
    }
    image.verify(Depth::Deep, &mut |_| {}).unwrap();
    assert!(over(&old, &segments).0 == new, "the same input gives the same bytes");
}

#[test]
fn a_base_that_is_damaged_or_classic_is_refused() {
    let segments = [("kernel", Role::Kernel, &b"kernel"[..])];
    let mut old = packed(&segments, Effort::None);
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("old");
    let source = SegmentFile { name: "kernel".into(), role: Role::Kernel, path: folder.path().join("k") };
    std::fs::write(&source.path, "kernel").unwrap();
    let pack =
        Pack { segments: vec![source], layout: Layout::Streamable { base: Some(base.clone()) }, ..Pack::default() };
    let write = || pack.write(&folder.path().join("out"), &mut |_, _| {});
    std::fs::write(&base, packed_as(Layout::Classic, &segments, Effort::None).0).unwrap();
    assert!(matches!(write(), Err(PackError::BaseClassic { .. })));
    let middle = old.len() / 2;
    old[middle] ^= 1;
    std::fs::write(&base, old).unwrap();
    assert!(matches!(write(), Err(PackError::Base { error: ImageError::StripMismatch { .. }, .. })));
}
