//! What machines need of this computer, looked at without starting anything.

use std::path::{Path, PathBuf};

use pixelrts_shared::Problem;

use super::MachineError;
use super::plan::qemu_of;
use crate::export::Mount;

/// What is missing for images of this computer's own architecture; nothing when they can be booted.
#[must_use]
pub fn missing() -> Vec<Problem> {
    let qemu = qemu_of(std::env::consts::ARCH)
        .filter(|(program, _)| installed(program).is_none())
        .map(|(program, package)| MachineError::QemuMissing { program, package });
    let mount = Mount::available().err().map(MachineError::Mount);
    qemu.into_iter().chain(mount).map(Problem::from).collect()
}

/// Where a program of that name is found first, as a shell would.
#[must_use]
pub fn installed(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
