//! A disk that is larger than any buffer costs room only for its content, and no more memory than a small one.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts_tests::{DEADLINE, Home, until};

const SIZE: u64 = 4 << 30;
/// The number of bytes at each place. They begin and end inside of strips.
const LENGTH: usize = 3_000_001;
/// The last one ends with the disk.
const PLACES: [u64; 4] = [12_345, (1 << 30) - 1_000_000, 3_221_225_473, SIZE - LENGTH as u64];
const PIECE: usize = 4096;

/// The largest resident memory of any command so far.
fn peak_mib() -> Result<i64> {
    Ok(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() / 1024)
}

#[tokio::test]
async fn a_sparse_disk_of_4_gib_is_packed_checked_read_and_unpacked_in_little_memory() -> Result<()> {
    let home = Home::new()?;
    let at = |name: &str| home.path().join(name);
    let disk = File::options().read(true).write(true).create(true).truncate(true).open(at("disk"))?;
    disk.set_len(SIZE)?;
    let mut random = random();
    for place in PLACES {
        let noise: Vec<u8> = std::iter::repeat_with(|| random().to_le_bytes()[5]).take(LENGTH).collect();
        disk.write_all_at(&noise, place)?;
    }
    fs::write(at("kernel"), "kernel")?;

    for command in ["pack --kernel kernel --disk disk -o image", "verify --deep image", "unpack image out"] {
        let started = Instant::now();
        let finished = home.run(&command.split(' ').collect::<Vec<_>>()).await?;
        // A line is due every 5 seconds, but a command that ends just then need not print it.
        let lines = finished.stderr.lines().filter(|line| line.contains(" left")).count();
        ensure!(started.elapsed() < Duration::from_secs(8) || lines > 0, "{command} says nothing: {finished:?}");
        finished.good()?;
        ensure!(peak_mib()? < 256, "{command}: {} MiB", peak_mib()?);
    }
    ensure!(at("image").metadata()?.len() < 30 << 20, "zeros take room in the image");
    let unpacked = File::open(at("out/disk"))?;
    // `unpack` checked the hash, so what has no blocks is zero in both files.
    let (metadata, most) = (unpacked.metadata()?, PLACES.len() as u64 * (LENGTH as u64 + (1 << 20)));
    ensure!(metadata.len() == SIZE && metadata.blocks() * 512 < most, "{metadata:?}");

    let arguments = ["mount", "--foreground", "image", "mnt"];
    let mut mount = home.command(&arguments).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    until("it is mounted", async || Ok(at("mnt/disk").is_file().then_some(()))).await?;
    let mounted = File::open(at("mnt/disk"))?;
    for turn in 0..400_usize {
        // Every other read is at a place that has bytes.
        let near = PLACES[turn / 2 % PLACES.len()] + random() % LENGTH as u64;
        let offset = if turn % 2 == 0 { random() % SIZE } else { near }.min(SIZE - PIECE as u64);
        let mut found = [[0; PIECE]; 3];
        for (file, found) in [&disk, &unpacked, &mounted].into_iter().zip(&mut found) {
            file.read_exact_at(found, offset)?;
        }
        ensure!(found[0] == found[1] && found[0] == found[2], "other bytes at {offset}");
    }
    drop(mounted);
    kill(Pid::from_raw(i32::try_from(mount.id().unwrap_or_default())?), Signal::SIGTERM)?;
    ensure!(tokio::time::timeout(DEADLINE, mount.wait()).await??.success());
    ensure!(peak_mib()? < 256, "mount: {} MiB", peak_mib()?);
    home.expect_no_machine().await
}

/// The same numbers every time.
fn random() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}
