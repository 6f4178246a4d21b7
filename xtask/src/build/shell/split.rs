//! Cuts the shell's WASM in two: what the first paint needs, and the rest, which the page loads right afterwards.
//!
//! Trunk has no step between cargo and `wasm-bindgen`, where the cut belongs. So Trunk is given this program under the
//! name `wasm-bindgen`: it cuts what cargo has linked, calls the real `wasm-bindgen` for the main part, and makes both
//! parts small. The code that loads the rest becomes part of the main JavaScript, so that the page waits for no more
//! files than before.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use wasm_split_cli_support::{Options, transform};

use crate::command::finish;
use crate::tools;

/// Where the rest lies until Trunk has put the main part into the shell's folder.
const REST: &str = "target/xtask/rest";
/// Where Trunk finds this program under its other name.
const STAND_IN: &str = "target/xtask/bin/wasm-bindgen";
/// The name by which the main part imports what loads the rest.
const LOADER: &str = "./__wasm_split.js";
const WASM_OPT: &[&str] = &[
    "-Os",
    "--low-memory-unused",
    "--enable-bulk-memory",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-multivalue",
];

/// The folder to put first in the `PATH` of Trunk. What an earlier build left of the rest is removed.
pub(super) fn prepare() -> Result<PathBuf> {
    let stand_in = crate::root().join(STAND_IN);
    let folder = stand_in.parent().context("the stand-in has a folder")?;
    fs::create_dir_all(folder)?;
    for old in [&stand_in, &crate::root().join(REST)] {
        let _ = if old.is_dir() { fs::remove_dir_all(old) } else { fs::remove_file(old) };
    }
    std::os::unix::fs::symlink(std::env::current_exe()?, &stand_in).context("a second name for this program")?;
    Ok(folder.to_owned())
}

/// Puts the rest beside the main part.
pub(super) fn deliver(dist: &Path) -> Result<()> {
    let mut delivered = 0;
    for entry in fs::read_dir(REST).context("the rest of the shell was not made")? {
        let from = entry?.path();
        fs::copy(&from, dist.join(from.file_name().unwrap_or_default()))?;
        delivered += 1;
    }
    ensure!(delivered == 1, "the shell has {delivered} parts beside the main one, not 1");
    Ok(())
}

/// When this program was started as `wasm-bindgen`, it does that program's work.
pub(crate) fn stand_in() -> Option<Result<ExitCode>> {
    let mut arguments = std::env::args_os();
    let called = PathBuf::from(arguments.next()?);
    (called.file_name() == Some(OsStr::new("wasm-bindgen"))).then(|| bindgen(&arguments.collect::<Vec<_>>()))
}

