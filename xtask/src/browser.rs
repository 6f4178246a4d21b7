//! The tests of the shell that need a browser: views, IndexedDB, streams. They are compiled to WebAssembly and run by
//! `wasm-bindgen-test-runner`, which opens headless Chromium once for all of them.
//!
//! `frontend/webdriver.json` has Chromium's options. It runs without its own sandbox, which does not start as root or in
//! a container; the pages it opens are ours.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{cargo, find};
use crate::tools;

/// All tests of a run together, in seconds; a machine under load needs far longer than the tests themselves.
const TIMEOUT: &str = "300";

/// The command that builds and runs them.
pub(crate) fn tests() -> Result<Command> {
    let driver = find("chromedriver").context("chromedriver is missing")?;
    let mut command =
        cargo(&["test", "--package", "pixelrts-shell", "--lib", "--target", tools::WASM, "--locked", "--no-fail-fast"]);
    command
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", tools::folder().join("bin/wasm-bindgen-test-runner"))
        .env("CHROMEDRIVER", driver)
        .env("WASM_BINDGEN_TEST_TIMEOUT", TIMEOUT);
    Ok(command)
}
