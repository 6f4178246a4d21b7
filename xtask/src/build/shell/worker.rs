//! Writes the service worker with the list of the shell's files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::files;

const SOURCE: &str = "frontend/worker.js";
const NAME: &str = "worker.js";

/// Lists every file in the folder; the page is listed as `/`. Texts that nothing loads are left out.
pub(super) fn write(dist: &Path) -> Result<()> {
    let mut list = BTreeMap::new();
    for file in files(dist)? {
        let name = file.strip_prefix(dist)?.to_string_lossy().into_owned();
        let loaded = ["html", "js", "mjs", "css", "wasm", "svg", "png", "woff2"];
        if name == NAME || !file.extension().is_some_and(|extension| loaded.iter().any(|known| extension == *known)) {
            continue;
        }
        let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
        list.insert(path, format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(fs::read(&file)?))));
    }
    let source = fs::read_to_string(SOURCE).with_context(|| SOURCE.to_owned())?;
    fs::write(dist.join(NAME), filled(&source, &list)?).context("the service worker")
}

fn filled(source: &str, list: &BTreeMap<String, String>) -> Result<String> {
    let lines: String = list.iter().map(|(path, integrity)| format!("  {path:?}: {integrity:?},\n")).collect();
    let version = hex::encode(&Sha256::digest(&lines)[..8]);
    let mut text = source.to_owned();
    for (empty, full) in [
        ("const FILES = {};", format!("const FILES = {{\n{lines}}};")),
        ("const VERSION = \"\";", format!("const VERSION = \"{version}\";")),
    ] {
        ensure!(text.matches(empty).count() == 1, "{SOURCE} has no place for the list: {empty}");
        text = text.replace(empty, &full);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_and_a_version_that_follows_from_it_are_put_into_the_worker() {
        let source = fs::read_to_string(crate::root().join(SOURCE)).unwrap();
        let list = |integrity: &str| BTreeMap::from([("/".to_owned(), integrity.to_owned())]);
        let (one, other) = (filled(&source, &list("sha256-a")).unwrap(), filled(&source, &list("sha256-b")).unwrap());
        assert!(one.contains("\"/\": \"sha256-a\",") && !one.contains("VERSION = \"\""), "{one}");
        let version = |text: &str| text.lines().find(|line| line.starts_with("const VERSION")).map(str::to_owned);
        assert_ne!(version(&one), version(&other));
        assert!(filled("", &list("")).is_err());
    }
}
