//! `cargo xtask install`: puts the program on this computer, where a person expects it, and takes it away again.
//!
//! The program is one file: the shell's files are inside. Beside it come the scripts that complete its words in bash,
//! zsh and fish. A record names all of them. It is written first, so that an installation that was interrupted can be
//! taken away too, and only files that it names are ever replaced or removed.

mod record;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::build::{self, BINARY};
use crate::command::output;
use crate::steps::Steps;
use crate::tools::{self, Purpose};
use record::{Record, write_whole};

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The folder with bin and share for the files [default: ~/.local; /usr/local for root]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Remove what was installed there; images, settings and the cache stay
    #[arg(long)]
    undo: bool,
}

pub(crate) fn install(steps: &mut Steps, options: &Options) -> Result<()> {
    let usual = usual_root(nix::unistd::geteuid().is_root(), std::env::var_os("HOME"));
    let named = options.root.as_deref().map(absolute).transpose()?;
    let undo_words = undo_words(named.as_deref());
    let root = named.map_or(usual, Ok)?;
    if options.undo {
        return undo(&root);
    }
    // This is refused before minutes are spent.
    Record::read(&root)?.refuse_foreign(&files_below(&root))?;
    tools::ensure(steps, Purpose::Run)?;
    build::parts(steps)?;
    println!("{}", put(Path::new(BINARY), &root)?);
    println!("{}", next_steps(&root, &undo_words, &std::env::var_os("PATH").unwrap_or_default()));
    Ok(())
}

/// The folder in which this task was started has become the workspace's, so a relative path begins where the person was.
fn absolute(path: &Path) -> Result<PathBuf> {
    let start = std::env::var_os("PWD").map(PathBuf::from).unwrap_or_default();
    std::path::absolute(start.join(path)).with_context(|| format!("{}", path.display()))
}

fn usual_root(is_root: bool, home: Option<OsString>) -> Result<PathBuf> {
    if is_root {
        return Ok("/usr/local".into());
    }
    let home = home.map(PathBuf::from).filter(|home| home.is_absolute());
    Ok(home.context("HOME names no folder: say where to install, as in --root /opt/pixelrts")?.join(".local"))
}

fn program(root: &Path) -> PathBuf {
    root.join("bin/pixelrts")
}

