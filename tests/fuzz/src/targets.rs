//! The targets: each gives its bytes to a part of the reader and checks what comes out.

use std::cell::RefCell;
use std::collections::HashMap;

use pixelrts_shared::Problem;

use crate::blob::{Blob, MemoryBlob};
use crate::image::internals::{self, StripDecoder, Table};
use crate::image::{Depth, Image, ImageError, Limits, Profile, Segment};
use crate::png::{Deflated, png};

/// The limits are small, so that one input costs little. Three strips are enough to find mistakes.
const LIMITS: Limits =
    Limits { side: 256, classic_payload: 1 << 18, metadata: 1 << 14, index: 24 + 3 * 48 + 32, head_chunks: 16 };
/// The longest text of a problem: it must be a sentence, not a copy of the file.
const LONGEST: usize = 1_000;

/// The head of a file, and all chunks behind it.
pub(crate) fn chunks(data: &[u8]) {
    let blob = MemoryBlob::from(data.to_vec());
    let Some(head) = good(internals::head(&blob, &LIMITS)) else { return };
    assert!(head.width > 0 && head.height > 0);
    let mut places: Vec<_> = head.texts.iter().chain(&head.index).cloned().collect();
    places.sort_by_key(|place| place.start);
    places.push(head.picture);
    let mut free = 33;
    for place in places {
        assert!(place.start >= free && place.end >= place.start + 12 && place.end <= blob.len(), "{place:?} of {free}");
        free = place.end;
    }
    if let Some(deflated) = good(internals::survey(&blob, &LIMITS)) {
        assert!(deflated <= blob.len());
    }
}

/// The three kinds of text chunks, and the table of segments. The first byte chooses the kind.
pub(crate) fn metadata(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let (kind, prefix, deflated): (_, &[u8], _) = match kind % 6 {
        0 => (b"tEXt", b"PixelRTS\0", Deflated::Already),
        1 => (b"tEXt", b"PixelRTS\0PixelRTS", Deflated::Already),
        2 => (b"zTXt", b"PixelRTS\0", Deflated::Already),
        3 => (b"zTXt", b"PixelRTS\0\0", Deflated::Now),
        4 => (b"iTXt", b"PixelRTS\0", Deflated::Already),
        _ => (b"iTXt", b"PixelRTS\0\x01\0\0\0", Deflated::Now),
    };
    let text = [prefix, &deflated.of(rest)].concat();
    let blob = MemoryBlob::from(png(4, 4, &[(kind, &text), (b"IDAT", b"")]));
    for table in good(internals::tables(&blob, &LIMITS)).unwrap_or_default() {
        let Some(Table { data_size, segments, .. }) = good(table) else { continue };
        check_segments(&segments, data_size);
    }
}

/// The index. Before it: where the strips begin, 2 bytes, and the file's size, 4 bytes.
pub(crate) fn index(data: &[u8]) {
    let Some((first, rest)) = data.split_first_chunk::<2>() else { return };
    let Some((size, data)) = rest.split_first_chunk::<4>() else { return };
    let (first, size) = (u64::from(u16::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*size)));
    let Some((width, rows, data_size, strips)) = good(internals::index(data, first, size)) else { return };
    let word = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((word(4), word(8), word(12) as usize), (width, rows, strips.len()));
    assert_eq!(width * rows, 1 << 16);
    assert_eq!(data.len(), 24 + 48 * strips.len() + 32);
    assert!(data_size <= strips.len() as u64 * (1 << 18) && !strips.is_empty());
    let mut free = first;
    for (number, strip) in strips.iter().enumerate() {
        let at = 24 + 48 * number;
        assert_eq!(strip.place.start, u64::from(word(at)) | u64::from(word(at + 4)) << 32);
        assert_eq!(strip.place.end - strip.place.start, u64::from(word(at + 8)));
        assert_eq!(strip.flags, word(at + 12));
        assert!(strip.place.start >= free && strip.flags <= 3);
        free = strip.place.end;
    }
    assert!(free + 30 <= size);
}

thread_local! {
    /// Decoders by width and rows. They are used again for later inputs, as a reader does.
    static STRIPS: RefCell<HashMap<(u32, u32), StripDecoder>> = RefCell::default();
}

/// The deflate data of a strip. The first byte chooses its shape, all but one smaller than in an image, and its flags.
pub(crate) fn strip(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let (width, rows) =
        [(8, 8), (64, 4), (16, 2), (4, 1), (32, 16), (128, 8), (3, 1), (512, 128)][usize::from(choice & 7)];
    let flags = u32::from(choice >> 3 & 3);
    let length = u32::try_from(body.len()).expect("inputs are small");
    let chunk = [&length.to_be_bytes(), &b"IDAT"[..], body, &[0; 4]].concat();
    STRIPS.with_borrow_mut(|all| {
        let strips = all.entry((width, rows)).or_insert_with(|| StripDecoder::new(width, rows));
        let Some((raw, payload)) = good(strips.decode(&chunk, flags)) else { return };
        assert_eq!(raw.len(), (rows * (1 + 4 * width)) as usize);
        assert_eq!(payload, gathered(&raw, width, rows));
        // Stored blocks are deflate data too, and the flag for zeros changes nothing here.
        let (again, _) = strips.decode(&chunk, 0).expect("what is read with a flag is read without");
        assert_eq!(again, raw);
    });
}

