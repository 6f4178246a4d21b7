//! Programs of crates.io, kept in `target/tools/bin`.

use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{cargo, finish, output};
use crate::steps::Steps;

/// One program: its version, and what is needed to build it.
#[derive(Debug)]
pub(super) struct Crate {
    pub(super) program: &'static str,
    pub(super) version: String,
    pub(super) why: &'static str,
    /// For `cargo install`: the package, its features.
    pub(super) arguments: &'static [&'static str],
}

impl Crate {
    fn is_installed(&self, folder: &Path) -> bool {
        let found = output(folder.join("bin").join(self.program), &["--version"]);
        found.is_some_and(|line| line.split(' ').nth(1) == Some(&*self.version))
    }

    /// Builds it fast rather than optimised: minutes are saved, and nothing is lost that we can measure.
    fn install(&self, folder: &Path) -> Result<()> {
        let scratch = folder.join("build").join(self.program);
        let mut install = cargo(&["install", "--quiet", "--force", "--version", &self.version, "--root"]);
        install.arg(folder).args(self.arguments).env("CARGO_TARGET_DIR", &scratch);
        for (key, value) in [("OPT_LEVEL", "0"), ("LTO", "off"), ("CODEGEN_UNITS", "16")] {
            install.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
        }
        finish(&mut install)?;
        println!("    built {}", self.program);
        std::fs::remove_dir_all(&scratch).context("removing what the build left")
    }
}

/// Builds those that are missing or have another version, all at once: the last crates of each are built one after the
/// other, and would leave a processor without work.
pub(super) fn ensure(steps: &mut Steps, folder: &Path, wanted: &[Crate]) -> Result<()> {
    let missing: Vec<&Crate> = wanted.iter().filter(|wanted| !wanted.is_installed(folder)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for Crate { program, version, why, .. } in &missing {
        println!("Missing: {program} {version} ({why})");
    }
    let names: Vec<&str> = missing.iter().map(|one| one.program).collect();
    steps.run(&format!("build {}", names.join(", ")), || {
        let outcomes: Vec<Result<()>> = std::thread::scope(|scope| {
            let builds: Vec<_> = missing.iter().map(|one| scope.spawn(|| one.install(folder))).collect();
            builds.into_iter().map(|build| build.join().expect("a build returns its error")).collect()
        });
        outcomes.into_iter().collect()
    })
}
