//! Machines: one image, one QEMU, one process that owns both.
//!
//! [`BootBridge`] is the only way to boot: it verifies what will be booted, mounts the image, starts QEMU from the
//! mount, follows it and cleans up. `pixelrts boot` runs it in the foreground. `pixelrts machine` (hidden) runs it in a
//! process of its own for the backend, whose side is [`Fleet`].
//!
//! ```text
//!  Fleet ──control.sock──▶ machine process ──▶ BootBridge ──▶ Mount (FUSE) ──files──▶ QEMU
//!    │                                            │ ◀── Console (serial), QMP ────────┘
//!  fleet::state: what to do about a machine     Life: what all of that means, as one `Machine`
//! ```
//! Nothing restarts by itself, but for the second attempt after wrong bytes ([`Attempt`]).

mod accel;
mod attempt;
mod boot_bridge;
mod console;
mod control;
mod error;
mod fleet;
mod json_lines;
mod life;
mod machine_process;
mod opened_image;
mod options;
mod plan;
mod qemu;
mod qmp;
mod run_dir;

pub use accel::{AccelChoice, HostFacts, choose as choose_accel};
pub use attempt::Attempt;
pub use boot_bridge::{BootBridge, Spec};
pub use console::{Chunk, Console, Viewer};
pub use error::MachineError;
pub use fleet::{Fetched, Fleet, FleetOptions, Launch};
pub use machine_process::run as run_machine_process;
pub use opened_image::Expected;
pub use options::BootOptions;
pub use plan::{LEAN_BOOT, Needs, Plan, command_line_of, needs_of, preview};
pub use run_dir::{RunDir, clear, dead, sweep};

use nix::unistd::geteuid;

use crate::export::MountError;
use crate::paths::Paths;
use crate::policy::manifest::{Device, Directory, NeededBy, Program, manifest};

manifest! {
    module: "machines",
    needed_by: NeededBy::Machines,
    // Without machines, images can still be found and fetched.
    essential: false,
    directories: &[Directory { at: Paths::machines, private: true }],
    programs,
    devices: &[Device { path: "/dev/fuse", refused: |error| MountError::Device(error).into() }]
}

/// For images of this computer's own architecture.
fn programs() -> Vec<Program> {
    // `pvpanic-pci`, the device of the other architectures, came with 6.0; the rest is older.
    let qemu = plan::qemu_of(std::env::consts::ARCH).map(|(file, package)| Program {
        title: "QEMU",
        file,
        package,
        least: Some(&[6, 0]),
    });
    // Root mounts by itself.
    let fusermount = (!geteuid().is_root()).then(|| Program {
        title: "fusermount3",
        file: "fusermount3".to_owned(),
        package: "fuse3",
        least: None,
    });
    qemu.into_iter().chain(fusermount).collect()
}
