use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn packed_segments_are_read_back(
        sizes in proptest::collection::vec(prop_oneof![0..70_usize, 0..70_000_usize, 0..700_000_usize], 1..4),
        seed: u64,
        effort in prop_oneof![Just(Effort::None), Just(Effort::Fast), Just(Effort::Best)],
    ) {
        let contents: Vec<_> = (seed..).zip(&sizes).map(|(seed, size)| bytes(seed, *size)).collect();
        let (names, roles) = (["kernel", "initrd", "disk"], [Role::Kernel, Role::Initrd, Role::Disk]);
        let segments: Vec<_> = contents.iter().enumerate().map(|(n, content)| (names[n], roles[n], &content[..])).collect();
        let (file, said) = packed_as(Layout::Classic, &segments, effort);
        prop_assert_eq!((said.strips, said.index_sha256, said.width), (None, None, said.height));
        let image = open(file.clone()).unwrap();
        prop_assert_eq!(image.profile(), Profile::Classic);
        prop_assert_eq!(image.segments(), &said.segments);
        for (name, _, content) in &segments {
            prop_assert!(read(&image, image.segment(name).unwrap(), 100_000).unwrap() == *content, "{}", name);
        }
        prop_assert!(packed_as(Layout::Classic, &segments, effort).0 == file, "the same input gives the same bytes");
    }
}

/// Any decoder sees the pixels that the format defines.
#[test]
fn every_png_decoder_reads_it() {
    let content = bytes(3, 100_001);
    let (file, said) = packed_as(Layout::Classic, &[("kernel", Role::Kernel, &content)], Effort::Fast);
    assert_eq!(said.width, 256);
    let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    reader.finish().unwrap();
    for k in 0..4 * 256 * 256 {
        let (x, y) = hilbert::position(256, u32::try_from(k / 4).unwrap());
        let at = 4 * (256 * y as usize + x as usize) + k % 4;
        assert_eq!(pixels[at], content.get(k).copied().unwrap_or_default(), "byte {k}");
    }
}

#[test]
fn metadata_is_what_the_older_tools_read() {
    let folder = tempfile::tempdir().unwrap();
    let (kernel, out) = (folder.path().join("k"), folder.path().join("o"));
    std::fs::write(&kernel, "hello").unwrap();
    let metadata = Metadata { name: Some("Grüße 🐧 \"x\"".into()), ..Metadata::default() };
    let segments = vec![SegmentFile { name: "kernel".into(), role: Role::Kernel, path: kernel }];
    let pack = Pack { metadata, segments, layout: Layout::Classic, ..Pack::default() };
    pack.write(&out, &mut |_, _| {}).unwrap();
    let image = Image::open_file(&out, &Limits::default()).unwrap();
    let json = image.metadata_json();
    assert!(json.is_ascii(), "a tEXt chunk is Latin-1: {json}");
    assert!(json.starts_with(r#"{"format":"PixelRTS-2.0","format_version":2,"grid_size":4,"encoding":"#), "{json}");
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert!(json.ends_with(&format!(r#""data_hash":"{hash}","data_size":5}}"#)), "{json}");
    assert_eq!(image.metadata().name.as_deref(), Some("Grüße 🐧 \"x\""));
}

/// A file that another program writes to while it is packed gives no image.
#[test]
fn a_file_that_changes_while_it_is_packed_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, out) = (folder.path().join("d"), folder.path().join("o"));
    std::fs::write(&disk, vec![1; 3 << 20]).unwrap();
    let segments = vec![SegmentFile { name: "disk".into(), role: Role::Disk, path: disk.clone() }];
    let pack = Pack { segments, layout: Layout::Classic, ..Pack::default() };
    let outcome = pack.write(&out, &mut |_, _| {
        use std::os::unix::fs::FileExt;
        std::fs::File::options().write(true).open(&disk).unwrap().write_all_at(&[2], 0).unwrap();
    });
    assert!(matches!(outcome, Err(PackError::Changed { path }) if path == disk));
    assert!(!out.exists());
}
