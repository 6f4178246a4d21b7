//! What the stories in `tests/tests` are told with: homes, backends, consoles, a browser.
//!
//! Every story starts the real binary in a [`Home`] of its own, so nothing it does touches the user's files, and
//! ends by asking whether anything is left behind. Stories wait for conditions, never for time.

mod browser;
mod console;
mod home;
mod processes;
mod serve;
mod static_server;
mod up;
mod wait;

pub use browser::{Browser, contains};
pub use console::Console;
pub use home::{Finished, Home};
pub use processes::Process;
pub use serve::{Serve, good};
pub use static_server::StaticServer;
pub use up::{Up, ping, podman};
pub use wait::{DEADLINE, until};

use std::path::PathBuf;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

/// The small sample: Linux with a shell on the serial console.
pub const LINUX: &str = "linux-busybox.rts.png";

/// One of the paths that `cargo xtask test` hands over.
fn given(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).with_context(|| format!("{variable} is not set: run `cargo xtask test`"))?;
    Ok(PathBuf::from(path))
}

/// A sample image.
pub fn sample(file: &str) -> Result<PathBuf> {
    let path = given("PIXELRTS_SAMPLES")?.join(file);
    anyhow::ensure!(path.is_file(), "{} is missing: run `cargo xtask test`", path.display());
    Ok(path)
}

/// An image written by the older tools, from the folder beside the project; `None` where that is absent, after
/// saying so in a way that `cargo xtask test` repeats at its end.
#[must_use]
pub fn fixture(file: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures").join(file);
    if path.is_file() {
        return Some(path);
    }
    skip(&format!("{file}: there are no fixtures of the older tools in {}", path.with_file_name("").display()));
    None
}

/// Says, past libtest's capture, that a story could not run here.
pub fn skip(reason: &str) {
    use std::io::Write;
    // A closed standard output is nothing that a story could tell anyone.
    let _ = writeln!(std::io::stdout(), "\nSKIPPED: {reason}");
}

/// SHA-256 in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
