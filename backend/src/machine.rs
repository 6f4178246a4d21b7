//! Machines: one image, one QEMU, one process that owns both.
//!
//! [`BootBridge`] is the only way to boot: it verifies what will be booted, mounts the image, starts QEMU from the
//! mount, follows it and cleans up. `pixelrts boot` runs it in the foreground, `pixelrts machine` (hidden) in a
//! process of its own for the backend, whose side is [`Fleet`].
//!
//! ```text
//!  Fleet ──control.sock──▶ process ──▶ BootBridge ──▶ Mount (FUSE)  ──files──▶ QEMU
//!                                          │ ◀── Console (serial), QMP ─────────┘
//!                                        Life: what all of that means, as one `Machine`
//! ```
//! No policy lives here: nothing restarts by itself.

mod accel;
mod bridge;
mod child;
mod console;
mod control;
mod error;
mod fleet;
mod life;
mod lines;
mod namespace;
mod needs;
mod pidfd;
mod plan;
mod process;
mod qemu;
mod qmp;
mod run_dir;

pub use accel::{AccelChoice, HostFacts};
pub use bridge::{BootBridge, Spec};
pub use console::{Chunk, Console, Viewer};
pub use error::MachineError;
pub use fleet::{Fetched, Fleet, Launch, Settings};
pub use namespace::{Mounts, enter as enter_namespace};
pub use needs::missing;
pub use plan::{BootOptions, MAX_CPUS, Plan, parse_memory, preview};
pub use process::run as run_process;
pub use run_dir::{RunDir, sweep};
