//! Timing in turns: ours, peer, ours, peer, ...

use std::fmt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The number is odd, so that the median is one of the rounds. With fewer than 7, extremes would mean little.
static ROUNDS: AtomicUsize = AtomicUsize::new(7);

/// How many rounds count.
pub(super) fn round_count() -> usize {
    ROUNDS.load(Ordering::Relaxed)
}

/// Lets another number of rounds count in this run.
pub(super) fn set_rounds(rounds: usize) {
    ROUNDS.store(rounds, Ordering::Relaxed);
}

/// The result of all rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paired {
    /// The ratio of the times, ours / peer, over all rounds.
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Median times. They are for orientation only.
    pub(super) ours: Duration,
    pub(super) peer: Duration,
}

impl Paired {
    /// From the times of the same rounds.
    pub(super) fn of(ours: &[Duration], peer: &[Duration]) -> Self {
        let ratios = Spread::of(ours.iter().zip(peer).map(|(ours, peer)| ours.as_secs_f64() / peer.as_secs_f64()));
        let median =
            |times: &[Duration]| Duration::from_secs_f64(Spread::of(times.iter().map(Duration::as_secs_f64)).median);
        let Spread { median: ratio, min, max } = ratios;
        Self { median: ratio, min, max, ours: median(ours), peer: median(peer) }
    }

    /// The ratio as speed: how many times as fast as the peer.
    pub(super) fn as_speed(self) -> Self {
        Self { median: 1.0 / self.median, min: 1.0 / self.max, max: 1.0 / self.min, ..self }
    }
}

/// Several measurements of one thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// There must be at least one value.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self { median: values[values.len() / 2], min: values[0], max: values[values.len() - 1] }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ({:.1} to {:.1})", self.median, self.min, self.max)
    }
}

/// One of the programs that take turns: it does its work and returns how long that took.
pub(super) type Turn<'a> = &'a mut dyn FnMut() -> Result<Duration>;

/// Lets all of them take turns, in this order. A first round is not counted: it fills the page cache for all.
pub(super) fn rounds<const N: usize>(mut turns: [Turn<'_>; N]) -> Result<[Vec<Duration>; N]> {
    let mut times = [const { Vec::new() }; N];
    for round in 0..=round_count() {
        for (turn, times) in turns.iter_mut().zip(&mut times) {
            let time = turn()?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok(times)
}

/// Lets two of them take turns.
pub(super) fn compare(
    mut ours: impl FnMut() -> Result<Duration>,
    mut peer: impl FnMut() -> Result<Duration>,
) -> Result<Paired> {
    let [ours, peer] = rounds([&mut ours, &mut peer])?;
    Ok(Paired::of(&ours, &peer))
}

/// Runs a command to its end and returns how long it took. Anything but exit code 0 is an error.
pub(super) fn time(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    let elapsed = start.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(elapsed)
}

/// The most memory that a command used, in MiB. GNU time reads it from the kernel.
pub(super) fn peak_memory_mib(command: &Command) -> Result<u64> {
    let output = Command::new("/usr/bin/time")
        .args(["-f", "%M"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .output()
        .context("starting /usr/bin/time (Debian package `time`)")?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stderr);
    let kib: u64 =
        text.lines().last().unwrap_or_default().trim().parse().with_context(|| format!("reading {text:?}"))?;
    Ok(kib / 1024)
}

/// A figure of memory that the kernel keeps for a process, for example `VmRSS`, in MiB.
pub(super) fn process_mib(pid: u32, figure: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let line = line.with_context(|| format!("process {pid} has no {figure}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
