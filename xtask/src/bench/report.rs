//! Rows on the terminal and in `docs/BENCHMARKS.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::paired::Paired;

/// One goal, and what was measured for it.
pub(super) struct Row {
    /// The name of the goal in the list of goals, if it is there.
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    pub(super) goal: &'static str,
    pub(super) measured: String,
    /// Absolute figures of this run on this computer. They cannot be compared with other runs.
    pub(super) note: String,
}

impl Row {
    /// A row from a pair: median, extremes, and both times.
    pub(super) fn paired(id: &'static str, what: &'static str, goal: &'static str, pair: Paired) -> Self {
        Self {
            id,
            what,
            goal,
            measured: format!("{:.2}x ({:.2} to {:.2})", pair.median, pair.min, pair.max),
            note: format!("{}, peer {}", seconds(pair.ours), seconds(pair.peer)),
        }
    }

    /// The same, with times shown as throughput of `bytes`.
    pub(super) fn speed(id: &'static str, what: &'static str, goal: &'static str, pair: Paired, bytes: u64) -> Self {
        let speed = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
        let note = format!("{:.2} GB/s, peer {:.2} GB/s", speed(pair.ours), speed(pair.peer));
        Self { note, ..Self::paired(id, what, goal, pair) }
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1e-3 => format!("{:.1} us", seconds * 1e6),
        seconds if seconds < 0.1 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.3} s"),
    }
}

pub(super) fn print(title: &str, rows: &[Row]) {
    println!("\n{title}");
    for row in rows {
        println!("  {:<3} {:<58} {:<22} {} ({})", row.id, row.what, row.measured, row.goal, row.note);
    }
}

/// Replaces the section `title` in the file at `path`; the other sections stay.
pub(super) fn record(path: &Path, title: &str, rows: &[Row]) -> Result<()> {
    let mut section = format!(
        "## {title}\n{}\n\n| id | what | goal | measured | this run |\n| --- | --- | --- | --- | --- |\n",
        run_line()?
    );
    for row in rows {
        writeln!(section, "| {} | {} | {} | {} | {} |", row.id, row.what, row.goal, row.measured, row.note)?;
    }
    let old = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    std::fs::write(path, replace_section(&old, title, &section)).with_context(|| format!("writing {}", path.display()))
}

fn replace_section(document: &str, title: &str, section: &str) -> String {
    let heading = format!("## {title}\n");
    let Some(start) = document.find(&heading) else {
        return format!("{}\n\n{section}", document.trim_end());
    };
    let rest = &document[start + heading.len()..];
    match rest.find("\n## ") {
        Some(end) => format!("{}{section}{}", &document[..start], &rest[end..]),
        None => format!("{}{section}", &document[..start]),
    }
}

/// When this was measured, and the versions of the programs that influence the figures.
fn run_line() -> Result<String> {
    let first_line = |program: &str, args: &[&str]| -> Result<String> {
        let output = Command::new(program).args(args).output().with_context(|| format!("starting {program}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
    };
    Ok(format!(
        "`cargo xtask bench`, {}, Linux {}, {}, {}.",
        first_line("date", &["-u", "+%F"])?,
        first_line("uname", &["-r"])?,
        first_line("rustc", &["--version"])?,
        first_line("qemu-system-x86_64", &["--version"])?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_its_neighbours_stay() {
        let document = "# B\nintro\n\n## Image\nold\n\n## Shell\nkept\n";
        let new = replace_section(document, "Image", "## Image\nnew\n");
        assert_eq!(new, "# B\nintro\n\n## Image\nnew\n\n## Shell\nkept\n");
        assert_eq!(
            replace_section(&new, "Shell", "## Shell\nlast\n"),
            "# B\nintro\n\n## Image\nnew\n\n## Shell\nlast\n"
        );
    }

    #[test]
    fn a_new_section_comes_last() {
        assert_eq!(replace_section("# B\n", "Image", "## Image\nnew\n"), "# B\n\n## Image\nnew\n");
    }
}
