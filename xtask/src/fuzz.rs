//! `cargo xtask fuzz`: hostile images against the reader, guided by coverage.
//!
//! The targets are in `tests/fuzz`, and so are the files they begin with; what they find on the way is kept in
//! `target/fuzz-corpus`, so that a later run goes on from there. The flags are those of cargo-fuzz without a
//! sanitizer, which needs no nightly compiler: there is no `unsafe` in the reader.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::command::{cargo, finish, output};
use crate::steps::Steps;

/// A folder of files per target.
const SEEDS: &str = "tests/fuzz/corpus";
const FOUND: &str = "target/fuzz-corpus";
const CRASHES: &str = "target/fuzz-crashes";
/// Coverage in all of our crates and of those that they decode with; every checksum passes.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// All of them, when none is named
    targets: Vec<String>,
    /// Inputs per target; without --runs and --seconds, 10 seconds
    #[arg(long)]
    runs: Option<u64>,
    /// Seconds per target
    #[arg(long)]
    seconds: Option<u64>,
    /// Targets at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Run one input, which a target stumbled over, once more
    #[arg(long, conflicts_with_all = ["runs", "seconds"])]
    input: Option<PathBuf>,
}

/// What libFuzzer says at the end of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    runs: u64,
    per_second: u64,
    /// Places in the code, and places with how often.
    coverage: u64,
    features: u64,
    /// The input that crashed it.
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
        ensure!(known.contains(name), "there is no target {name}: {}", known.join(", "));
    }
    let targets = if options.targets.is_empty() { known } else { options.targets.clone() };
    let program = steps.run("build the fuzz targets", build)?;
    if let Some(input) = &options.input {
        let [target] = &targets[..] else { anyhow::bail!("--input needs the name of one target") };
        return finish(Command::new(program).env("PIXELRTS_FUZZ", target).arg(input));
    }
    steps.run("fuzz", || {
        let said = run_all(&program, targets, options)?;
        println!("{:<10} {:>10} {:>8} {:>8} {:>8}  crash", "target", "runs", "per s", "coverage", "features");
        for (target, Said { runs, per_second, coverage, features, crash }) in &said {
            let crash = crash.as_deref().unwrap_or("none");
            println!("{target:<10} {runs:>10} {per_second:>8} {coverage:>8} {features:>8}  {crash}");
        }
        let crashes = said.iter().filter_map(|(target, said)| Some((target, said.crash.as_ref()?)));
        let again: Vec<_> =
            crashes.map(|(target, crash)| format!("cargo xtask fuzz {target} --input {crash}")).collect();
        ensure!(again.is_empty(), "crashes; to see one again:\n{}", again.join("\n"));
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
    let host = output("rustc", &["--print", "host-tuple"]).context("rustc does not say for what it compiles")?;
    // A target that is named keeps the flags from build scripts and macros.
    let what = ["build", "--locked", "--profile", "fuzz", "--package", "pixelrts-fuzz", "--features", "libfuzzer"];
    finish(cargo(&what).args(["--target", &host, "--target-dir", "target/fuzz"]).env("RUSTFLAGS", FLAGS))?;
    Ok(Path::new("target/fuzz").join(host).join("fuzz/pixelrts-fuzz"))
}

fn run_all(program: &Path, targets: Vec<String>, options: &Options) -> Result<Vec<(String, Said)>> {
    let (waiting, done) = (Mutex::new(VecDeque::from(targets)), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some(target) = next() {
                    let said = run(program, &target, options);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((target, said));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by(|(a, _), (b, _)| a.cmp(b));
    done.into_iter().map(|(target, said)| Ok((target, said?))).collect()
}

/// An input has 10 s and the program 512 MiB: who takes more has found something too.
fn run(program: &Path, target: &str, options: &Options) -> Result<Said> {
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
    let said = read(&log);
    let complete = ended.status.success() && said.runs > 0;
    ensure!(complete || said.crash.is_some(), "{target} ended with {} after {} runs:\n{log}", ended.status, said.runs);
    Ok(said)
}

fn read(log: &str) -> Said {
    let mut said = Said::default();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("stat::number_of_executed_units:") => said.runs = last(line),
            Some("stat::average_exec_per_sec:") => said.per_second = last(line),
            Some(number) if number.starts_with('#') => {
                let words: Vec<_> = words.collect();
                let after =
                    |key| words.iter().position(|word| *word == key).and_then(|at| words.get(at + 1)?.parse().ok());
                said.coverage = after("cov:").unwrap_or(said.coverage);
                said.features = after("ft:").unwrap_or(said.features);
            }
            _ => {}
        }
        if let Some((_, file)) = line.split_once("Test unit written to ") {
            said.crash = Some(file.to_owned());
        }
    }
    said
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
        let good = Said { runs: 8113, per_second: 737, coverage: 160, features: 188, crash: None };
        assert_eq!(read(log), good);
        let bad = format!("{log}artifact_prefix='x/'; Test unit written to x/crash-1\nBase64: AA==\n");
        assert_eq!(read(&bad), Said { crash: Some("x/crash-1".into()), ..good });
    }
}
