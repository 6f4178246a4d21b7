//! 200 clients that fetch the same image from one catalog server of ours at the same time.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Result;

use super::Outcome;
use super::kills::image;
use crate::bench::{Backend, command};
use crate::build::BINARY;

const CLIENTS: usize = 200;

pub(super) fn run() -> Result<Outcome> {
    let scratch = tempfile::tempdir_in("target")?;
    let images = scratch.path().join("images");
    std::fs::create_dir(&images)?;
    std::fs::write(images.join("herd.rts.png"), image(scratch.path(), 4 << 20)?)?;
    let backend = Backend::catalog(&scratch.path().join("server"), &images)?;
    let (since, before) = (Instant::now(), backend.memory()?);
    let clients: Vec<Child> = (0..CLIENTS)
        .map(|number| {
            let mut fetch: Command = command(BINARY, &scratch.path().join(format!("client-{number}")));
            fetch.args(["--quiet", "fetch", "herd"]).env("PIXELRTS_SERVERS", format!("http://{}", backend.address));
            fetch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        })
        .collect::<std::io::Result<_>>()?;
    let mut failures = Vec::new();
    for (number, client) in clients.into_iter().enumerate() {
        let output = client.wait_with_output()?;
        if !output.status.success() {
            failures.push(format!("client {number}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    let note = format!(
        "4 MiB each; {:.0} s; the server's memory grew from {before:.0} to {:.0} MiB at most",
        since.elapsed().as_secs_f64(),
        backend.peak_memory()?
    );
    backend.stop()?;
    Ok(Outcome { what: "clients of one catalog server at once".into(), count: CLIENTS, failures, note })
}
