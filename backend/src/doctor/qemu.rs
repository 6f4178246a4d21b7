//! QEMU: whether it is installed, its version, and whether it offers what machines need.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode};
use tokio::process::Command;
use tokio::time::timeout;

use crate::bootstrap::{self, FoundProgram};
use crate::machine::{MachineError, Needs, needs_of};
use crate::paths::Paths;
use crate::task::blocking;

const PROGRAM: &str = "qemu.program";
const FEATURES: &str = "qemu.features";
/// Even a busy computer starts it within a second.
const ANSWER: Duration = Duration::from_secs(10);

pub(super) async fn look(paths: Paths) -> Vec<Finding> {
    let architecture = std::env::consts::ARCH;
    let declared = blocking(move || bootstrap::programs(&paths)).await;
    let qemu = declared.into_iter().find(|found| found.program.title == "QEMU");
    let (Some(found), Some(needs)) = (qemu, needs_of(architecture)) else {
        let error = MachineError::Architecture { found: architecture.to_owned() };
        return vec![Finding::of(PROGRAM, FindingState::Error, error)];
    };
    match found {
        FoundProgram { problem: Some(problem), .. } => vec![Finding::of(PROGRAM, FindingState::Error, problem)],
        FoundProgram { path: Some(path), program, .. } => ask_all(&path, program.package, &needs, ANSWER).await,
        FoundProgram { path: None, .. } => unreachable!("a program that is missing is a problem"),
    }
}

async fn ask_all(path: &Path, package: &str, needs: &Needs, within: Duration) -> Vec<Finding> {
    let answers = tokio::try_join!(
        ask(path, &["--version"], within),
        ask(path, &["-machine", "help"], within),
        ask(path, &["-accel", "help"], within),
        ask(path, &["-device", "help"], within),
    );
    let (version, machines, accelerators, devices) = match answers {
        Ok(answers) => answers,
        Err(error) => {
            let problem = Problem::new(
                ProblemCode::DependencyMissing,
                format!("{} does not work.", path.display()),
                error.to_string(),
                format!("Install it again: sudo apt-get install --reinstall {package}"),
            );
            return vec![Finding::of(PROGRAM, FindingState::Error, problem)];
        }
    };
    let version = version.lines().next().unwrap_or("no version").trim().to_owned();
    let lacks = lacking(&machines, &accelerators, &devices, needs);
    let features = if lacks.is_empty() {
        Finding::ok(
            FEATURES,
            format!("It offers what machines need: {}, tcg, {}.", needs.machine, needs.devices.join(", ")),
        )
    } else {
        let problem = Problem::new(
            ProblemCode::DependencyMissing,
            "This QEMU lacks what machines need.",
            format!("{} does not list {}.", path.display(), lacks.join(", ")),
            format!("Use the QEMU of the distribution: sudo apt-get install {package}"),
        );
        Finding::of(FEATURES, FindingState::Error, problem)
    };
    vec![Finding::ok(PROGRAM, format!("{}: {version}.", path.display())), features]
}

/// What machines need and QEMU does not list.
fn lacking<'a>(machines: &str, accelerators: &str, devices: &str, needs: &Needs) -> Vec<&'a str>
where
    Needs: 'a,
{
    let first_word = |text: &str, name: &str| text.lines().any(|line| line.split_whitespace().next() == Some(name));
    let device = |name: &str| devices.contains(&format!("name \"{name}\""));
    let machine = (!first_word(machines, needs.machine)).then_some(needs.machine);
    let tcg = (!first_word(accelerators, "tcg")).then_some("tcg");
    machine.into_iter().chain(tcg).chain(needs.devices.into_iter().filter(|name| !device(name))).collect()
}

/// Returns what the program prints. The program is killed when this is dropped.
async fn ask(path: &Path, arguments: &[&str], within: Duration) -> io::Result<String> {
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(within, command.output()).await;
    let output = output.map_err(|_| io::Error::other(format!("no answer within {} s", within.as_secs_f32())))??;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("it ended with {}: {}", output.status, said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NEEDS: Needs = Needs { machine: "pc", devices: ["pvpanic", "virtio-net-pci", "virtio-blk-pci"] };

    #[test]
    fn names_are_whole_words() {
        let machines = "Supported machines are:\npc   Standard PC (alias of pc-i440fx-7.2)\n";
        let accelerators = "Accelerators supported in QEMU binary:\ntcg\nkvm\n";
        let devices = "name \"virtio-net-pci\", bus PCI\nname \"virtio-blk-pci\", bus PCI\nname \"pvpanic\", bus ISA\n";
        assert!(lacking(machines, accelerators, devices, &NEEDS).is_empty());
        assert_eq!(lacking("pc-q35 pc\n", accelerators, devices, &NEEDS), ["pc"]);
        assert_eq!(
            lacking(machines, "kvm", "name \"pvpanic-pci\"", &NEEDS),
            ["tcg", "pvpanic", "virtio-net-pci", "virtio-blk-pci"]
        );
    }

    #[tokio::test]
    async fn a_program_that_fails_or_hangs_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        for (script, said) in
            [("#!/bin/sh\necho broken >&2; exit 3\n", "broken"), ("#!/bin/sh\nexec sleep 60\n", "no answer")]
        {
            let path = folder.path().join("qemu");
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            let found = ask_all(&path, "qemu-system-x86", &NEEDS, Duration::from_millis(500)).await;
            let why = &found[0].problem.as_ref().unwrap().why;
            assert!(why.to_lowercase().contains(said), "{why}");
        }
    }
}
