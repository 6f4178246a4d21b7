//! Paired timing: ours, peer, ours, peer, ...

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Odd, so that the median is one of the rounds; 7 is the least that gives extremes a meaning.
pub(super) const ROUNDS: usize = 7;

/// What the rounds gave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paired {
    /// Of the per-round ratios ours / peer, in time.
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    /// Median times, for orientation only.
    pub(super) ours: Duration,
    pub(super) peer: Duration,
}

impl Paired {
    /// The same as speed: how many times as fast as the peer.
    pub(super) fn as_speed(self) -> Self {
        Self { median: 1.0 / self.median, min: 1.0 / self.max, max: 1.0 / self.min, ..self }
    }
}

/// Takes turns. A first round of each, not counted, warms the page cache for both.
pub(super) fn compare(
    mut ours: impl FnMut() -> Result<Duration>,
    mut peer: impl FnMut() -> Result<Duration>,
) -> Result<Paired> {
    ours()?;
    peer()?;
    let rounds = (0..ROUNDS).map(|_| Ok((ours()?, peer()?))).collect::<Result<Vec<_>>>()?;
    let ratios = sorted(rounds.iter().map(|(ours, peer)| ours.as_secs_f64() / peer.as_secs_f64()));
    let median = |times: Vec<f64>| Duration::from_secs_f64(times[times.len() / 2]);
    Ok(Paired {
        median: ratios[ratios.len() / 2],
        min: ratios[0],
        max: ratios[ratios.len() - 1],
        ours: median(sorted(rounds.iter().map(|(ours, _)| ours.as_secs_f64()))),
        peer: median(sorted(rounds.iter().map(|(_, peer)| peer.as_secs_f64()))),
    })
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Runs a command to its end and gives its wall time; anything but exit 0 is an error.
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

/// The most memory a command held, in MiB, as GNU time reads it from the kernel.
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