/// The script of each shell, where that shell looks for it.
fn completions(root: &Path) -> [(&'static str, PathBuf); 3] {
    [
        ("bash", root.join("share/bash-completion/completions/pixelrts")),
        ("zsh", root.join("share/zsh/site-functions/_pixelrts")),
        ("fish", root.join("share/fish/vendor_completions.d/pixelrts.fish")),
    ]
}

fn files_below(root: &Path) -> Vec<PathBuf> {
    completions(root).into_iter().map(|(_, path)| path).chain([program(root)]).collect()
}

/// Copies the program and its scripts, each complete or not at all, the program last. Returns what was done.
fn put(binary: &Path, root: &Path) -> Result<String> {
    let (record, files) = (Record::read(root)?, files_below(root));
    record.refuse_foreign(&files)?;
    record.extended(&files).write()?;
    let mut done = Vec::new();
    for (shell, path) in completions(root) {
        let script = output(binary, &["completions", shell]);
        let script = script.with_context(|| format!("{} prints no completions for {shell}", binary.display()))?;
        write_whole(&path, format!("{script}\n").as_bytes(), 0o644)?;
        done.push(format!("completes words in {shell}: {}", path.display()));
    }
    let bytes = fs::read(binary).with_context(|| format!("{}", binary.display()))?;
    let path = program(root);
    let verb = if path.exists() { "replaced" } else { "installed" };
    write_whole(&path, &bytes, 0o755)?;
    done.insert(0, format!("the program was {verb}: {}", path.display()));
    Ok(done.join("\n"))
}

/// The command that takes it away again.
fn undo_words(named: Option<&Path>) -> String {
    let root = named.map(|root| format!(" --root {}", root.display())).unwrap_or_default();
    format!("cargo xtask install --undo{root}")
}

/// What a person can do now, and how to go back.
fn next_steps(root: &Path, undo: &str, path: &OsStr) -> String {
    let bin = root.join("bin");
    let is_in_path = std::env::split_paths(path).any(|folder| folder == bin);
    let command = if is_in_path { "pixelrts".to_owned() } else { program(root).display().to_string() };
    let hint = match is_in_path {
        true => String::new(),
        false => format!(
            "\n{0} is not in PATH, so your terminal does not find the program by its name. Add this line to ~/.profile, \
             and log in again:\n  export PATH=\"{0}:$PATH\"\n",
            bin.display()
        ),
    };
    format!("{hint}\nBegin with: {command} --help\nUndo with:  {undo}")
}

fn undo(root: &Path) -> Result<()> {
    let record = Record::read(root)?;
    if record.files().is_empty() {
        println!("Nothing is installed below {}.", root.display());
        return Ok(());
    }
    for path in record.remove()? {
        println!("removed {}", path.display());
    }
    println!("Your images, settings and cache are still there: ~/pixelrts, ~/.config/pixelrts, ~/.cache/pixelrts.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that prints which completions were asked for.
    fn fake(folder: &Path, version: &str) -> PathBuf {
        let path = folder.join("built");
        write_whole(&path, format!("#!/bin/sh\n# {version}\necho \"$1 for $2\"\n").as_bytes(), 0o755).unwrap();
        path
    }

    fn all_files(folder: &Path) -> Vec<PathBuf> {
        let mut found = crate::build::shell::files(folder).unwrap();
        found.sort();
        found
    }

    #[test]
    fn what_was_installed_can_be_installed_again_and_taken_away() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        fs::create_dir(root.join("bin")).unwrap();
        fs::write(root.join("bin/other"), "mine").unwrap();
        let before = all_files(root);
        let said = put(&fake(work.path(), "one"), root).unwrap();
        assert!(said.contains("the program was installed: ") && said.contains("bin/pixelrts"), "{said}");
        let script = fs::read_to_string(root.join("share/zsh/site-functions/_pixelrts")).unwrap();
        assert_eq!(script, "completions for zsh\n");
        let installed = all_files(root);
        assert_eq!(installed.len(), before.len() + 5, "program, three scripts and the record: {installed:?}");
        let said = put(&fake(work.path(), "two"), root).unwrap();
        assert!(said.contains("was replaced"), "{said}");
        assert_eq!(all_files(root), installed);
        let program = root.join("bin/pixelrts");
        assert!(fs::read_to_string(&program).unwrap().contains("two"));
        assert_eq!(program.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        undo(root).unwrap();
        assert_eq!(all_files(root), before);
        assert!(!root.join("share").exists(), "folders that were made are gone");
        undo(root).unwrap();
    }

    #[test]
    fn a_program_of_somebody_else_is_never_replaced_or_removed() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        fs::create_dir(root.join("bin")).unwrap();
        fs::write(root.join("bin/pixelrts"), "theirs").unwrap();
        let error = put(&fake(work.path(), "one"), root).unwrap_err().to_string();
        assert!(error.contains("bin/pixelrts") && error.contains("--root"), "{error}");
        undo(root).unwrap();
        assert_eq!(fs::read_to_string(root.join("bin/pixelrts")).unwrap(), "theirs");
        assert_eq!(all_files(root).len(), 1);
    }

    #[test]
    fn an_installation_that_failed_on_the_way_can_be_taken_away() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path();
        let binary = fake(work.path(), "one");
        // A folder stands where a script belongs.
        fs::create_dir_all(root.join("share/fish")).unwrap();
        fs::write(root.join("share/fish/vendor_completions.d"), "a file").unwrap();
        put(&binary, root).unwrap_err();
        assert!(!root.join("bin/pixelrts").exists(), "the program comes last");
        undo(root).unwrap();
        assert_eq!(all_files(root), [root.join("share/fish/vendor_completions.d")]);
    }

    #[test]
    fn a_person_reads_what_to_do_next() {
        let (root, undo) = (Path::new("/opt/x"), undo_words(Some(Path::new("/opt/x"))));
        let said = next_steps(root, &undo, "/usr/bin:/opt/x/bin".as_ref());
        assert!(said.contains("Begin with: pixelrts --help"), "{said}");
        assert!(said.ends_with("Undo with:  cargo xtask install --undo --root /opt/x"), "{said}");
        let said = next_steps(root, &undo_words(None), "/usr/bin".as_ref());
        assert!(
            said.contains("/opt/x/bin is not in PATH") && said.contains("export PATH=\"/opt/x/bin:$PATH\""),
            "{said}"
        );
        assert!(said.contains("Begin with: /opt/x/bin/pixelrts --help"), "{said}");
        assert!(said.ends_with("cargo xtask install --undo"), "{said}");
    }

    #[test]
    fn each_person_has_a_usual_place() {
        assert_eq!(usual_root(true, None).unwrap(), Path::new("/usr/local"));
        assert_eq!(usual_root(false, Some("/home/a".into())).unwrap(), Path::new("/home/a/.local"));
        assert!(usual_root(false, None).unwrap_err().to_string().contains("--root"));
    }
}
