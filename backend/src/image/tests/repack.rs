use super::*;
use crate::image::hilbert::Grid;

const STRIP: usize = 1 << 18;
const BLUEPRINT: &[u8] = b"PixelRTS-Blueprint\0{\"any\":\"text\"}";

/// A classic image of these bytes with this metadata, as an older tool may have made it.
pub(super) fn by_hand(payload: &[u8], json: &str) -> Vec<u8> {
    let grid = Grid::for_bytes(payload.len() as u64).unwrap();
    let side = grid.side();
    let mut pixels = vec![0; 4 * (side * side) as usize];
    for (number, four) in payload.chunks(4).enumerate() {
        let (x, y) = hilbert::position(side, u32::try_from(number).unwrap());
        pixels[4 * (y * side + x) as usize..][..four.len()].copy_from_slice(four);
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_filter(png::Filter::Paeth);
    encoder.add_text_chunk("PixelRTS".into(), format!("PixelRTS{json}")).unwrap();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

/// The same image with one more chunk before the chunk `before`.
pub(super) fn with_chunk(file: &[u8], before: &[u8; 4], kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let at = file.windows(4).position(|window| window == before).unwrap() - 4;
    let mut longer = file[..at].to_vec();
    chunk::write(&mut longer, kind, data).unwrap();
    longer.extend_from_slice(&file[at..]);
    longer
}

/// Packs the image again, with these files beside it.
fn again(old: &[u8], layout: Layout, metadata: Metadata, files: &[(&str, Role, &[u8])]) -> Result<Vec<u8>, PackError> {
    let folder = tempfile::tempdir().unwrap();
    let (from, out) = (folder.path().join("old"), folder.path().join("new"));
    std::fs::write(&from, old).unwrap();
    let image = Image::open_file(&from, &Limits::default()).unwrap();
    let segments = files.iter().map(|(name, role, content)| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        SegmentFile { name: (*name).to_owned(), role: *role, path }
    });
    let pack = Pack {
        metadata,
        segments: segments.collect(),
        from: Some(Repack::new(image, from)),
        layout,
        ..Pack::default()
    };
    let outcome = pack.write(&out, &mut |done, total| assert!(done <= total)).map(|_| std::fs::read(&out).unwrap());
    assert_eq!(out.exists(), outcome.is_ok(), "complete or absent");
    outcome
}

fn blueprint(file: &[u8]) -> Option<Vec<u8>> {
    let blob = MemoryBlob::from(file.to_vec());
    metadata::blueprint(&blob, &Limits::default()).unwrap().map(|body| body.data)
}

#[test]
fn from_one_profile_into_the_other_and_back() {
    let (kernel, disk) = (bytes(1, STRIP + 10), bytes(2, 3 * STRIP));
    let segments = [("vmlinuz", Role::Kernel, &kernel[..]), ("home", Role::Disk, &disk[..])];
    let (classic, _) = packed_as(Layout::Classic, &segments, Effort::Fast);
    let classic = with_chunk(&classic, b"IDAT", *b"tEXt", BLUEPRINT);
    let streamable = again(&classic, Layout::default(), Metadata::default(), &[]).unwrap();
    let back = again(&streamable, Layout::Classic, Metadata::default(), &[]).unwrap();
    assert!(back == classic, "nothing is lost on the way");
    for file in [streamable, back] {
        let image = open(file.clone()).unwrap();
        image.verify(Depth::Deep, &mut |_| {}).unwrap();
        assert_eq!(image.metadata().cmdline.as_deref(), Some("quiet"));
        for (name, role, content) in &segments {
            let segment = image.segment(name).unwrap();
            assert_eq!(segment.role, *role);
            assert!(read(&image, segment, 100_000).unwrap() == *content, "{name}");
        }
        assert_eq!(blueprint(&file).as_deref(), Some(BLUEPRINT));
    }
}

#[test]
fn files_replace_segments() {
    let old = packed(
        &[
            ("vmlinuz", Role::Kernel, b"old"),
            ("initrd", Role::Initrd, b"i"),
            ("home", Role::Disk, b"h"),
            ("data", Role::Disk, b"d"),
        ],
        Effort::Fast,
    );
    let said = Metadata { name: Some("new".into()), ..Metadata::default() };
    let files: [(_, _, &[u8]); 3] =
        [("kernel", Role::Kernel, b"new"), ("home", Role::Disk, b"H"), ("swap", Role::Disk, b"s")];
    let image = open(again(&old, Layout::default(), said, &files).unwrap()).unwrap();
    let found: Vec<_> =
        image.segments().iter().map(|segment| (segment.name.as_str(), read(&image, segment, 10).unwrap())).collect();
    let expected = [("kernel", &b"new"[..]), ("initrd", b"i"), ("home", b"H"), ("data", b"d"), ("swap", b"s")];
    assert_eq!(found, expected.map(|(name, content)| (name, content.to_vec())));
    assert_eq!((image.metadata().name.as_deref(), image.metadata().cmdline.as_deref()), (Some("new"), Some("quiet")));
}

#[test]
fn what_was_read_from_a_kernel_is_dropped_with_it() {
    let json = r#"{"data_size":4,"kernel_version":"6.1","architecture":"x","distro":"d","secret":"s",
        "segments":{"kernel":{"offset":0,"size":2},"a b":{"offset":2,"size":2}}}"#;
    let old = by_hand(b"kkab", json);
    let kept = open(again(&old, Layout::default(), Metadata::default(), &[]).unwrap()).unwrap();
    assert_eq!(kept.metadata().kernel_version.as_deref(), Some("6.1"));
    assert_eq!(kept.segments().iter().map(|segment| &*segment.name).collect::<Vec<_>>(), ["kernel", "a_20b"]);
    assert!(!kept.metadata_json().contains("secret"), "nobody knows what it is about");
    let files: [(_, _, &[u8]); 1] = [("kernel", Role::Kernel, b"other")];
    let new = open(again(&old, Layout::default(), Metadata::default(), &files).unwrap()).unwrap();
    assert_eq!((&new.metadata().kernel_version, &new.metadata().architecture), (&None, &None));
    assert_eq!(new.metadata().distro.as_deref(), Some("d"));
}

