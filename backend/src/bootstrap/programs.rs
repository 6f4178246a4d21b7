//! The programs of the host that modules need: where they are, and whether their version is sufficient.
//!
//! Asking a program for its version takes tens of milliseconds, so the answer is remembered under the path, size and
//! time of change of its file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pixelrts_shared::Problem;
use serde::{Deserialize, Serialize};

use super::BootstrapError;
use crate::files::{Existing, write_atomically};
use crate::paths::{self, Paths};
use crate::policy::manifest::{MANIFESTS, Program};

/// A program that has not printed its version within this time never will.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program that a module needs, as it is on this computer.
#[derive(Clone, Debug)]
pub struct FoundProgram {
    pub module: &'static str,
    pub program: Program,
    pub path: Option<PathBuf>,
    /// For example `7.2.22`. It is known only where a version is required.
    pub version: Option<String>,
    /// Why it cannot be used.
    pub problem: Option<Problem>,
}

/// All programs that modules declare. The version of a program that is new here is requested. Nothing is written.
#[must_use]
pub fn programs(paths: &Paths) -> Vec<FoundProgram> {
    Memory::read(paths).programs()
}

/// All programs that modules declare. The versions that were requested are remembered.
pub(super) fn remembered(paths: &Paths) -> Vec<FoundProgram> {
    let mut memory = Memory::read(paths);
    let found = memory.programs();
    memory.write(paths);
    found
}

/// Whether there is a program whose version is not known, because it was never requested or not printed.
pub(super) fn are_unknown(paths: &Paths) -> bool {
    let memory = Memory::read(paths);
    let declared = MANIFESTS.iter().flat_map(|manifest| (manifest.programs)());
    let mut files =
        declared.filter(|program| program.least.is_some()).filter_map(|program| paths::programs(&program.file).next());
    files.any(|path| memory.known(&path).is_none_or(|known| known.version.is_none()))
}

/// Requests the versions that are not known, and remembers them.
pub(super) fn ask_unknown(paths: &Paths) -> Vec<FoundProgram> {
    let mut memory = Memory::read(paths);
    memory.known.retain(|_, known| known.version.is_some());
    let found = memory.programs();
    memory.write(paths);
    found
}

