//! Builds the shell with Trunk into `frontend/dist`, and puts a Brotli copy beside each of its text and WASM files.
//!
//! The backend embeds that folder and sends the copies as they are: compressing once here at the best level gives
//! smaller files than compressing for each request. Nothing runs when no input is newer than the last build.

pub(crate) mod split;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::command::{cargo, finish, forget_this_crate};
use crate::steps::Steps;
use crate::tools;

pub(crate) const DIST: &str = "frontend/dist";
const STAMP: &str = "target/xtask/shell";
const INPUTS: &[&str] =
    &["frontend", "shared", "index.html", "Trunk.toml", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];

pub(crate) fn build(steps: &mut Steps) -> Result<()> {
    let built = fs::metadata(STAMP).and_then(|stamp| stamp.modified()).ok();
    let newest = INPUTS.iter().filter_map(|input| newest(Path::new(input))).max();
    if Path::new(DIST).join("index.html").is_file() && built >= newest {
        println!("==> build the shell: nothing changed");
        return Ok(());
    }
    steps.run("build the shell", || {
        // Offline, because Trunk would otherwise look up the latest versions of its tools. It passes the option on
        // to cargo, so the crates must be fetched before.
        finish(&mut cargo(&["fetch", "--locked", "--target", "wasm32-unknown-unknown"]))?;
        let trunk = crate::root().join("target/tools/bin/trunk");
        let path =
            std::iter::once(split::prepare()?).chain(std::env::split_paths(&tools::search_path()?)).collect::<Vec<_>>();
        // Trunk accepts only true and false in NO_COLOR, but the usual value is 1.
        let mut command = Command::new(trunk);
        command.args(["build", "--release", "--offline", "--features", "split"]);
        command.env("PATH", std::env::join_paths(path)?).env_remove("NO_COLOR");
        forget_this_crate(&mut command);
        finish(&mut command)?;
        split::deliver(Path::new(DIST))?;
        worker::write(Path::new(DIST))?;
        let (before, after) = compress(Path::new(DIST))?;
        println!("    the shell: {} kB, with Brotli {} kB", before / 1000, after / 1000);
        fs::create_dir_all("target/xtask")?;
        fs::write(STAMP, "").context("the stamp of the build")
    })
}

/// The time of the last change at or below a path, without the output of the build. Folders count, because removing a
/// file changes only its folder.
pub(crate) fn newest(path: &Path) -> Option<SystemTime> {
    if path == Path::new(DIST) {
        return None;
    }
    let own = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let below = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| newest(&entry.path())).max();
    own.max(below)
}

/// Writes `FILE.br` beside every file that becomes smaller. Returns the bytes of all files before and after.
fn compress(folder: &Path) -> Result<(usize, usize)> {
    let mut total = (0, 0);
    for path in files(folder)? {
        let extension = path.extension().unwrap_or_default();
        if !["html", "js", "mjs", "css", "wasm", "svg", "json", "webmanifest"].iter().any(|known| extension == *known) {
            continue;
        }
        let bytes = fs::read(&path)?;
        let mut small = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 24, ..Default::default() };
        brotli::BrotliCompress(&mut bytes.as_slice(), &mut small, &parameters)?;
        total = (total.0 + bytes.len(), total.1 + small.len());
        if small.len() < bytes.len() {
            fs::write(path.with_added_extension("br"), small)?;
        }
    }
    Ok(total)
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_shrinks_gets_a_copy_with_the_same_content() {
        let folder = tempfile::tempdir().unwrap();
        let text = "body { color: red }\n".repeat(50);
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/a.css"), &text).unwrap();
        fs::write(folder.path().join("b.js"), "1").unwrap();
        fs::write(folder.path().join("c.png"), &text).unwrap();
        let (before, after) = compress(folder.path()).unwrap();
        assert!(before == 1001 && after < before, "{before} {after}");
        let mut inflated = Vec::new();
        let packed = fs::read(folder.path().join("sub/a.css.br")).unwrap();
        brotli::BrotliDecompress(&mut packed.as_slice(), &mut inflated).unwrap();
        assert_eq!(inflated, text.as_bytes());
        assert!(!folder.path().join("b.js.br").exists() && !folder.path().join("c.png.br").exists());
    }

    #[test]
    fn the_newest_file_decides_and_an_absent_one_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(100);
        fs::create_dir(folder.path().join("sub")).unwrap();
        let file = fs::File::create(folder.path().join("sub/a")).unwrap();
        file.set_modified(later).unwrap();
        assert_eq!(newest(folder.path()), Some(later));
        assert_eq!(newest(&folder.path().join("absent")), None);
    }
}
