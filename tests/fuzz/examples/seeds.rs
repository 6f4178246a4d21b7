//! Writes the files of the corpus that fuzzing begins with: `cargo run -p pixelrts-fuzz --example seeds`.
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "small files, written by hand")]

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, FlushCompress};
use pixelrts_fuzz::image::{Effort, Layout, Metadata, Pack, SegmentFile};
use pixelrts_fuzz::{Deflated, png};
use pixelrts_shared::catalog::Role;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

type Seed = (String, Vec<u8>);

fn main() {
    let all = [
        ("chunks", chunks()),
        ("metadata", metadata()),
        ("index", index()),
        ("strip", strip()),
        ("classic", classic()),
        ("open", open()),
    ];
    for (target, seeds) in all {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

fn packed(layout: Layout, effort: Effort, segments: &[(&str, Role, &[u8])]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let sources = segments.iter().map(|(name, role, bytes)| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        SegmentFile { name: (*name).to_owned(), role: *role, path }
    });
    let metadata = Metadata { name: Some("Größe".into()), cmdline: Some("quiet".into()), ..Metadata::default() };
    let pack = Pack { metadata, segments: sources.collect(), effort, layout, ..Pack::default() };
    let out = folder.path().join("out.rts.png");
    pack.write(&out, &mut |_, _| {}).unwrap();
    fs::read(out).unwrap()
}

fn images() -> Vec<Seed> {
    let one: &[(&str, Role, &[u8])] = &[("kernel", Role::Kernel, b"hello")];
    let three: &[(&str, Role, &[u8])] =
        &[("kernel", Role::Kernel, b"hello"), ("initrd", Role::Initrd, &[0; 9]), ("disk", Role::Disk, b"abc")];
    [
        ("streamable", packed(Layout::default(), Effort::Best, one)),
        ("streamable-3", packed(Layout::default(), Effort::Best, three)),
        ("classic", packed(Layout::Classic, Effort::Best, one)),
        ("classic-3", packed(Layout::Classic, Effort::None, three)),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

fn open() -> Vec<Seed> {
    images()
}

fn chunks() -> Vec<Seed> {
    let text: (&[u8; 4], &[u8]) = (b"tEXt", b"PixelRTS\0PixelRTS{\"data_size\":0}");
    let files = [
        ("late-text", png(4, 4, &[(b"IDAT", b"x"), (b"IDAT", b""), text])),
        (
            "many",
            png(4, 4, &[(b"tIME", &[0; 7]), text, (b"iTXt", b"PixelRTS\0\0\0\0\0x"), (b"rtSX", b"x"), (b"IDAT", b"")]),
        ),
    ];
    images().into_iter().chain(files.map(|(name, bytes)| (name.to_owned(), bytes))).collect()
}

fn metadata() -> Vec<Seed> {
    let hash = "ab".repeat(32);
    let tables = [
        (
            "shape-a",
            format!(
                r#"{{"data_size":30,"segments":{{"kernel":{{"offset":0,"size":10,"sha256":"{hash}","role":"kernel"}},"disk.img":{{"offset":10,"size":20}}}},"hashes":{{"disk.img":"{hash}"}},"cmdline":"quiet"}}"#
            ),
        ),
        (
            "shape-b",
            r#"{"data_size":9,"offsets":{"../a":{"start":0,"end":4},".b":{"start":4,"end":9,"size":5}}}"#.to_owned(),
        ),
        (
            "shape-c",
            r#"{"data_size":9,"segments":{"é":{"size":5}},"encoding":{"type":"RGBA-code"},"grid_size":4}"#.to_owned(),
        ),
        (
            "compression",
            r#"{"compression":{"type":"zlib","original_size":9},"encoded_size":5,"encoding_mode":"RGBA-dense"}"#
                .to_owned(),
        ),
    ];
    let mut seeds: Vec<Seed> =
        tables.iter().map(|(name, json)| (format!("text-{name}"), [b"\x01", json.as_bytes()].concat())).collect();
    let text = format!("PixelRTS{}", tables[0].1);
    let deflated = Deflated::Now.of(text.as_bytes());
    seeds.push(("ztxt".into(), [b"\x02\0", &deflated[..]].concat()));
    seeds.push(("ztxt-now".into(), [b"\x03", text.as_bytes()].concat()));
    seeds.push(("itxt".into(), [b"\x04\0\0en\0key\0", text.as_bytes()].concat()));
    seeds.push(("itxt-deflated".into(), [b"\x04\x01\0\0\0", &deflated[..]].concat()));
    seeds.push(("itxt-now".into(), [b"\x05", text.as_bytes()].concat()));
    seeds.push(("bomb".into(), [b"\x02\0", &Deflated::Now.of(&[b' '; 20_000])[..]].concat()));
    seeds
}

fn index() -> Vec<Seed> {
    let written = |width: u32, rows: u32, strips: u32| {
        let mut data = [&b"RTS1"[..], &width.to_le_bytes(), &rows.to_le_bytes(), &strips.to_le_bytes()].concat();
        data.extend((u64::from(strips) * (1 << 18) - 5).to_le_bytes());
        for strip in 0..strips {
            data.extend(u64::from(1000 + 100 * strip).to_le_bytes());
            data.extend([100_u32.to_le_bytes(), (strip & 3).to_le_bytes()].concat());
            data.extend([7; 32]);
        }
        let size = 1000 + 100 * strips + 30;
        [&1000_u16.to_le_bytes()[..], &size.to_le_bytes(), &data, &[9; 32]].concat()
    };
    [(512, 128, 1), (1024, 64, 3), (16384, 4, 5)].map(|(w, r, n)| (format!("{w}-{n}"), written(w, r, n))).into()
}

fn strip() -> Vec<Seed> {
    let raw = |width: usize, rows: usize| {
        let row = |y: usize| [vec![0], (0..4 * width).map(|x| (x * y) as u8).collect()].concat();
        (0..rows).flat_map(row).collect::<Vec<u8>>()
    };
    let deflated = |raw: &[u8], level: u32| {
        let (mut stream, mut out) =
            (Compress::new(Compression::new(level), false), Vec::with_capacity(2 * raw.len() + 99));
        stream.compress_vec(raw, &mut out, FlushCompress::Full).unwrap();
        out
    };
    let stored = |raw: &[u8]| {
        let length = u16::try_from(raw.len()).unwrap();
        [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), raw, &[0, 0, 0, 0xff, 0xff]].concat()
    };
    let (small, wide, large) = (raw(8, 8), raw(64, 4), vec![0; 128 * (1 + 4 * 512)]);
    [
        ("deflated", [&[0], &deflated(&small, 9)[..]].concat()),
        ("deflated-wide", [&[1], &deflated(&wide, 1)[..]].concat()),
        ("stored", [&[16], &stored(&small)[..]].concat()),
        ("stored-unflagged", [&[2], &stored(&raw(16, 2))[..]].concat()),
        ("stored-tiny", [&[16 | 3], &stored(&raw(4, 1))[..]].concat()),
        ("deflated-medium", [&[4], &deflated(&raw(32, 16), 6)[..]].concat()),
        ("zero-large", [&[8 | 7], &deflated(&large, 9)[..]].concat()),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

fn classic() -> Vec<Seed> {
    let payload = b"a payload that is not long, a payload";
    let (zlib, zstd) = (Deflated::Now.of(payload), compress_to_vec(&payload[..], CompressionLevel::Fastest));
    let size = payload.len();
    let compressed = |stream: &[u8]| {
        format!(r#"{{"compression":{{"type":"zstd","original_size":{size}}},"encoded_size":{}}}"#, stream.len())
    };
    // Sides of 4 and 8 pixels, as rows; then as a stream.
    let part = |choice: u8, json: &str, picture: &[u8]| {
        [&[choice], &u16::try_from(json.len()).unwrap().to_le_bytes()[..], json.as_bytes(), picture].concat()
    };
    let table = r#"{"data_size":37,"segments":{"a":{"offset":0,"size":30},"b":{"offset":30,"size":7}}}"#;
    let code = format!(
        r#"{{"data_size":{size},"encoding_mode":"RGBA-code","original_data_b64":"{}"}}"#,
        STANDARD.encode(payload)
    );
    let rows = [vec![0; 17], vec![1; 17], vec![2; 17], vec![4; 17]].concat();
    [
        ("rows", part(4, table, payload)),
        ("rows-8", part(5, r#"{"data_size":256}"#, payload)),
        ("zlib", part(5, &compressed(&zlib), &zlib)),
        ("zstd", part(5, &compressed(&zstd), &zstd)),
        ("code", part(0, &code, b"")),
        ("filters", part(0, r#"{"data_size":64,"grid_size":4}"#, &Deflated::Now.of(&rows))),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}
