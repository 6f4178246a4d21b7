//! What stands for the older Python tools: a writer and a reader with nothing of our code, and the sample as they wrote it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::{Finished, Home, LINUX, sample};

/// Writes images as the older tools did, with nothing of our code.
pub const WRITER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/writer.py");
/// Reads images, with nothing of our code.
pub const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reader.py");

/// An image of the older tools in this home that holds the kernel and the initrd of the Linux sample. Both Python
/// programs follow docs/FORMAT.md, so that no mistake in our reader or writer can hide here.
pub async fn old_linux(home: &Home) -> Result<PathBuf> {
    let (parts, image) = (home.path().join("older-parts"), home.path().join("older-linux.rts.png"));
    python(&[READER.as_ref(), &sample(LINUX)?, &parts]).await?.good()?;
    python(&[WRITER.as_ref(), "boot".as_ref(), &image, &parts.join("kernel"), &parts.join("initrd")]).await?.good()?;
    Ok(image)
}

/// Runs the distribution's Python, which is the one that has Pillow.
pub async fn python(arguments: &[&Path]) -> Result<Finished> {
    let mut command = Command::new("/usr/bin/python3");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(crate::DEADLINE, command.output()).await.context("Python does not end")??;
    output.try_into()
}