fn judge(program: &Program, path: Option<&Path>, version: Option<&str>) -> Result<(), BootstrapError> {
    let Program { title, ref file, package, least } = *program;
    let path = path.ok_or_else(|| BootstrapError::ProgramMissing { title, file: file.clone(), package })?;
    let Some(least) = least else { return Ok(()) };
    let found = version.ok_or_else(|| BootstrapError::ProgramSilent { title, path: path.to_owned(), package })?;
    if numbers(found).as_slice() < least {
        let least = least.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        return Err(BootstrapError::ProgramOld { title, package, least, found: found.to_owned() });
    }
    Ok(())
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// The first word of digits and points that begins with a digit, as in `QEMU emulator version 7.2.22 (Debian ...)`.
fn version_in(text: &str) -> Option<String> {
    let words = text.lines().next()?.split(|letter: char| letter.is_whitespace() || "(),-+~".contains(letter));
    let is_version = |word: &&str| {
        word.contains('.')
            && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    words.map(|word| word.trim_start_matches('v')).find(is_version).map(str::to_owned)
}

/// `programs.json`: the versions that are known. The file may be lost.
#[derive(Debug, Default)]
struct Memory {
    /// By path.
    known: BTreeMap<String, Known>,
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    size: u64,
    /// In seconds and nanoseconds.
    modified: (i64, i64),
    version: Option<String>,
}

impl Memory {
    fn read(paths: &Paths) -> Self {
        let known = fs::read(paths.programs()).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { known: known.unwrap_or_default(), changed: false }
    }

    /// What is remembered of a file that has not changed since.
    fn known(&self, path: &Path) -> Option<&Known> {
        let found = fs::metadata(path).ok()?;
        let same = |known: &&Known| known.size == found.len() && known.modified == (found.mtime(), found.mtime_nsec());
        self.known.get(path.to_str()?).filter(same)
    }

    fn programs(&mut self) -> Vec<FoundProgram> {
        let mut found = Vec::new();
        for manifest in MANIFESTS {
            for program in (manifest.programs)() {
                let path = paths::programs(&program.file).next();
                let version = path.as_deref().filter(|_| program.least.is_some()).and_then(|path| self.version(path));
                let problem = judge(&program, path.as_deref(), version.as_deref()).err().map(Problem::from);
                found.push(FoundProgram { module: manifest.module, program, path, version, problem });
            }
        }
        found
    }

    fn version(&mut self, path: &Path) -> Option<String> {
        if let Some(known) = self.known(path) {
            return known.version.clone();
        }
        let found = fs::metadata(path).ok()?;
        let version = ask(path).as_deref().and_then(version_in);
        let known =
            Known { size: found.len(), modified: (found.mtime(), found.mtime_nsec()), version: version.clone() };
        // That there is no version is remembered too, so that it is not requested again and again.
        self.known.insert(path.to_str()?.to_owned(), known);
        self.changed = true;
        version
    }

    fn write(&self, paths: &Paths) {
        let text = serde_json::to_vec(&self.known).expect("it is plain data");
        if self.changed
            && let Err(error) = write_atomically(&paths.programs(), Existing::Replace, |file| file.write_all(&text))
        {
            tracing::debug!(%error, "the versions of programs are not remembered");
        }
    }
}

/// What `PROGRAM --version` prints, when the program succeeds in time.
pub(super) fn ask(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                let _ = child.kill().and_then(|()| child.wait());
                return None;
            }
        }
    };
    let mut text = String::new();
    child.stdout.take()?.take(4096).read_to_string(&mut text).ok()?;
    status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn program(least: &'static [u32]) -> Program {
        Program { title: "QEMU", file: "qemu".to_owned(), package: "qemu-system-x86", least: Some(least) }
    }

    #[test]
    fn versions_are_numbers_and_not_text() {
        let path = Path::new("/usr/bin/qemu");
        let judge = |found: &str, least| judge(&program(least), Some(path), Some(found));
        for found in ["6.0", "6.0.0", "6.0.1", "7.2.22", "10.0.0"] {
            assert!(judge(found, &[6, 0]).is_ok(), "{found}");
        }
        for found in ["5.2.0", "5.10", "0.99", "6"] {
            let Err(BootstrapError::ProgramOld { least, .. }) = judge(found, &[6, 0]) else { panic!("{found}") };
            assert_eq!(least, "6.0");
        }
        assert!(judge("6.9", &[6, 10]).is_err());
    }

    #[test]
    fn the_version_is_found_in_what_programs_print() {
        for (text, version) in [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003", Some("7.2.22")),
            ("QEMU emulator version 9.2.0", Some("9.2.0")),
            ("fusermount3 version: 3.14.0", Some("3.14.0")),
            ("qemu v10.0.0-rc1", Some("10.0.0")),
            ("no number. Not one", None),
            ("", None),
        ] {
            assert_eq!(version_in(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn a_program_is_asked_once_until_its_file_changes() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        fs::create_dir(&paths.state).unwrap();
        let path = root.path().join("qemu");
        let write = |version: &str| {
            let counter = root.path().join("asked");
            fs::write(&path, format!("#!/bin/sh\necho >> {}\necho QEMU version {version}\n", counter.display()))
                .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let asked = || fs::read_to_string(root.path().join("asked")).unwrap().len();
        let version = || {
            let mut memory = Memory::read(&paths);
            let version = memory.version(&path);
            memory.write(&paths);
            version
        };
        write("10.0.0");
        assert_eq!((version().as_deref(), version().as_deref(), asked()), (Some("10.0.0"), Some("10.0.0"), 1));
        write("11.0.00");
        assert_eq!((version().as_deref(), asked()), (Some("11.0.00"), 2));
        write("unknown");
        assert_eq!(
            (version(), version(), asked()),
            (None, None, 3),
            "a program without a version is not asked again either"
        );
        write("11.0.00");
        fs::write(paths.programs(), "{").unwrap();
        assert_eq!((version().as_deref(), asked()), (Some("11.0.00"), 4));
    }
}
