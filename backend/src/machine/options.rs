//! How a machine is to be booted: the options, their defaults, and what no machine can have.

use pixelrts_shared::Size;
use pixelrts_shared::boot_decision::{LEAST_MEMORY, MOST_CPUS};
use pixelrts_shared::machine::Net;
use serde::{Deserialize, Serialize};

use super::MachineError;
use super::accel::{AccelChoice, HostFacts};

/// How a machine is to be booted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootOptions {
    pub memory: Size,
    pub cpus: u32,
    /// Replaces the image's command line for the kernel.
    pub cmdline: Option<String>,
    /// Added to the kernel's command line.
    pub append: Option<String>,
    pub net: Net,
    pub accel: AccelChoice,
    /// The stage is `ready` once this text is on the console. Nothing sets it yet: it is there for images that say in
    /// their metadata what they print when they are ready.
    pub ready_marker: Option<String>,
    /// Further arguments for QEMU, passed on unchanged. Only the user at the command line may give them, because they can
    /// do anything that this user can.
    pub qemu_args: Vec<String>,
    /// Sentences for the person: where the machine does not get what its image asks for.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Default for BootOptions {
    fn default() -> Self {
        Self {
            memory: Size::from_gibibytes(2),
            cpus: 2,
            cmdline: None,
            append: None,
            net: Net::default(),
            accel: AccelChoice::default(),
            ready_marker: None,
            qemu_args: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl BootOptions {
    /// Refuses what no machine can have, before anything is fetched or mounted.
    pub fn check(&self, host: &HostFacts) -> Result<(), MachineError> {
        let most = Size::from_bytes(host.memory);
        if !(LEAST_MEMORY..=most).contains(&self.memory) {
            return Err(MachineError::MemoryOutside { asked: self.memory, least: LEAST_MEMORY, most });
        }
        if !(1..=MOST_CPUS).contains(&self.cpus) {
            return Err(MachineError::Cpus { asked: self.cpus, most: MOST_CPUS });
        }
        match self.net {
            Net::None | Net::Restricted => Ok(()),
            Net::Internet => Err(MachineError::InternetUnavailable),
        }
    }
}
