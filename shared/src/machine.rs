//! Machines: what runs, how far its boot is, and with what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::{Digest, MachineId, ServerId, Size, memory_size};

/// The body of `POST /api/v1/catalog/{key}/boot`; what is absent comes from the image, then from the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootRequest {
    /// Fetch from this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerId>,
    /// `"512M"`, `"2GiB"`, or a number of MiB.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "memory_size::requested")]
    pub memory: Option<Size>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Replaces the kernel's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// Added to the kernel's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<Net>,
}

/// The answer, with `Location: /api/v1/machines/{mid}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootAccepted {
    pub machine_id: MachineId,
}

/// What the guest reaches, from less to more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    /// It has no network card.
    None,
    /// It has one, and reaches nothing: not the host, not a network.
    #[default]
    Restricted,
    /// It reaches the internet, not the host. Every machine that asks for it is refused today: it needs a network of
    /// its own that keeps the guest away from the host, and that does not exist yet.
    Internet,
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Restricted => "restricted",
            Self::Internet => "internet",
        })
    }
}

impl FromStr for Net {
    type Err = UnknownNet;

    fn from_str(text: &str) -> Result<Self, UnknownNet> {
        [Self::None, Self::Restricted, Self::Internet].into_iter().find(|net| net.to_string() == text).ok_or(UnknownNet)
    }
}

/// The text is none of the words for what a guest reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownNet;

impl fmt::Display for UnknownNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the network is none, restricted or internet")
    }
}

impl std::error::Error for UnknownNet {}

/// A machine as the API and `boot --json` show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub id: MachineId,
    /// The image it was booted from.
    pub key: Digest,
    pub name: String,
    /// Whether the machine was started. When it was not, `problem` says why.
    pub success: bool,
    pub state: MachineState,
    /// The boot stage it is in; absent once it has ended.
    #[serde(default)]
    pub stage: Option<BootStage>,
    /// The stages that are over, in the order in which they happened.
    #[serde(default)]
    pub stages: Vec<StageTime>,
    #[serde(default)]
    pub accel: Option<Accel>,
    #[serde(deserialize_with = "memory_size::reported")]
    pub memory: Size,
    pub cpus: u32,
    /// The process id of QEMU.
    #[serde(default)]
    pub pid: Option<u32>,
    #[serde(default)]
    pub mountpoint: Option<String>,
    #[serde(default)]
    pub serial_socket: Option<String>,
    /// Always absent: no machine has a screen yet.
    #[serde(default)]
    pub vnc_port: Option<u16>,
    pub uptime_seconds: u64,
    /// How often the machine was started again after it had ended. Nothing restarts a machine yet, so it is always 0;
    /// it is there for the restart policy.
    pub restarts: u32,
    /// How it ended, in words, as in `powered off by itself`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Sentences for people: where the machine did not get what its image asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    Fetching,
    Starting,
    Running,
    Paused,
    Stopping,
    Stopped,
    /// QEMU ended, and nobody had asked it to.
    Crashed,
    /// The guest's kernel panicked.
    Panicked,
    /// It never started.
    Failed,
}

impl MachineState {
    /// Whether the machine has ended for good.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Crashed | Self::Panicked | Self::Failed)
    }
}

/// The steps of a boot, each reported when it truly happens. In this order; a step that did not happen is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BootStage {
    /// Bytes arrive from a server.
    Fetching,
    /// Hashes of what will be booted are checked.
    Verifying,
    /// The image becomes files through FUSE.
    Mounting,
    /// QEMU is started, until it answers.
    Starting,
    /// Firmware loads the kernel, until the first console output.
    Loading,
    /// The kernel writes to the console.
    Kernel,
    /// The configured marker was on the console. No option sets a marker yet, so no machine gets this far.
    Ready,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTime {
    pub name: BootStage,
    pub ms: u64,
}

/// What runs the guest's instructions, and why that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accel {
    pub used: AccelKind,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccelKind {
    Kvm,
    /// QEMU's emulation: works everywhere, about 12 times slower.
    Tcg,
}
