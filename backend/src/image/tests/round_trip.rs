use super::*;
use proptest::prelude::*;

const STRIP: usize = 1 << 18;

/// Sizes around the borders of strips.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![0..40_usize, STRIP - 3..STRIP + 4, 2 * STRIP - 2..2 * STRIP + 3, 0..3 * STRIP]
}

fn effort() -> impl Strategy<Value = Effort> {
    prop_oneof![Just(Effort::None), Just(Effort::Fast)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn packed_segments_are_read_back(
        sizes in proptest::collection::vec((size(), any::<bool>()), 1..4), seed: u64, effort in effort(), piece in 1000..STRIP * 2,
    ) {
        let contents: Vec<_> = (seed..)
            .zip(&sizes)
            .map(|(seed, (size, zero))| if *zero { vec![0; *size] } else { bytes(seed, *size) })
            .collect();
        let names = ["kernel", "initrd", "disk"];
        let roles = [Role::Kernel, Role::Initrd, Role::Disk];
        let segments: Vec<_> = contents.iter().enumerate().map(|(n, content)| (names[n], roles[n], &content[..])).collect();
        let file = packed(&segments, effort);
        let image = open(file.clone()).unwrap();
        prop_assert_eq!(image.profile(), Profile::Streamable);
        for (name, role, content) in &segments {
            let segment = image.segment(name).unwrap();
            prop_assert_eq!((segment.role, segment.size), (*role, content.len() as u64));
            prop_assert_eq!(segment.offset % STRIP as u64, 0);
            prop_assert!(read(&image, segment, piece).unwrap() == *content);
            image.verify_segment(segment).unwrap();
        }
        let mut done = 0;
        let report = image.verify(Depth::Deep, &mut |now| { assert!(now >= done); done = now; }).unwrap();
        prop_assert_eq!((done, report.bytes, report.segments), (file.len() as u64, file.len() as u64, segments.len()));
        prop_assert_eq!(report.strips, image.strips());
        prop_assert!(packed(&segments, effort) == file, "the same input gives the same bytes");
    }
}

/// Any decoder sees the pixels that the format defines.
#[test]
fn every_png_decoder_reads_it() {
    let content = bytes(3, 2 * STRIP + 1000);
    for effort in [Effort::None, Effort::Fast, Effort::Best] {
        let file = packed(&[("kernel", Role::Kernel, &content)], effort);
        let mut decoder = png::Decoder::new(std::io::Cursor::new(&file));
        decoder.ignore_checksums(false);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((frame.width, frame.height), (512, 3 * 128));
        reader.finish().unwrap();
        for k in (0..3 * STRIP).step_by(331) {
            let (strip, in_strip) = (k / STRIP, k % STRIP);
            let (tile, in_tile) = (in_strip / 65536, in_strip % 65536);
            let (x, y) = hilbert::position(128, u32::try_from(in_tile / 4).unwrap());
            let at = 4 * (512 * (128 * strip + y as usize) + 128 * tile + x as usize) + k % 4;
            assert_eq!(pixels[at], content.get(k).copied().unwrap_or_default(), "byte {k}");
        }
    }
}

#[test]
fn reads_are_bounded_by_the_segment() {
    let (a, b) = (bytes(1, 100), bytes(2, 300_000));
    let image = open(packed(&[("kernel", Role::Kernel, &a), ("disk", Role::Disk, &b)], Effort::Fast)).unwrap();
    let kernel = image.segment("kernel").unwrap();
    let mut buffer = [7; 300];
    assert_eq!(image.read_at(kernel, &mut buffer, 90).unwrap(), 10);
    assert_eq!((&buffer[..10], buffer[10]), (&a[90..], 7));
    for offset in [100, 101, u64::MAX] {
        assert_eq!(image.read_at(kernel, &mut buffer, offset).unwrap(), 0);
    }
    let foreign = Segment { offset: u64::MAX - 10, size: 1000, ..kernel.clone() };
    assert!(image.read_at(&foreign, &mut buffer, 0).is_err());
    assert!(image.verify_segment(&foreign).is_err());
    assert_eq!(image.first(Role::Disk).unwrap().name, "disk");
    assert_eq!(image.first(Role::Initrd), None);
    assert_eq!(image.metadata().cmdline.as_deref(), Some("quiet"));
}

#[test]
fn zero_strips_are_counted_and_cost_little() {
    let file = packed(&[("disk", Role::Disk, &vec![0; 10 * STRIP])], Effort::Fast);
    let image = open(file.clone()).unwrap();
    assert_eq!(image.strips(), Some(StripCounts { total: 10, zero: 10, stored: 0, deflated: 0 }));
    assert!(file.len() < 30_000);
}

#[test]
fn segments_are_in_the_order_of_a_boot() {
    let file = packed(&[("a", Role::Other, b"a"), ("d", Role::Disk, b"d"), ("k", Role::Kernel, b"k")], Effort::Fast);
    let image = open(file).unwrap();
    assert_eq!(image.segments().iter().map(|segment| &*segment.name).collect::<Vec<_>>(), ["k", "d", "a"]);
}

#[test]
fn what_cannot_be_packed_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k");
    std::fs::write(&path, "k").unwrap();
    let source = |name: &str, path: &PathBuf| SegmentFile { name: name.into(), role: Role::Kernel, path: path.clone() };
    let out = folder.path().join("out");
    let pack = |segments| Pack { segments, ..Pack::default() }.write(&out, &mut |_, _| {});
    assert!(matches!(pack(vec![]), Err(PackError::Empty)));
    assert!(matches!(pack(vec![source("a/b", &path)]), Err(PackError::Name { .. })));
    assert!(matches!(pack(vec![source("a", &path), source("a", &path)]), Err(PackError::Duplicate { .. })));
    assert!(matches!(pack(vec![source("a", &folder.path().into())]), Err(PackError::Input { .. })));
    assert!(matches!(pack(vec![source("a", &folder.path().join("none"))]), Err(PackError::Input { .. })));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn only_a_file_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("k"), "k").unwrap();
    let segments = || vec![SegmentFile { name: "k".into(), role: Role::Kernel, path: at("k") }];
    let pack = |out: &str| Pack { segments: segments(), ..Pack::default() }.write(&at(out), &mut |_, _| {});
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    for out in ["pipe", "folder", "none/out"] {
        assert!(matches!(pack(out), Err(PackError::Output(_))), "{out}");
    }
    assert!(!at("pipe").metadata().unwrap().is_file(), "it is still there");
    std::fs::write(at("file"), "old").unwrap();
    std::os::unix::fs::symlink("file", at("link")).unwrap();
    pack("link").unwrap();
    assert!(at("link").is_symlink() && open(std::fs::read(at("file")).unwrap()).is_ok());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 5, "and nothing else");
}

#[test]
fn a_thumbnail_is_small_opaque_and_shows_the_picture() {
    let mut content = vec![0; 8 * STRIP];
    content[4 * STRIP..].fill(200);
    let image = open(packed(&[("disk", Role::Disk, &content)], Effort::Fast)).unwrap();
    let thumbnail = image.thumbnail(64).unwrap().png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(&thumbnail)).read_info().unwrap();
    assert_eq!(reader.output_color_type(), (png::ColorType::Rgb, png::BitDepth::Eight));
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    // 512 x 1024 pixels: the ratio stays.
    assert_eq!((frame.width, frame.height), (32, 64));
    let (above, below) = pixels.split_at(32 * 32 * 3);
    assert!(above.iter().all(|byte| *byte == 0) && below.iter().all(|byte| *byte == 200));
}
