//! The reader against a slow and obvious one: a `Vec` per segment, and where `docs/FORMAT.md` puts every byte.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

const STRIP: usize = 1 << 18;
const NAMES: [&str; 4] = ["kernel", "initrd", "disk", "notes"];
const ROLES: [Role; 4] = [Role::Kernel, Role::Initrd, Role::Disk, Role::Other];

/// Around the borders of strips.
fn size() -> impl Strategy<Value = usize> {
    let border = (0..3_usize, -1..=1_isize).prop_map(|(strips, by)| (strips * STRIP).saturating_add_signed(by));
    prop_oneof![border, 0..1_000_usize, 0..2 * STRIP]
}

fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::default()), Just(Layout::Classic)]
}

/// The kinds of bytes that deflate, that do not, and none at all.
fn content() -> impl Strategy<Value = Vec<u8>> {
    (size(), any::<u64>(), 0..3_u8).prop_map(|(size, seed, kind)| match kind {
        0 => vec![0; size],
        1 => bytes(seed, size),
        _ => bytes(seed, size).into_iter().zip(bytes(!seed, size)).map(|(a, b)| a << 2 | b >> 4).collect(),
    })
}

fn segments(contents: &[Vec<u8>]) -> Vec<(&'static str, Role, &[u8])> {
    contents.iter().enumerate().map(|(n, content)| (NAMES[n], ROLES[n], &content[..])).collect()
}

/// Where byte k of the payload stands in the pixels, by `docs/FORMAT.md`, 1.4, 2.2 and 3.1.
fn place(k: usize, profile: Profile, width: usize) -> usize {
    let (column, row, side, t) = match profile {
        Profile::Classic => (0, 0, width, k / 4),
        Profile::Streamable => {
            let rows = 65_536 / width;
            let (strip, in_strip) = (k / STRIP, k % STRIP);
            let tile = in_strip / (4 * rows * rows);
            (tile * rows, strip * rows, rows, in_strip % (4 * rows * rows) / 4)
        }
    };
    let (mut x, mut y, mut s, mut t) = (0, 0, 1, t);
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
    4 * ((row + y) * width + column + x) + k % 4
}

/// The pixels, by a decoder that knows nothing of segments.
fn pixels(file: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_read_gives_the_bytes_of_the_model(
        layout in layout(),
        contents in proptest::collection::vec(content(), 1..5),
        reads in proptest::collection::vec((any::<Index>(), any::<Index>(), size()), 1..12),
    ) {
        let segments = segments(&contents);
        let (file, _) = packed_as(layout, &segments, Effort::Fast);
        let image = open(file.clone()).unwrap();
        let pixels = pixels(&file);
        for (which, at, count) in reads {
            let (name, _, model) = segments[which.index(segments.len())];
            let segment = image.segment(name).unwrap();
            let offset = at.index(model.len() + 2);
            let expected = &model[offset.min(model.len())..(offset + count).min(model.len())];
            let mut found = vec![0; count];
            let got = image.read_at(segment, &mut found, offset as u64).unwrap();
            prop_assert!(found[..got] == *expected, "{name}: {count} bytes at {offset}");
            let first = usize::try_from(segment.offset).unwrap() + offset;
            for (k, byte) in (first..).zip(expected).step_by(997) {
                let width = usize::try_from(image.width()).unwrap();
                prop_assert_eq!(pixels[place(k, image.profile(), width)], *byte, "byte {} of the payload", k);
            }
        }
    }

    #[test]
    fn a_read_of_a_damaged_image_gives_the_bytes_of_the_model_or_an_error(
        layout in layout(),
        contents in proptest::collection::vec(content(), 1..5),
        damage in proptest::collection::vec((any::<Index>(), 1..=255_u8), 1..4),
    ) {
        let segments = segments(&contents);
        let (mut file, _) = packed_as(layout, &segments, Effort::Fast);
        let sound = open(file.clone()).unwrap();
        let places: Vec<_> = damage.iter().map(|(place, _)| place.index(file.len()) as u64).collect();
        for (place, (_, by)) in places.iter().zip(&damage) {
            file[usize::try_from(*place).unwrap()] ^= by;
        }
        let Ok(image) = open(file) else { return Ok(()) };
        for (name, _, model) in &segments {
            let Some(segment) = image.segment(name) else { continue };
            for offset in (0..model.len()).step_by(STRIP) {
                let expected = &model[offset..model.len().min(offset + STRIP)];
                let mut found = vec![0; expected.len()];
                let read = image.read_at(segment, &mut found, offset as u64);
                if read.is_ok() {
                    prop_assert!(found == *expected, "{name} at {offset}");
                }
                if let Content::Streamable(sound) = &sound.content {
                    let strip = usize::try_from(segment.offset).unwrap() / STRIP + offset / STRIP;
                    let entry = &sound.index.strips[strip];
                    let hit = places.iter().any(|place| (entry.at..entry.end()).contains(place));
                    prop_assert!(read.is_ok() || hit, "{name} at {offset}: {read:?}");
                }
            }
        }
    }
}
