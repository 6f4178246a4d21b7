//! `cargo xtask fuzz`: throws hostile images at the reader, guided by coverage.
//!
//! The targets and the files that they begin with are in `tests/fuzz`. Inputs that reach new code are kept in
//! `target/fuzz-corpus`, so that a later run continues from there. The flags are those of cargo-fuzz without a
//! sanitizer: there is no `unsafe` in the reader, and this way the stable compiler is enough.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::command::{cargo, finish, output};
use crate::steps::Steps;

/// The files that fuzzing begins with, in one folder per target.
const SEEDS: &str = "tests/fuzz/corpus";
const FOUND: &str = "target/fuzz-corpus";
const CRASHES: &str = "target/fuzz-crashes";
/// They count coverage in our crates and in those that decode for them, and let every checksum pass.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The targets to run; all of them when none is named
    targets: Vec<String>,
    /// How many inputs each target gets; without --runs and --seconds, each target runs for 10 seconds
    #[arg(long)]
    runs: Option<u64>,
    /// How many seconds each target runs
    #[arg(long)]
    seconds: Option<u64>,
    /// How many targets run at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Run one input again, for example one that crashed a target
    #[arg(long, conflicts_with_all = ["runs", "seconds"])]
    input: Option<PathBuf>,
}

/// What libFuzzer reports at the end of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    runs: u64,
    per_second: u64,
    /// Places in the code that were reached; features also count how often.
    coverage: u64,
    features: u64,
    /// The input that crashed the target.
    crash: Option<String>,
}

/// Runs each target for ten seconds with the same seed, as many at once as this computer has processors.
pub(crate) fn briefly(steps: &mut Steps) -> Result<()> {
    let jobs = std::thread::available_parallelism()?.get();
    fuzz(steps, &Options { targets: Vec::new(), runs: None, seconds: Some(10), jobs, input: None })
}

pub(crate) fn fuzz(steps: &mut Steps, options: &Options) -> Result<()> {
    let known = targets()?;
    for name in &options.targets {
        ensure!(known.contains(name), "there is no target {name}; there are {}", known.join(", "));
    }
    let targets = if options.targets.is_empty() { known } else { options.targets.clone() };
    let program = steps.run("build the fuzz targets", build)?;
    if let Some(input) = &options.input {
        let [target] = &targets[..] else { anyhow::bail!("--input needs the name of exactly one target") };
        return finish(Command::new(program).env("PIXELRTS_FUZZ", target).arg(input));
    }
    steps.run("fuzz", || {
        let reports = run_all(&program, targets, options)?;
        println!("{:<10} {:>10} {:>8} {:>8} {:>8}  crash", "target", "runs", "per s", "coverage", "features");
        for (target, Report { runs, per_second, coverage, features, crash }) in &reports {
            let crash = crash.as_deref().unwrap_or("none");
            println!("{target:<10} {runs:>10} {per_second:>8} {coverage:>8} {features:>8}  {crash}");
        }
        let crashes = reports.iter().filter_map(|(target, report)| Some((target, report.crash.as_ref()?)));
        let again: Vec<_> =
            crashes.map(|(target, crash)| format!("cargo xtask fuzz {target} --input {crash}")).collect();
        ensure!(again.is_empty(), "there are crashes; to see one again:\n{}", again.join("\n"));
        Ok(())
    })
}

fn targets() -> Result<Vec<String>> {
    let folders = fs::read_dir(SEEDS).context(SEEDS)?;
    let mut names =
        folders.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn build() -> Result<PathBuf> {
    let host =
        output("rustc", &["--print", "host-tuple"]).context("rustc does not name the computer that it compiles for")?;
    // With a named target, the flags do not apply to build scripts and macros.
    let what = ["build", "--locked", "--profile", "fuzz", "--package", "pixelrts-fuzz", "--features", "libfuzzer"];
    finish(cargo(&what).args(["--target", &host, "--target-dir", "target/fuzz"]).env("RUSTFLAGS", FLAGS))?;
    Ok(Path::new("target/fuzz").join(host).join("fuzz/pixelrts-fuzz"))
}

fn run_all(program: &Path, targets: Vec<String>, options: &Options) -> Result<Vec<(String, Report)>> {
    let (waiting, done) = (Mutex::new(VecDeque::from(targets)), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let report = run(program, &target, options);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((target, report));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by(|(a, _), (b, _)| a.cmp(b));
    done.into_iter().map(|(target, report)| Ok((target, report?))).collect()
}

/// An input may take 10 s, and the program 512 MiB of memory. An input that takes more counts as a crash.
fn run(program: &Path, target: &str, options: &Options) -> Result<Report> {
    let (found, crashes) = (Path::new(FOUND).join(target), Path::new(CRASHES).join(target));
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&crashes)?;
    let mut command = Command::new(program);
    command.env("PIXELRTS_FUZZ", target).args(["-seed=1", "-timeout=10", "-rss_limit_mb=512", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", crashes.display()));
    if let Some(runs) = options.runs {
        command.arg(format!("-runs={runs}"));
    }
    if let Some(seconds) = options.seconds.or(options.runs.is_none().then_some(10)) {
        command.arg(format!("-max_total_time={seconds}"));
    }
    command.arg(found).arg(Path::new(SEEDS).join(target));
    let ended =
        command.stdout(Stdio::null()).output().with_context(|| format!("cannot start {}", program.display()))?;
    let log = String::from_utf8_lossy(&ended.stderr);
    fs::write(crashes.join("log"), &*log)?;
    let report = read(&log);
    let complete = ended.status.success() && report.runs > 0;
    ensure!(
        complete || report.crash.is_some(),
        "{target} ended with {} after {} runs:\n{log}",
        ended.status,
        report.runs
    );
    Ok(report)
}

fn read(log: &str) -> Report {
    let mut report = Report::default();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("stat::number_of_executed_units:") => report.runs = last(line),
            Some("stat::average_exec_per_sec:") => report.per_second = last(line),
            Some(number) if number.starts_with('#') => {
                let words: Vec<_> = words.collect();
                let after =
                    |key| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1)?.parse().ok());
                report.coverage = after("cov:").unwrap_or(report.coverage);
                report.features = after("ft:").unwrap_or(report.features);
            }
            _ => {}
        }
        if let Some((_, file)) = line.split_once("Test unit written to ") {
            report.crash = Some(file.to_owned());
        }
    }
    report
}

fn last(line: &str) -> u64 {
    line.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_run_is_read() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 9 ft: 9 corp: 1/1b exec/s: 0 rss: 28Mb\n\
                   #8113\tDONE   cov: 160 ft: 188 corp: 21/2990b lim: 326 exec/s: 737 rss: 29Mb\n\
                   stat::number_of_executed_units: 8113\nstat::average_exec_per_sec:     737\n";
        let good = Report { runs: 8113, per_second: 737, coverage: 160, features: 188, crash: None };
        assert_eq!(read(log), good);
        let bad = format!("{log}artifact_prefix='x/'; Test unit written to x/crash-1\nBase64: AA==\n");
        assert_eq!(read(&bad), Report { crash: Some("x/crash-1".into()), ..good });
    }
}
