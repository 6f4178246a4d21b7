//! Fetching a large image from nginx: download, check and keep it, compared with the commands that do the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pixelrts_testing::nginx::Nginx;
use sha2::{Digest as _, Sha256};

use super::super::backend::command;
use super::super::image::payload;
use super::super::paired::{Paired, rounds, time};
use super::super::report::Row;
use super::super::{BINARY, Bench};

const NAME: &str = "large.rts.png";

/// An image of 268 MB, stored, alone in a folder that a web server can serve.
pub(super) fn image(bench: &Bench) -> Result<PathBuf> {
    let folder = bench.scratch("www");
    std::fs::create_dir_all(&folder)?;
    let random = payload::random(bench)?;
    bench.output("www/large.rts.png", |path| {
        let part = bench.scratch("part");
        let mut bytes = std::io::Read::take(std::fs::File::open(random)?, 256 << 20);
        std::io::copy(&mut bytes, &mut std::fs::File::create(&part)?)?;
        time(&mut payload::pack(&part, &["--compress", "none"], path))?;
        Ok(std::fs::remove_file(part)?)
    })
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let image = image(bench)?;
    let size = image.metadata()?.len();
    let folder = image.parent().context("an image is in a folder")?;
    let nginx = Nginx::with_workers(folder, &bench.scratch("nginx"), "", 2)?;
    let url = format!("{}/{NAME}", nginx.url());
    let digest = crate::command::output("sha256sum", &[&image.to_string_lossy()]).context("sha256sum")?;
    let digest = digest.split(' ').next().unwrap_or_default();
    // Nobody waits for a disk.
    let memory = tempfile::tempdir_in("/dev/shm")?;
    let file = memory.path().join("file");
    let quoted = file.display();
    let shell = |line: String| {
        let mut command = Command::new("sh");
        command.args(["-c", &line]);
        command
    };
    let peer = |mut command: Command| {
        remove(&file)?;
        time(&mut command)
    };
    let ours = |arguments: &[&str], variables: &[(&str, &str)]| {
        let home = memory.path().join("home");
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        time(command(BINARY, &home).args(arguments).envs(variables.iter().copied()))
    };
    let mut aria2 = Command::new("aria2c");
    aria2.args(["--quiet", "--no-conf", "--dir"]).arg(memory.path()).args(["--out", "file"]);
    aria2.arg(format!("--checksum=sha-256={digest}")).arg(&url);
    let bytes = std::fs::read(&image)?;
    let hash = |threads: usize| {
        let since = Instant::now();
        std::thread::scope(|scope| {
            let work = || std::hint::black_box(Sha256::digest(std::hint::black_box(&bytes)));
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().for_each(|worker| drop(worker.join()));
        });
        Ok(since.elapsed())
    };
    let times: [Vec<Duration>; 7] = rounds([
        &mut || ours(&["--quiet", "fetch", &url], &[]),
        &mut || peer(shell(format!("curl -sS -o {quoted} {url} && sha256sum {quoted}"))),
        &mut || peer(shell(format!("curl -sS -o {quoted} {url} && openssl dgst -sha256 {quoted}"))),
        &mut || {
            remove(&file)?;
            time(&mut aria2)
        },
        &mut || peer(shell(format!("curl -sS -o {quoted} {url}"))),
        &mut || hash(1),
        &mut || hash(2),
    ])?;
    let [ours, sha256sum, openssl, aria2, curl, once, twice] = &times;
    let of = |what, goal, ours: &[Duration], peer: &[Duration]| {
        let mut row = Row::paired("W1", what, goal, Paired::of(ours, peer));
        row.note += &format!(", {} MB", size / 1_000_000);
        row
    };
    let row = |what, goal, peer| of(what, goal, ours, peer);
    Ok(vec![
        row("fetch into memory, time against `curl -o F && sha256sum F`", "<= 0.45x", sha256sum),
        row("fetch into memory, time against `curl -o F && openssl dgst -sha256 F`", "<= 0.85x", openssl),
        row("fetch into memory, time against `aria2c --checksum`", "<= 0.25x", aria2),
        row("fetch into memory, time against `curl -o F`, which checks nothing", "<= 1.0x", curl),
        // An image at a bare address is hashed as a whole, which is its identity, and strip by strip, as it promises.
        of("floor: SHA-256 of the same bytes in memory on one core, time against `curl -o F`", "none", once, curl),
        of("floor: the same, time against `aria2c --checksum`", "none", once, aria2),
        row("fetch into memory, time against two SHA-256 of the same bytes on two cores", "none", twice),
    ])
}

fn remove(file: &Path) -> Result<()> {
    if file.exists() {
        std::fs::remove_file(file)?;
    }
    Ok(())
}