#[test]
fn an_old_image_that_is_damaged_gives_no_new_one() {
    let content = bytes(4, 2 * STRIP);
    let mut old = packed(&[("kernel", Role::Kernel, &content)], Effort::None);
    let place = old.len() - STRIP / 2;
    old[place] ^= 1;
    let files: [(_, _, &[u8]); 1] = [("kernel", Role::Kernel, b"new")];
    for files in [&[][..], &files] {
        let error = again(&old, Layout::default(), Metadata::default(), files).unwrap_err();
        assert!(matches!(error, PackError::From { error: ImageError::StripMismatch { strip: 1, .. }, .. }), "{error}");
        assert_eq!(pixelrts_shared::Problem::from(error).code, pixelrts_shared::ProblemCode::StripMismatch);
    }
}

#[test]
fn images_of_the_older_tools_become_streamable() {
    for (name, segments) in [
        ("tiny", &["payload"][..]),
        ("compressed_mislabelled", &["payload"]),
        ("code_wasm", &["payload"]),
        ("kernel_initrd", &["kernel", "initrd"]),
    ] {
        let file = old_image(name);
        let old = open(file.clone()).unwrap();
        let new = open(again(&file, Layout::default(), Metadata::default(), &[]).unwrap()).unwrap();
        new.verify(Depth::Deep, &mut |_| {}).unwrap();
        assert_eq!(new.segments().iter().map(|segment| &*segment.name).collect::<Vec<_>>(), segments, "{name}");
        for name in segments {
            let of = |image: &Image| read(image, image.segment(name).unwrap(), 1 << 20).unwrap();
            assert!(of(&old) == of(&new), "{name}");
        }
        assert_eq!(new.metadata(), old.metadata());
    }
}

#[test]
fn the_blueprint_follows_the_metadata_and_is_bounded() {
    let old = packed(&[("kernel", Role::Kernel, b"k")], Effort::Fast);
    // Its place is counted in the index, so that only a writer can put it there.
    let classic = |data: &[u8]| {
        let (file, _) = packed_as(Layout::Classic, &[("kernel", Role::Kernel, b"k")], Effort::Fast);
        with_chunk(&file, b"IEND", *b"iTXt", data)
    };
    assert_eq!(blueprint(&old), None);
    let mut good = again(&classic(BLUEPRINT), Layout::default(), Metadata::default(), &[]).unwrap();
    let check = |file: &[u8]| open(file.to_vec()).unwrap().verify(Depth::Strips, &mut |_| {});
    check(&good).unwrap();
    let place = good.windows(9).position(|window| window == b"Blueprint").unwrap();
    good[place + 12] ^= 1;
    assert!(matches!(check(&good), Err(ImageError::Malformed { .. })), "its CRC is wrong");
    let long = [BLUEPRINT, &vec![b' '; 2 << 20]].concat();
    let error = again(&classic(&long), Layout::default(), Metadata::default(), &[]).unwrap_err();
    assert!(matches!(error, PackError::From { error: ImageError::Limit { .. }, .. }), "{error}");
}
