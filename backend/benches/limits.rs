//! What this computer can do at all, in memory and on one core, and what the Hilbert curve costs. Run by
//! `cargo xtask bench image`, which sets other figures beside these.
//!
//! `limits IMAGE` prints a line for each: its name, the bytes it worked on, and the seconds of every round.

use std::hint::black_box;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use flate2::{Compression, Crc, Decompress, FlushDecompress};
use pixelrts::blob::FileBlob;
use pixelrts::image::internals::{Mapping, Strips};
use pixelrts::image::{Image, Limits};
use sha2::{Digest, Sha256};

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 7;
/// Larger than any cache.
const SAMPLE: usize = 64 << 20;
const STRIP: usize = 256 << 10;
/// The shape of strips of an image of 512 MiB.
const WIDTH: u32 = 8192;
const ROWS: u32 = 8;

fn main() -> Result<(), Failure> {
    // Cargo adds an option of its own.
    let image = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: limits IMAGE")?;
    let opened = Image::open_file(&image, &Limits::default())?;
    let segment = opened.segments().first().ok_or("no segment")?;
    let mut sample = vec![0; SAMPLE];
    if opened.read_at(segment, &mut sample, 0)? < SAMPLE {
        return Err("the image is too small".into());
    }
    drop(opened);
    let zlib = |level| {
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), level);
        packed.write_all(&sample).and_then(|()| packed.finish())
    };
    let (stored, level_6) = (zlib(Compression::none())?, zlib(Compression::new(6))?);
    let mut out = vec![0; SAMPLE];
    let mut inflate = |packed: &[u8]| {
        let status = Decompress::new(true).decompress(packed, &mut out, FlushDecompress::Finish);
        assert!(matches!(status, Ok(flate2::Status::StreamEnd)), "{status:?}");
    };
    let (hilbert, linear) = (Mapping::hilbert(WIDTH).ok_or("width")?, Mapping::linear(WIDTH).ok_or("width")?);
    let raw = vec![7; hilbert.raw_len()];
    let mut copy = vec![0; SAMPLE];
    let mut payload = vec![0; STRIP];
    let mut gather = |mapping: &Mapping| {
        for _ in 0..SAMPLE / STRIP {
            mapping.gather(black_box(&raw), &mut payload);
            black_box(&payload);
        }
    };
    let mut strips = Strips::open(Box::new(FileBlob::open(&image)?), &Limits::default())?.ok_or("no strips")?;
    let (curve, rows) =
        (Mapping::hilbert(strips.width()).ok_or("width")?, Mapping::linear(strips.width()).ok_or("width")?);
    let mut touched = |mapping: &Mapping| strips.touch(mapping);

    let mut lines: Vec<(&str, u64, Vec<f64>)> = Vec::new();
    for round in 0..=ROUNDS {
        let mut step = |name: &'static str, work: &mut dyn FnMut() -> Result<u64, Failure>| -> Result<(), Failure> {
            let start = Instant::now();
            let bytes = work()?;
            let elapsed = start.elapsed().as_secs_f64();
            // The first round warms everything.
            match lines.iter_mut().find(|line| line.0 == name) {
                _ if round == 0 => {}
                Some(line) => line.2.push(elapsed),
                None => lines.push((name, bytes, vec![elapsed])),
            }
            Ok(())
        };
        let all = SAMPLE as u64;
        step("memcpy", &mut || {
            copy.copy_from_slice(black_box(&sample));
            Ok(all)
        })?;
        step("crc32", &mut || {
            let mut crc = Crc::new();
            crc.update(black_box(&sample));
            black_box(crc.sum());
            Ok(all)
        })?;
        step("adler32", &mut || {
            black_box(simd_adler32::adler32(&black_box(&sample).as_slice()));
            Ok(all)
        })?;
        step("sha256", &mut || {
            black_box(Sha256::digest(black_box(&sample)));
            Ok(all)
        })?;
        step("inflate-stored", &mut || {
            inflate(&stored);
            Ok(all)
        })?;
        step("inflate-6", &mut || {
            inflate(&level_6);
            Ok(all)
        })?;
        step("deflate-1", &mut || {
            let mut packed = flate2::read::ZlibEncoder::new(&sample[..SAMPLE / 4], Compression::fast());
            std::io::copy(&mut packed.by_ref(), &mut std::io::sink())?;
            Ok(all / 4)
        })?;
        step("hilbert", &mut || {
            gather(&hilbert);
            Ok(all)
        })?;
        step("linear", &mut || {
            gather(&linear);
            Ok(all)
        })?;
        step("fast_hilbert", &mut || {
            for strip in copy.chunks_exact_mut(STRIP) {
                per_pixel(black_box(&raw), strip);
            }
            Ok(all)
        })?;
        step("touch-hilbert", &mut || Ok(touched(&curve)?))?;
        step("touch-linear", &mut || Ok(touched(&rows)?))?;
    }
    for (name, bytes, times) in lines {
        let times: Vec<_> = times.iter().map(|time| format!("{time:.9}")).collect();
        println!("{name} {bytes} {}", times.join(" "));
    }
    Ok(())
}

/// The same as `gather`, with the place of every pixel computed by the crate.
fn per_pixel(raw: &[u8], payload: &mut [u8]) {
    let (tile, stride) = ((4 * ROWS * ROWS) as usize, (1 + 4 * WIDTH) as usize);
    for (number, bytes) in payload.chunks_exact_mut(tile).enumerate() {
        let raw = &raw[number * 4 * ROWS as usize..];
        for (pixel, place) in bytes.chunks_exact_mut(4).zip(0..) {
            let (x, y): (u32, u32) = fast_hilbert::h2xy(place, 3);
            pixel.copy_from_slice(&raw[y as usize * stride + 1 + 4 * x as usize..][..4]);
        }
    }
}
