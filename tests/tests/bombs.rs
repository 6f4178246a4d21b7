//! Small files with huge claims: each is refused at once, in little memory, and the refusal says why.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use nix::sys::resource::{UsageWho, getrusage};
use pixelrts_shared::ProblemCode::{self, *};
use pixelrts_tests::{Finished, Home};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

/// The limit of address space. malloc and threads reserve far more of it than they use, but a reader that believes a
/// claim of half a gibibyte goes beyond it.
const SPACE: &str = "--as=536870912";
/// The limit of used memory, in KiB. The program itself uses 20 MiB, and the text of an image may have 2 MiB.
const MEMORY: i64 = 64 << 10;
/// The limit of time, on a computer that may be busy with other work.
const TIME: Duration = Duration::from_secs(10);
const MIB: usize = 1 << 20;

type Bomb = (&'static str, Vec<u8>, ProblemCode);

#[tokio::test]
async fn small_files_with_huge_claims_are_refused_at_once_in_little_memory() -> Result<()> {
    let home = Home::new()?;
    let mut faults = Vec::new();
    for make in BOMBS {
        let (name, file, code) = make();
        let path = home.path().join(format!("{}.rts.png", name.replace(' ', "-")));
        println!("{name}: {} bytes", file.len());
        std::fs::write(&path, file)?;
        for command in ["inspect", "verify"] {
            if let Err(error) = refused(&home, command, &path.to_string_lossy(), code).await {
                faults.push(format!("{command} {name}: {error:#}"));
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

async fn refused(home: &Home, command: &str, path: &str, code: ProblemCode) -> Result<()> {
    // The kernel reports the largest of all children until now, so only an increase counts.
    let memory = || Ok::<_, anyhow::Error>(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss());
    let (since, before) = (Instant::now(), memory()?);
    let finished = bounded(home, &["--json", command, path]).await?;
    let (took, most) = (since.elapsed(), memory()?);
    let problem = finished.problem(code.exit_code().into())?;
    println!("    {command}: {took:?}, {most} KiB at most until now; {}", problem.why);
    ensure!(problem.code == code, "{problem}");
    // The refusal names what was found and what was expected.
    let says = [
        ["expected ", "found "],
        [" is ", "the limit is "],
        ["ends at byte ", "the file at byte "],
        ["a PNG file", "without the metadata of an image"],
    ];
    ensure!(says.iter().any(|words| words.iter().all(|word| problem.why.contains(word))), "{}", problem.why);
    ensure!(problem.why.len() < 1000, "{} bytes of why", problem.why.len());
    ensure!(took < TIME, "it took {took:?}");
    ensure!(most < MEMORY || most == before, "{most} KiB of memory");
    Ok(())
}

/// Runs a command with limited address space.
async fn bounded(home: &Home, arguments: &[&str]) -> Result<Finished> {
    let plain = home.command(arguments);
    let plain = plain.as_std();
    let mut command = Command::new("prlimit");
    command.arg(SPACE).arg(plain.get_program()).args(plain.get_args()).current_dir(home.path()).kill_on_drop(true);
    for (key, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    // Otherwise every thread would reserve 64 MiB, whatever it uses.
    let output = command.env("MALLOC_ARENA_MAX", "1").stdin(Stdio::null()).output().await.context("prlimit")?;
    output.try_into()
}

/// Functions, so that only one file at a time is in memory.
const BOMBS: &[fn() -> Bomb] = &[
    || ("zTXt that inflates to 256 MiB", text(b"zTXt", b"PixelRTS\0\0", &zeros(256 * MIB)), ImageTooLarge),
    || ("iTXt that inflates to 256 MiB", text(b"iTXt", b"PixelRTS\0\x01\0\0\0", &zeros(256 * MIB)), ImageTooLarge),
    || {
        let blank = zlib(&mut std::iter::repeat_n(&[b' '; MIB][..], 2));
        let texts = vec![(b"zTXt", [b"PixelRTS\0\0", &blank[..]].concat()); 900];
        ("900 texts of 2 MiB each", png(4, 4, &[texts, vec![(b"IDAT", vec![])]].concat()), ImageTooLarge)
    },
    || ("a side of 2147483648", classic(1 << 31, r#"{"data_size":9}"#, b""), ImageMalformed),
    || ("a side of 2147483647", classic(i32::MAX as u32, r#"{"data_size":9}"#, b""), ImageTooLarge),
    || ("a side of 65536", classic(1 << 16, r#"{"data_size":9}"#, &zeros(MIB)), ImageTooLarge),
    || ("a picture of 1 GiB that is not there", classic(1 << 14, r#"{"data_size":1073741824}"#, b"x"), ImageMalformed),
    || ("a payload of 1 EiB", classic(4, r#"{"data_size":1152921504606846976}"#, b"x"), ImageTooLarge),
    || {
        let picture = zeros((1 << 30) + (1 << 14));
        ("a picture of 1 GiB for 9 bytes", classic(1 << 14, &hashed(r#""data_size":9"#), &picture), HashMismatch)
    },
    || {
        let picture = zeros((1 << 30) + (1 << 14));
        ("a picture of 1 GiB", classic(1 << 14, &hashed(r#""data_size":1073741824"#), &picture), HashMismatch)
    },
    || ("a zlib stream of 256 MiB for 1000 bytes", compressed(1000, &zeros(256 * MIB)), ImageMalformed),
    || ("a zlib stream of 1 GiB", compressed(1 << 30, &zeros(1 << 30)), HashMismatch),
    || ("a zstd frame of 256 MiB for 1000 bytes", compressed(1000, &zstd(18, 256 * MIB)), ImageMalformed),
    || ("a zstd frame of 1 GiB", compressed(1 << 30, &zstd(20, 1 << 30)), HashMismatch),
    || ("a zstd window of 1 GiB", compressed(64 * MIB, &zstd(30, 64 * MIB)), ImageMalformed),
    || {
        let mut index = head_of_index(512, u32::MAX);
        index.extend([0; 48]);
        ("an index of 4294967295 strips", streamable(index, vec![]), ImageMalformed)
    },
    || ("an index of 16 MiB and more", streamable(vec![0; 16 * MIB], vec![]), ImageTooLarge),
    || ("an index longer than the file", overlong(), ImageTruncated),
    || ("an index of 349000 strips, the last of which is not there", vast(), ImageTruncated),
    || {
        let entries =
            (0..100_000).map(|n| format!(r#""a{n}":{{"offset":{n},"size":1}}"#)).collect::<Vec<_>>().join(",");
        ("100000 segments", zipped(&format!(r#"{{"data_size":100000,"segments":{{{entries}}}}}"#)), ImageTooLarge)
    },
    || {
        let entries = (0..70_000).map(|n| format!(r#""{n:x}":{{"offset":0,"size":9}}"#)).collect::<Vec<_>>().join(",");
        (
            "70000 segments that overlap",
            zipped(&format!(r#"{{"data_size":9,"segments":{{{entries}}}}}"#)),
            ImageMalformed,
        )
    },
    || {
        let values = vec![r#"{"":0}"#; 290_000].join(",");
        ("290000 objects in the metadata", zipped(&format!(r#"{{"data_size":-1,"x":[{values}]}}"#)), ImageMalformed)
    },
    || {
        let values = vec![r#"{"":0}"#; 290_000].join(",");
        (
            "290000 objects in a segment",
            zipped(&format!(r#"{{"data_size":9,"segments":{{"a":[{values}]}}}}"#)),
            ImageMalformed,
        )
    },
    || {
        let name = "n".repeat(MIB);
        (
            "a name of 1 MiB",
            zipped(&format!(r#"{{"data_size":9,"segments":{{"{name}":{{"size":9}}}}}}"#)),
            ImageMalformed,
        )
    },
    || ("a million brackets", zipped(&format!(r#"{{"data_size":9,"x":{}"#, "[".repeat(MIB))), NotAnImage),
    || {
        let text = "QUFB".repeat(500_000);
        let json = format!(r#"{{"data_size":5,"encoding_mode":"RGBA-code","original_data_b64":"{text}"}}"#);
        ("Base64 of 1.5 MB for 5 bytes", zipped(&json), ImageMalformed)
    },
];

fn hashed(what: &str) -> String {
    format!(r#"{{{what},"data_hash":"{}"}}"#, "0".repeat(64))
}

fn classic(side: u32, json: &str, picture: &[u8]) -> Vec<u8> {
    let text = [b"PixelRTS\0PixelRTS", json.as_bytes()].concat();
    png(side, side, &[(b"tEXt", text), (b"IDAT", picture.to_vec())])
}

/// A small picture whose metadata is a deflated text.
fn zipped(json: &str) -> Vec<u8> {
    text(b"zTXt", b"PixelRTS\0\0", &zlib(&mut std::iter::once(&[b"PixelRTS", json.as_bytes()].concat()[..])))
}

fn text(kind: &'static [u8; 4], head: &[u8], deflated: &[u8]) -> Vec<u8> {
    png(4, 4, &[(kind, [head, deflated].concat()), (b"IDAT", zeros(4 * 17))])
}

/// A picture that holds a compressed payload.
fn compressed(size: usize, stream: &[u8]) -> Vec<u8> {
    let side = (1..).map(|order| 1_usize << order).find(|side| 4 * side * side >= stream.len()).expect("it is small");
    let place = |k: usize| {
        let (x, y) = hilbert(side, k / 4);
        y * (1 + 4 * side) + 1 + 4 * x + k % 4
    };
    let mut rows = vec![0; side * (1 + 4 * side)];
    for (k, byte) in stream.iter().enumerate() {
        rows[place(k)] = *byte;
    }
    let json = format!(r#""compression":{{"original_size":{size}}},"encoded_size":{}"#, stream.len());
    classic(u32::try_from(side).expect("it is small"), &hashed(&json), &zlib(&mut std::iter::once(&rows[..])))
}

/// The Hilbert curve, as `docs/FORMAT.md`, 1.4, defines it.
fn hilbert(side: usize, mut t: usize) -> (usize, usize) {
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

fn head_of_index(width: u32, strips: u32) -> Vec<u8> {
    let words = [width, 65_536 / width, strips].map(u32::to_le_bytes).concat();
    [&b"RTS1"[..], &words, &(u64::from(strips) << 18).to_le_bytes()].concat()
}

/// An image whose digest is right, but whose index is not.
fn streamable(mut index: Vec<u8>, picture: Vec<u8>) -> Vec<u8> {
    let text = b"PixelRTS\0PixelRTS{\"data_size\":9}".to_vec();
    let digest = Sha256::new().chain_update(&index).chain_update(&text).finalize();
    index.reserve_exact(digest.len());
    index.extend(&digest[..]);
    png(512, 128, &[(b"tEXt", text), (b"rtSX", index), (b"IDAT", picture)])
}

/// Nearly the longest index that there can be.
fn vast() -> Vec<u8> {
    const STRIPS: u32 = 349_000;
    let mut index = Vec::with_capacity(16 * MIB);
    index.extend(head_of_index(16_384, STRIPS));
    for strip in 0..u64::from(STRIPS) {
        index.extend((17_000_000 + 12 * strip).to_le_bytes());
        index.extend([12_u32.to_le_bytes(), [0; 4]].concat());
        index.extend([0; 32]);
    }
    // The file ends within the last 100 strips.
    streamable(index, vec![0; 4_435_000])
}

/// The length of the index in its chunk is a lie.
fn overlong() -> Vec<u8> {
    let mut file = streamable(vec![], vec![]);
    let at = file.windows(4).position(|window| window == b"rtSX").expect("it has an index") - 4;
    file[at..at + 4].copy_from_slice(&(15_u32 << 20).to_be_bytes());
    file
}

fn png(width: u32, height: u32, chunks: &[(&'static [u8; 4], Vec<u8>)]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let mut file = Vec::with_capacity(99 + chunks.iter().map(|(_, data)| 12 + data.len()).sum::<usize>());
    file.extend(b"\x89PNG\r\n\x1a\n");
    for (kind, data) in [(b"IHDR", header)].iter().chain(chunks).chain(&[(b"IEND", vec![])]) {
        let mut crc = flate2::Crc::new();
        crc.update(*kind);
        crc.update(data);
        file.extend(u32::try_from(data.len()).expect("chunks are small").to_be_bytes());
        file.extend(*kind);
        file.extend(data);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

fn zeros(count: usize) -> Vec<u8> {
    zlib(&mut (0..count.div_ceil(MIB)).map(|mib| &[0; MIB][..MIB.min(count - mib * MIB)]))
}

fn zlib(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for piece in pieces {
        encoder.write_all(piece).expect("a Vec takes all bytes");
    }
    encoder.finish().expect("a Vec takes all bytes")
}

/// A frame of zeros: blocks of 128 KiB in four bytes each, with a window of 2 to this power.
fn zstd(window: u8, count: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3];
    let blocks = count >> 17;
    for block in 1..=blocks {
        let header: u32 = 1 << 20 | 1 << 1 | u32::from(block == blocks);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}