fn bindgen(arguments: &[OsString]) -> Result<ExitCode> {
    let real = || Command::new(tools::folder().join("bin/wasm-bindgen"));
    let Some(place) = arguments.iter().position(|word| word.to_string_lossy().ends_with(".wasm")) else {
        // Trunk asks for the version first.
        finish(real().args(arguments))?;
        return Ok(ExitCode::SUCCESS);
    };
    let option = |name: &str| {
        let found = arguments.iter().find_map(|word| word.to_str()?.strip_prefix(name)?.strip_prefix('='));
        found.with_context(|| format!("Trunk did not pass {name}"))
    };
    let (folder, name) = (PathBuf::from(option("--out-dir")?), option("--out-name")?);
    let parts = tempfile::tempdir()?;
    let main = parts.path().join("main.wasm");
    let rest = cut(Path::new(&arguments[place]), parts.path(), &main)?;

    let mut words = arguments.to_vec();
    words[place] = main.into();
    finish(real().args(words).args(["--keep-lld-exports", "--no-demangle"]))?;
    let (main, script) = (folder.join(format!("{name}_bg.wasm")), folder.join(format!("{name}.js")));
    for part in [&main, &rest] {
        finish(
            Command::new(tools::folder().join("node_modules/.bin/wasm-opt"))
                .arg(part)
                .arg("-o")
                .arg(part)
                .args(WASM_OPT),
        )?;
    }

    // The rest fits this very main part alone, so both are in the name: an old page asks for its own part or for none.
    let mut main_bytes = fs::read(&main)?;
    let hash = Sha256::new().chain_update(&main_bytes).chain_update(fs::read(&rest)?).finalize();
    let rest_name = format!("rest-{}.wasm", hex::encode(&hash[..8]));
    fs::create_dir_all(REST)?;
    fs::copy(&rest, Path::new(REST).join(&rest_name))?;

    let loader = fs::read_to_string(parts.path().join(LOADER))?;
    let joined = join(
        &fs::read_to_string(&script)?,
        &loader,
        rest.file_name().and_then(OsStr::to_str).unwrap_or_default(),
        &rest_name,
    )?;
    fs::write(&script, &joined)?;
    // Trunk names WASM and script by what is in the WASM alone, so it has to say what is in the script.
    main_bytes.extend(custom_section("script", &Sha256::digest(&joined)));
    fs::write(&main, main_bytes)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the path of the rest.
fn cut(linked: &Path, folder: &Path, main: &Path) -> Result<PathBuf> {
    let bytes = fs::read(linked).with_context(|| format!("reading {}", linked.display()))?;
    let mut options = Options::new(&bytes);
    options.output_dir = folder;
    options.main_out_path = main;
    options.link_name = LOADER;
    let parts = transform(options).map_err(|error| anyhow::anyhow!("the shell cannot be cut: {error:#}"))?;
    match &parts.split_modules[..] {
        [rest] => Ok(rest.clone()),
        parts => bail!("the shell has {} parts beside the main one, not 1: {parts:?}", parts.len()),
    }
}

/// Makes the code that loads the rest part of the main script, and names the file to load.
fn join(script: &str, loader: &str, old_name: &str, new_name: &str) -> Result<String> {
    let import = script.lines().find(|line| line.starts_with("import") && line.contains(LOADER));
    let import = import.context("the main script does not import what loads the rest")?;
    let alias = import.split_whitespace().nth(3).filter(|_| import.starts_with("import * as "));
    let alias = alias.with_context(|| format!("an import of another form: {import}"))?;
    let own: Vec<&str> = loader.lines().filter(|line| line.starts_with("import ")).collect();
    ensure!(own.len() == 1 && own[0].contains("{ initSync }"), "the code that loads the rest imports {own:?}");
    let exports: Vec<&str> =
        loader.lines().filter_map(|line| line.strip_prefix("export const ")?.split(' ').next()).collect();
    ensure!(loader.matches(old_name).count() == 1, "{old_name} is not named once");
    let loader = loader.replace(own[0], "").replace("export const ", "const ").replace(old_name, new_name);
    Ok(format!("{}\n{loader}\nconst {alias} = {{ {} }};\n", script.replace(import, ""), exports.join(", ")))
}

/// A section that no browser reads. Name and content must be short.
fn custom_section(name: &str, content: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).ok().filter(|length| *length < 64).expect("a short section");
    let named = [&[length(name.as_bytes())], name.as_bytes(), content].concat();
    [&[0, length(&named)], &named[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "import { open } from './snippets/load.js';\n\
        import * as import1 from \"./__wasm_split.js\"\n\nlet wasm;\n\
        const imports = { \"./__wasm_split.js\": import1 };\nexport { initSync, init as default };\n";
    const PART: &str = "import { initSync } from \"./main.js\";\n\nconst shared = initSync();\n\
        export const load_rest = make(() => fetch(new URL(\"./split_rest.wasm\", import.meta.url)));\n";

    #[test]
    fn what_loads_the_rest_becomes_part_of_the_main_script() {
        let joined = join(SCRIPT, PART, "split_rest.wasm", "rest-0123.wasm").unwrap();
        assert!(!joined.contains("import *") && !joined.contains("main.js"), "{joined}");
        for part in [
            "import { open } from './snippets/load.js';",
            "{ \"./__wasm_split.js\": import1 }",
            "\nconst load_rest = make(() => fetch(new URL(\"./rest-0123.wasm\"",
            "const import1 = { load_rest };",
        ] {
            assert!(joined.contains(part), "{part}: {joined}");
        }
    }

    #[test]
    fn a_script_of_another_form_is_refused() {
        for (script, part) in [
            ("let wasm;", PART),
            ("import { a } from \"./__wasm_split.js\"", PART),
            (SCRIPT, "export const load_rest = 1;"),
            (SCRIPT, "import { initSync } from \"./main.js\";\nimport { b } from \"./b.js\";"),
            (SCRIPT, "import { initSync } from \"./main.js\";"),
        ] {
            assert!(join(script, part, "split_rest.wasm", "rest-0123.wasm").is_err(), "{script} {part}");
        }
    }

    #[test]
    fn a_section_says_its_length() {
        assert_eq!(custom_section("ab", &[7, 8]), [0, 5, 2, b'a', b'b', 7, 8]);
    }
}
