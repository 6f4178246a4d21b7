//! What a browser downloads before the first paint, compressed with Brotli.

use std::path::Path;

use anyhow::{Context, Result};

use super::report::Row;
use crate::build::shell::{DIST, files};

pub(super) fn measure() -> Result<Vec<Row>> {
    let dist = Path::new(DIST);
    let page = std::fs::read_to_string(dist.join("index.html")).context("reading the built shell's index.html")?;
    let mut total = 0;
    let mut parts = Vec::new();
    for file in files(dist)? {
        let name = file.strip_prefix(dist)?.to_string_lossy();
        // The first paint needs the files that index.html names in quotes. Consoles load their own files later.
        if name == "index.html" || page.contains(&format!("/{name}")) {
            let packed = file.with_added_extension("br");
            let sent = if packed.is_file() { packed } else { file.clone() };
            let size = sent.metadata().with_context(|| format!("reading {}", sent.display()))?.len();
            total += size;
            parts.push(format!("{} {size}", file.extension().unwrap_or_default().to_string_lossy()));
        }
    }
    Ok(vec![Row {
        id: "S1",
        what: "sent before the first paint (HTML, CSS, WASM, JS), Brotli",
        goal: "<= 200 kB",
        measured: format!("{:.1} kB", f64::from(u32::try_from(total)?) / 1000.0),
        note: format!("bytes: {}", parts.join(", ")),
    }])
}
