//! Reads a file as programs do, and makes the kernel drop its pages.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

const PAGE: usize = 4096;
/// The range of random reads: half of what a reader keeps decoded, so that everything is decoded once.
const WORKING_SET: u64 = 2 << 20;
/// The bytes that our reader decodes at once; a squashfs decodes half of that.
const STRIP: u64 = 256 << 10;

/// Reads a file from front to back, 1 MiB at a time.
pub(super) fn sequential(path: &Path) -> Result<Duration> {
    let (start, mut buffer, mut done) = (Instant::now(), vec![0; 1 << 20], 0);
    let mut file = File::open(path)?;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => done += count as u64,
        }
    }
    let elapsed = start.elapsed();
    ensure!(done == file.metadata()?.len(), "{}: {done} bytes read", path.display());
    Ok(elapsed)
}

/// Allocates as much memory as a file here has, and frees it. A virtual machine returns memory that was free for some
/// seconds to its host, and the next program that needs memory waits for it. That should not be the measured one.
pub(super) fn warm() {
    drop(std::hint::black_box(vec![1_u8; usize::try_from(super::payload::SIZE).unwrap_or_default()]));
}

/// Makes the kernel drop the file's pages.
pub(super) fn forget(path: &Path) -> Result<()> {
    Ok(posix_fadvise(File::open(path)?, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
}

/// The median time to read one page whose strip is decoded already, but which the kernel does not have. Every page of a
/// working set is read once, in random order and without read-ahead. The pages that decode the strips do not count.
pub(super) fn random(path: &Path) -> Result<Duration> {
    let file = File::open(path)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM)?;
    let base = (file.metadata()?.len() / 2).next_multiple_of(STRIP);
    let mut page = [0; PAGE];
    for strip in (0..WORKING_SET).step_by(usize::try_from(STRIP)?) {
        file.read_exact_at(&mut page, base + strip)?;
    }
    let pages = WORKING_SET / PAGE as u64;
    // An odd step visits each of a power of two once.
    let order = (0..pages).map(|number| number * 205 % pages * PAGE as u64).filter(|at| !at.is_multiple_of(STRIP));
    let mut times = Vec::new();
    for at in order {
        let start = Instant::now();
        file.read_exact_at(&mut page, base + at)?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}
