//! What a browser downloads before the first paint, Brotli.

use std::path::Path;

use anyhow::{Context, Result};

use super::report::Row;

pub(super) fn measure() -> Result<Vec<Row>> {
    let dist = Path::new("frontend/dist");
    let page = std::fs::read_to_string(dist.join("index.html")).context("reading the built shell's index.html")?;
    let mut total = 0;
    let mut parts = Vec::new();
    for file in std::fs::read_dir(dist)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        // What index.html names is what a first paint needs; consoles load their own files later.
        if name == "index.html" || page.contains(&name) {
            let packed = dist.join(format!("{name}.br"));
            let size = packed.metadata().with_context(|| format!("reading {}", packed.display()))?.len();
            total += size;
            parts.push(format!("{name} {size}"));
        }
    }
    Ok(vec![Row {
        id: "S1",
        what: "sent before the first paint (HTML, CSS, WASM, JS), Brotli",
        goal: "<= 200 kB",
        measured: format!("{:.1} kB", f64::from(u32::try_from(total)?) / 1000.0),
        note: parts.join(", "),
    }])
}
