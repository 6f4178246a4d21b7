use super::*;
use pixelrts_shared::{Problem, ProblemCode};

const STRIP: usize = 1 << 18;

/// Two segments, one of them over two strips; small because it deflates well.
fn sample() -> Vec<u8> {
    let mut content = vec![b'k'; STRIP + 70_000];
    content[..3000].copy_from_slice(&super::bytes(5, 3000));
    packed(&[("kernel", Role::Kernel, &content), ("initrd", Role::Initrd, &super::bytes(6, 2000))], Effort::Fast)
}

/// Opens and checks everything.
fn check(file: Vec<u8>) -> Result<Report, ImageError> {
    open(file)?.verify(Depth::Deep, &mut |_| {})
}

/// Where the data of each chunk is.
fn chunks(file: &[u8]) -> Vec<(String, std::ops::Range<usize>)> {
    let (mut at, mut found) = (8, Vec::new());
    while at < file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        found.push((String::from_utf8(file[at + 4..at + 8].to_vec()).unwrap(), at + 8..at + 8 + length));
        at += 12 + length;
    }
    found
}

/// Makes the CRCs, and the index digest if asked for, right again.
fn repaired(mut file: Vec<u8>, digest: bool) -> Vec<u8> {
    let chunks = chunks(&file);
    for (kind, range) in &chunks {
        if kind == "rtSX" && digest {
            let text = chunks.iter().find(|(kind, _)| kind == "tEXt").unwrap().1.clone();
            let digest = index::digest(&file[range.start..range.end - 32])(&file[text]);
            file[range.end - 32..range.end].copy_from_slice(digest.as_bytes());
        }
        let crc = chunk::crc(kind.as_bytes().try_into().unwrap(), &file[range.clone()]);
        file[range.end..range.end + 4].copy_from_slice(&crc.to_be_bytes());
    }
    file
}

#[test]
fn a_file_cut_off_anywhere_is_refused_when_opened() {
    let file = sample();
    for len in (0..file.len()).step_by(37).chain(file.len() - 60..file.len()) {
        let error = open(file[..len].to_vec()).map(drop).unwrap_err();
        assert!(!matches!(error, ImageError::Io(_)), "cut to {len}: {error}");
    }
    assert!(check(file).is_ok());
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let file = sample();
    for at in (0..file.len()).step_by(61).chain(0..400).chain(file.len() - 60..file.len()) {
        let mut file = file.clone();
        file[at] ^= 0x10;
        let error = check(file).map(drop).unwrap_err();
        assert!(!matches!(error, ImageError::Io(_)), "byte {at}: {error}");
    }
}

#[test]
fn each_region_has_its_error() {
    let file = sample();
    let chunks = chunks(&file);
    let kinds: Vec<_> = chunks.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["IHDR", "tEXt", "rtSX", "IDAT", "IDAT", "IDAT", "IDAT", "IDAT", "IEND"]);
    let code = |at: usize| {
        let mut file = file.clone();
        file[at] ^= 1;
        Problem::from(check(file).unwrap_err()).code
    };
    assert_eq!(code(0), ProblemCode::NotAnImage);
    assert_eq!(code(chunks[0].1.start), ProblemCode::ImageMalformed);
    assert_eq!(code(chunks[1].1.start + 100), ProblemCode::IndexMismatch);
    assert_eq!(code(chunks[2].1.start + 60), ProblemCode::IndexMismatch);
    assert_eq!(code(chunks[2].1.end), ProblemCode::ImageMalformed);
    assert_eq!(code(chunks[3].1.start), ProblemCode::ImageMalformed);
    assert_eq!(code(chunks[4].1.start + 5), ProblemCode::StripMismatch);
    assert_eq!(code(chunks[7].1.start), ProblemCode::ImageMalformed);
    assert_eq!(code(chunks[8].1.end), ProblemCode::ImageMalformed);
}

#[test]
fn a_bad_strip_fails_reads_of_its_own_bytes_only() {
    let mut file = sample();
    let second = chunks(&file)[5].1.start;
    file[second + 3] ^= 1;
    let image = open(file).unwrap();
    let kernel = image.segment("kernel").unwrap();
    let mut buffer = vec![0; STRIP];
    assert_eq!(image.read_at(kernel, &mut buffer, 0).unwrap(), STRIP);
    for _ in 0..2 {
        let error = image.read_at(kernel, &mut buffer, STRIP as u64).unwrap_err();
        assert!(matches!(error, ImageError::StripMismatch { strip: 1, .. }), "{error}");
    }
    assert!(image.verify_segment(kernel).is_err());
    assert!(image.verify_segment(image.segment("initrd").unwrap()).is_ok());
}

