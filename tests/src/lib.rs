//! What the stories in `tests/tests` use: homes, backends, consoles, a browser.
//!
//! Every story starts the real binary in a [`Home`] of its own, so nothing it does touches the user's files, and
//! ends by checking that nothing is left behind. Stories wait for conditions, not for an amount of time.

mod browser;
mod console;
mod home;
mod older_tools;
mod processes;
mod serve;
mod small_disk;
mod static_server;
mod up;
mod wait;

pub use browser::{Browser, contains};
pub use console::Console;
pub use home::{Finished, Home};
pub use older_tools::{READER, WRITER, old_linux, python};
pub use pixelrts_testing::{old_image, skip};
pub use processes::Process;
pub use serve::{Serve, good};
pub use small_disk::SmallDisk;
pub use static_server::StaticServer;
pub use up::{Up, ping, podman};
pub use wait::{DEADLINE, until};

use std::path::PathBuf;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

/// The small sample: Linux with a shell on the serial console.
pub const LINUX: &str = "linux-busybox.rts.png";

/// One of the paths that `cargo xtask test` passes in variables.
fn given(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).with_context(|| format!("{variable} is not set: run `cargo xtask test`"))?;
    Ok(PathBuf::from(path))
}

/// The binary that the stories test.
pub fn binary() -> Result<PathBuf> {
    given("PIXELRTS_BIN")
}

/// A sample image.
pub fn sample(file: &str) -> Result<PathBuf> {
    let path = given("PIXELRTS_SAMPLES")?.join(file);
    anyhow::ensure!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    Ok(path)
}

/// The packages of the distribution that the samples were made of; there may be none.
pub fn packages() -> Result<Vec<PathBuf>> {
    let folder = given("PIXELRTS_PACKAGES")?;
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    Ok(files.filter(|path| path.is_file()).collect())
}

/// SHA-256 in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