/// The payload as `docs/FORMAT.md` defines it, byte by byte.
fn gathered(raw: &[u8], width: u32, rows: u32) -> Vec<u8> {
    let byte = |k: u32| {
        let (tile, m) = (k / (4 * rows * rows), k % (4 * rows * rows));
        let (x, y) = hilbert(rows, m / 4);
        raw[(y * (1 + 4 * width) + 1 + 4 * (tile * rows + x) + m % 4) as usize]
    };
    (0..4 * width * rows).map(byte).collect()
}

fn hilbert(side: u32, mut t: u32) -> (u32, u32) {
    let (mut x, mut y, mut s) = (0, 0, 1);
    while s < side {
        let rx = t >> 1 & 1;
        let ry = (t ^ rx) & 1;
        if ry == 0 {
            if rx == 1 {
                (x, y) = (s - 1 - x, s - 1 - y);
            }
            (x, y) = (y, x);
        }
        (x, y, t, s) = (x + s * rx, y + s * ry, t >> 2, 2 * s);
    }
    (x, y)
}

/// A classic image of parts: the side and how the picture is given (1 byte), the length of the JSON (2 bytes), the
/// JSON, and the picture: a zlib stream, or bytes of which the target makes one without filters.
pub(crate) fn classic(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let Some((length, rest)) = rest.split_first_chunk::<2>() else { return };
    let (json, picture) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
    let side = 4_u32 << (choice & 3);
    let picture = if choice & 4 == 0 {
        picture.to_vec()
    } else {
        let rows = picture.chunks(4 * side as usize).map(|row| [&[0], row].concat());
        let mut rows: Vec<_> = rows.collect::<Vec<_>>().concat();
        rows.resize((side * (1 + 4 * side)) as usize, 0);
        Deflated::Now.of(&rows)
    };
    let text = [b"PixelRTS\0PixelRTS", json].concat();
    whole(png(side, side, &[(b"tEXt", &text), (b"IDAT", &picture)]));
}

/// A whole file.
pub(crate) fn open(data: &[u8]) {
    whole(data.to_vec());
}

fn whole(file: Vec<u8>) {
    let size = file.len() as u64;
    let Some(image) = good(Image::open(Box::new(MemoryBlob::from(file)), &LIMITS)) else { return };
    assert_eq!(image.file_size(), size);
    check_segments(image.segments(), image.data_size());
    let verified = good(image.verify(Depth::Deep, &mut |_| {})).is_some();
    assert!(verified || image.profile() == Profile::Streamable, "a classic image is checked when it is opened");
    for segment in image.segments() {
        let read = |offset: u64, count: u64| {
            let mut bytes = vec![0; usize::try_from(count).expect("limits are small")];
            let got = good(image.read_at(segment, &mut bytes, offset))?;
            assert_eq!(got as u64, count.min(segment.size - offset));
            Some(bytes)
        };
        let all = read(0, segment.size);
        assert!(all.is_some() || !verified, "a verified image can be read");
        let middle = segment.size / 2;
        if let (Some(all), Some(end)) = (all, read(middle, segment.size - middle)) {
            assert!(all.ends_with(&end), "the same bytes, however they are read");
        }
        assert!(good(image.verify_segment(segment)).is_some() || !verified);
    }
    // The picture of a classic image in code mode is not its payload, and not checked.
    let thumbnail = good(image.thumbnail(8)).is_some();
    assert!(thumbnail || !verified || image.profile() == Profile::Classic);
}

/// By offset, inside the payload, without overlap, each the name of a harmless file.
fn check_segments(segments: &[Segment], data_size: u64) {
    assert!(!segments.is_empty());
    let mut free = 0;
    for Segment { name, offset, size, .. } in segments {
        assert!((1..=255).contains(&name.len()) && !name.starts_with('.') && name != "metadata.json", "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte)), "{name}");
        assert!(*offset >= free && offset.checked_add(*size).is_some_and(|end| end <= data_size), "{segments:?}");
        free = offset + size;
    }
}

/// Returns the value, or `None` after checking how the refusal is worded.
fn good<T>(outcome: Result<T, ImageError>) -> Option<T> {
    let error = match outcome {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    if let ImageError::Malformed { part, expected, found } = &error {
        assert!(![part, expected, found].iter().any(|text| text.is_empty()), "{error:?}");
    }
    assert!(!matches!(error, ImageError::Io(_)), "bytes in memory can be read: {error:?}");
    let Problem { what, why, fix, .. } = Problem::from(error);
    for text in [what, why, fix] {
        assert!((1..=LONGEST).contains(&text.len()), "{} bytes: {text}", text.len());
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    None
}