#[test]
fn false_claims_with_right_checksums_are_found() {
    let file = sample();
    let index = chunks(&file)[2].1.start;
    let change = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        repaired(file, true)
    };
    let refused = |what: &str, file: Vec<u8>| {
        let error = check(file).map(drop).expect_err(what);
        assert!(matches!(error, ImageError::Malformed { .. } | ImageError::Truncated { .. }), "{what}: {error}");
    };
    assert!(check(repaired(file.clone(), true)).is_ok());
    refused("another width", change(index + 4, &1024_u32.to_le_bytes()));
    refused("a width and rows of another image", change(index + 4, &[0, 4, 0, 0, 64, 0, 0, 0]));
    refused("more strips", change(index + 12, &4_u32.to_le_bytes()));
    refused("most strips", change(index + 12, &u32::MAX.to_le_bytes()));
    refused("more data", change(index + 16, &u64::MAX.to_le_bytes()));
    refused("less data", change(index + 16, &600_000_u64.to_le_bytes()));
    refused("an offset outside", change(index + 24 + 96, &(u64::MAX - 5).to_le_bytes()));
    refused("an overlap", change(index + 24 + 48, &file[index + 24..index + 32]));
    refused("an empty strip", change(index + 32, &0_u32.to_le_bytes()));
    refused("a huge strip", change(index + 32, &u32::MAX.to_le_bytes()));
    refused("a zero strip that is none", change(index + 36, &1_u32.to_le_bytes()));
    refused("a stored strip that is none", change(index + 36, &2_u32.to_le_bytes()));
    refused("an unknown flag", change(index + 36, &4_u32.to_le_bytes()));
    let (text, wanted) = (chunks(&file)[1].1.clone(), b"\"offset\":524288");
    let place = text.start + file[text].windows(wanted.len()).rposition(|window| window == wanted).unwrap();
    refused("a segment inside a strip", change(place, b"\"offset\":524280"));
    refused("an overlapping segment", change(place, b"\"offset\":262144"));
    refused("a segment outside", change(place, b"\"offset\":999424"));
    let (text, wanted) = (chunks(&file)[1].1.clone(), b"\"size\":332144");
    let place = text.start + file[text].windows(wanted.len()).rposition(|window| window == wanted).unwrap();
    refused("bytes behind a segment's end", change(place, b"\"size\":332000"));
    let mut longer = file.clone();
    longer.extend_from_slice(b"more");
    refused("trailing bytes", longer);
}

#[test]
fn a_wrong_segment_hash_is_found_by_a_deep_check() {
    let file = sample();
    let text = chunks(&file)[1].1.clone();
    let place = text.start + file[text].windows(9).rposition(|window| window == b"\"sha256\":").unwrap() + 10;
    let mut file = file;
    file[place..place + 4].copy_from_slice(b"0000");
    let image = open(repaired(file, true)).unwrap();
    assert!(image.verify(Depth::Strips, &mut |_| {}).is_ok());
    let error = image.verify(Depth::Deep, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImageError::SegmentMismatch { .. }), "{error}");
    assert!(image.segments().iter().any(|segment| image.verify_segment(segment).is_err()));
}

#[test]
fn a_payload_hash_is_checked_where_there_is_one() {
    use sha2::Digest as _;
    let (folder, content) = (tempfile::tempdir().unwrap(), super::bytes(8, STRIP + 10));
    let (path, out) = (folder.path().join("k"), folder.path().join("out"));
    std::fs::write(&path, &content).unwrap();
    let segments = vec![SegmentFile { name: "kernel".into(), role: Role::Kernel, path }];
    // A name as long as the key and value that take its place.
    let metadata = Metadata { name: Some("n".repeat(69)), ..Metadata::default() };
    Pack { metadata, segments, ..Pack::default() }.write(&out, &mut |_, _| {}).unwrap();
    let file = std::fs::read(out).unwrap();
    let place = file.windows(9).position(|window| window == b"\"name\":\"n").unwrap();
    let with = |hash: Digest| {
        let mut file = file.clone();
        file[place..place + 78].copy_from_slice(format!("\"data_hash\":\"{hash}\"").as_bytes());
        open(repaired(file, true)).unwrap()
    };
    let right = Digest::new(sha2::Sha256::digest(&content).into());
    assert!(with(right).verify(Depth::Deep, &mut |_| {}).is_ok());
    let wrong = with(Digest::new([1; 32]));
    assert!(wrong.verify(Depth::Strips, &mut |_| {}).is_ok());
    let error = wrong.verify(Depth::Deep, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImageError::PayloadMismatch { found, .. } if found == right), "{error}");
}

