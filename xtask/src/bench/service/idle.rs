//! The first start on a computer, a start with nothing to do, the first answers, and the memory of a backend at rest.
//!
//! All of this is measured with the release binary. The times of the bootstrap phase are those that it logs; the others
//! are from the start of the process to the last byte of the answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::paired::{ROUNDS, Spread, process_mib};
use super::super::report::Row;
use super::super::{BINARY, Bench};

const IMAGES: usize = 1000;
/// A backend is at rest when it had no request for so long.
const REST: Duration = Duration::from_secs(2);

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let images = images(&bench.scratch("images"))?;
    let home = bench.scratch("home");
    let (mut cold, mut cold_answer, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        let backend = Backend::start(&home, &images)?;
        backend.get("/api/v1/health")?;
        cold_answer.push(backend.since());
        cold.push(backend.stop()?.bootstrap(&home)?);
    }
    // The first start reads all images.
    let backend = Backend::start(&home, &images)?;
    backend.catalog()?;
    backend.stop()?;
    let (mut first, mut all) = (Vec::new(), Vec::new());
    let mut rest = Vec::new();
    for _ in 0..ROUNDS {
        let backend = Backend::start(&home, &images)?;
        backend.get("/api/v1/health")?;
        first.push(backend.since());
        backend.catalog()?;
        all.push(backend.since());
        std::thread::sleep(REST);
        rest.push(backend.memory()?);
        let stopped = backend.stop()?;
        ensure!(stopped.log(&home)?.contains("no actions needed"), "a start had something to do");
        nothing.push(stopped.bootstrap(&home)?);
    }
    let row = |what, goal, unit, values: Vec<f64>| {
        let Spread { median, min, max } = Spread::of(values.into_iter());
        let measured = format!("{median:.1} {unit} ({min:.1} to {max:.1})");
        Row { id: "F1", what, goal, measured, note: format!("median of {ROUNDS}, {IMAGES} images") }
    };
    Ok(vec![
        row("backend at rest, resident memory, images known", "<= 25 MiB", "MiB", rest),
        row("start of the process to the first answer (health), images known", "<= 150 ms", "ms", first),
        row("start of the process to the catalog with all images, images known", "none", "ms", all),
        row("bootstrap phase with nothing to do", "<= 100 ms", "ms", nothing),
        row("bootstrap phase on an empty home (files of the system in memory)", "<= 1000 ms", "ms", cold),
        row("start of the process on an empty home to the first answer", "<= 5000 ms", "ms", cold_answer),
    ])
}

/// Small images that differ in every byte of their payload.
fn images(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let payload = folder.join(".payload");
    let mut state = 1_u32;
    for number in 0..IMAGES {
        let bytes = (0..16 << 10).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        std::fs::write(&payload, bytes.collect::<Vec<u8>>())?;
        let mut pack = Command::new(BINARY);
        pack.args(["--quiet", "pack", "--kernel"]).arg(&payload);
        pack.args(["--name", &format!("Image {number}"), "-o"]).arg(folder.join(format!("image-{number}.rts.png")));
        ensure!(pack.stdout(Stdio::null()).status()?.success(), "packing a small image failed");
    }
    std::fs::remove_file(payload)?;
    Ok(folder.to_owned())
}

struct Backend {
    child: Child,
    began: Instant,
    /// `127.0.0.1:PORT`
    address: String,
}

/// A backend that has ended. Its log is in the home.
struct Stopped;

impl Backend {
    fn start(home: &Path, images: &Path) -> Result<Self> {
        std::fs::create_dir_all(home)?;
        let home = std::path::absolute(home)?;
        let mut command = Command::new(BINARY);
        command.args(["--json", "serve", "--listen", "127.0.0.1:0", "--catalog"]).arg(images).env("HOME", &home);
        for kind in ["CACHE_HOME", "STATE_HOME", "CONFIG_HOME", "RUNTIME_DIR"] {
            command.env(format!("XDG_{kind}"), home.join(kind.to_lowercase()));
        }
        let log = std::fs::File::create(home.join("log"))?;
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().context(BINARY)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("standard output is piped")?).read_line(&mut line)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next());
        let address = address.with_context(|| format!("the backend prints no address: {line}"))?.to_owned();
        Ok(Self { child, began, address })
    }

    /// The time since the start of the process, in milliseconds.
    fn since(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer:.200}");
        Ok(answer)
    }

    fn catalog(&self) -> Result<()> {
        let catalog = self.get("/api/v1/catalog")?;
        let entries = catalog.matches("\"index_sha256\"").count();
        ensure!(entries == IMAGES, "the catalog has {entries} entries");
        Ok(())
    }

    /// The resident memory, in MiB.
    fn memory(&self) -> Result<f64> {
        process_mib(self.child.id(), "VmRSS")
    }

    fn stop(mut self) -> Result<Stopped> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the backend ended with {status}");
        Ok(Stopped)
    }
}

impl Stopped {
    fn log(&self, home: &Path) -> Result<String> {
        Ok(std::fs::read_to_string(home.join("log"))?)
    }

    /// How long the bootstrap phase took, as it logs it, in milliseconds.
    fn bootstrap(&self, home: &Path) -> Result<f64> {
        let log = self.log(home)?;
        let line = log
            .lines()
            .find_map(|line| line.split("Bootstrap phase: ").nth(1))
            .context("the backend logs no bootstrap phase")?;
        let words: Vec<_> = line.split(' ').collect();
        let at = words.iter().position(|word| *word == "ms").context("no time in ms")?;
        words[..at].last().context("no number")?.parse().with_context(|| line.to_owned())
    }
}