#[test]
fn an_extra_chunk_is_ignored_when_reading_and_refused_when_verifying() {
    let file = sample();
    let at = chunks(&file)[2].1.start - 8;
    let mut extra = file[..at].to_vec();
    chunk::write(&mut extra, *b"tIME", &[0; 7]).unwrap();
    extra.extend_from_slice(&file[at..]);
    let entries = chunks(&extra)[3].1.start + 24;
    for strip in 0..3 {
        let offset = &mut extra[entries + 48 * strip..][..8];
        let moved = u64::from_le_bytes((&*offset).try_into().unwrap()) + 19;
        offset.copy_from_slice(&moved.to_le_bytes());
    }
    let image = open(repaired(extra, true)).unwrap();
    assert!(image.segments().iter().all(|segment| image.verify_segment(segment).is_ok()));
    let error = image.verify(Depth::Strips, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
}

/// A PNG head with these sides and nothing behind it worth the name.
fn claims(width: u32, height: u32) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend_from_slice(&[8, 6, 0, 0, 0]);
    let mut file = chunk::SIGNATURE.to_vec();
    chunk::write(&mut file, *b"IHDR", &header).unwrap();
    chunk::write(&mut file, *b"tEXt", b"PixelRTS\0PixelRTS{\"data_size\":18446744073709551615}").unwrap();
    chunk::write(&mut file, *b"IDAT", b"x").unwrap();
    chunk::write(&mut file, *b"IEND", b"").unwrap();
    file
}

#[test]
fn hostile_headers_are_refused() {
    assert!(matches!(open(claims(i32::MAX.unsigned_abs(), i32::MAX.unsigned_abs())), Err(ImageError::Limit { .. })));
    assert!(matches!(open(claims(1 << 31, 1 << 31)), Err(ImageError::Malformed { .. })));
    assert!(matches!(open(claims(0, 4)), Err(ImageError::Malformed { .. })));
    assert!(matches!(open(claims(4096, 4096)), Err(ImageError::Limit { .. })));
    let small = String::from_utf8_lossy(&claims(4096, 4096)).len();
    assert!(small < 300, "the claim costs nothing");
}

#[test]
fn a_claim_that_the_picture_cannot_hold_is_refused_before_it_is_allocated() {
    let mut file = claims(16384, 16384);
    let text = b"18446744073709551615";
    let place = file.windows(text.len()).position(|window| window == text).unwrap();
    file.splice(place..place + text.len(), b"          1073741824".iter().copied());
    let error = open(repaired(file, false)).unwrap_err();
    assert!(matches!(error, ImageError::Malformed { .. }), "{error}");
}

#[test]
fn text_bombs_and_endless_heads_are_refused() {
    let mut bomb = b"PixelRTS\0\0".to_vec();
    let mut deflater = flate2::write::ZlibEncoder::new(&mut bomb, flate2::Compression::fast());
    deflater.write_all(&vec![b' '; 40 << 20]).unwrap();
    deflater.finish().unwrap();
    let head = claims(16, 16)[..33].to_vec();
    let with = |kind: [u8; 4], data: &[u8], times: usize| {
        let mut file = head.clone();
        (0..times).for_each(|_| chunk::write(&mut file, kind, data).unwrap());
        chunk::write(&mut file, *b"IDAT", b"x").unwrap();
        chunk::write(&mut file, *b"IEND", b"").unwrap();
        open(file).map(drop).unwrap_err()
    };
    assert!(matches!(with(*b"zTXt", &bomb, 1), ImageError::Limit { .. }));
    assert!(matches!(with(*b"tEXt", &[b"PixelRTS\0", &vec![b' '; 3 << 20][..]].concat(), 1), ImageError::Limit { .. }));
    assert!(matches!(with(*b"tEXt", &[b"PixelRTS\0", &vec![b' '; 1 << 20][..]].concat(), 2), ImageError::Limit { .. }));
    assert!(matches!(with(*b"tIME", b"", 5000), ImageError::Limit { .. }));
    assert!(matches!(with(*b"rtSX", b"", 1), ImageError::Malformed { .. }));
    assert!(matches!(with(*b"rtSX", b"", 2), ImageError::Malformed { .. }));
}

/// The same picture as another program writes it: one IDAT, and only the texts that it keeps.
fn remade(file: &[u8], text: Option<&str>) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let (width, height) = (reader.info().width, reader.info().height);
    reader.next_frame(&mut pixels).unwrap();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgba);
    if let Some(text) = text {
        encoder.add_text_chunk("PixelRTS".to_owned(), text.to_owned()).unwrap();
    }
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    out
}

#[test]
fn a_picture_that_another_program_has_written_anew_is_named_as_such() {
    let file = sample();
    let text = chunks(&file).into_iter().find(|(kind, _)| kind == "tEXt").unwrap().1;
    let text = String::from_utf8(file[text].to_vec()).unwrap().replace("PixelRTS\0", "");
    for remade in [remade(&file, None), remade(&file, Some(&text))] {
        assert!(is_remade(&remade));
        let problem = Problem::from(open(remade).unwrap_err());
        assert_eq!(problem.code, ProblemCode::NotAnImage);
        assert!(problem.why.to_lowercase().contains("another program has written"), "{problem}");
    }
    assert!(!sample_heads().iter().any(|head| is_remade(head)));
}
