//! KVM or emulation: a pure rule over facts of the host, with the reason in words.
//!
//! That `/dev/kvm` can be opened proves little: inside another virtual machine, KVM may run guests far slower than QEMU's
//! own emulation. So the processor must offer virtualisation too.

use std::fs::OpenOptions;
use std::io;

use pixelrts_shared::machine::{Accel, AccelKind};
use serde::{Deserialize, Serialize};

use super::MachineError;

/// What the user chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccelChoice {
    #[default]
    Auto,
    Kvm,
    Tcg,
}

/// What the rules of a plan must know of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// As in `x86_64`, `aarch64`.
    pub architecture: String,
    /// Whether `/dev/kvm` can be opened, or why not.
    pub kvm: Result<(), String>,
    /// Whether the processor offers virtualisation (vmx or svm). On ARM the device itself shows it, because the kernel
    /// creates it only when it was started at EL2.
    pub virtualisation: bool,
    /// Whether KVM was faster than emulation when both were measured on this host. Nothing measures it yet, so it is
    /// always absent, and the two facts above decide. It is there for a measurement that the user starts.
    pub kvm_is_faster: Option<bool>,
    /// The memory of this computer, in bytes. No machine can have more.
    pub memory: u64,
    /// Processors that this process may use.
    pub cpus: u32,
}

impl HostFacts {
    #[must_use]
    pub fn gather() -> Self {
        let architecture = std::env::consts::ARCH.to_owned();
        let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm").map(drop).map_err(|e| e.to_string());
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let virtualisation = architecture == "aarch64" || offers_virtualisation(&cpu);
        let cpus =
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
        Self {
            architecture,
            kvm,
            virtualisation,
            kvm_is_faster: None,
            memory: memory_total().unwrap_or(u64::MAX),
            cpus,
        }
    }
}

/// Searches the text of `/proc/cpuinfo` for the flags of Intel and AMD.
fn offers_virtualisation(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm")
}

fn memory_total() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    let kib = kib.and_then(|kib| kib.trim().parse::<u64>().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(kib * 1024)
}

/// The rule. `guest` is the image's architecture.
pub fn choose(choice: AccelChoice, host: &HostFacts, guest: &str) -> Result<Accel, MachineError> {
    let kvm = |reason: &str| Ok(Accel { used: AccelKind::Kvm, reason: reason.to_owned() });
    let tcg = |reason: String| Ok(Accel { used: AccelKind::Tcg, reason });
    let foreign = host.architecture != guest;
    match choice {
        AccelChoice::Tcg => tcg("emulation was chosen by an option or a setting".to_owned()),
        AccelChoice::Kvm if foreign => {
            Err(MachineError::KvmForeign { host: host.architecture.clone(), guest: guest.to_owned() })
        }
        AccelChoice::Kvm => match &host.kvm {
            Ok(()) => kvm("KVM was chosen by an option or a setting"),
            Err(reason) => Err(MachineError::KvmUnavailable { reason: reason.clone() }),
        },
        AccelChoice::Auto => match &host.kvm {
            _ if foreign => tcg(format!("the image is for {guest}, this computer is {}", host.architecture)),
            Err(reason) => tcg(format!("/dev/kvm cannot be used: {reason}")),
            Ok(()) if !host.virtualisation => tcg(
                "/dev/kvm can be opened, but the processor offers neither vmx nor svm: KVM is nested here, and slower"
                    .to_owned(),
            ),
            Ok(()) if host.kvm_is_faster == Some(false) => {
                tcg("KVM was measured to be slower on this computer".to_owned())
            }
            Ok(()) => kvm("/dev/kvm can be opened, and the processor offers virtualisation"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostFacts {
        let architecture = "x86_64".to_owned();
        HostFacts { architecture, kvm: Ok(()), virtualisation: true, kvm_is_faster: None, memory: 1 << 32, cpus: 4 }
    }

    fn used(choice: AccelChoice, host: &HostFacts) -> AccelKind {
        choose(choice, host, "x86_64").unwrap().used
    }

    #[test]
    fn auto_uses_kvm_only_when_every_fact_allows_it() {
        assert_eq!(used(AccelChoice::Auto, &host()), AccelKind::Kvm);
        assert_eq!(used(AccelChoice::Auto, &HostFacts { kvm_is_faster: Some(true), ..host() }), AccelKind::Kvm);
        for facts in [
            HostFacts { kvm: Err("No such file".to_owned()), ..host() },
            HostFacts { virtualisation: false, ..host() },
            HostFacts { kvm_is_faster: Some(false), ..host() },
            HostFacts { architecture: "aarch64".to_owned(), ..host() },
        ] {
            let accel = choose(AccelChoice::Auto, &facts, "x86_64").unwrap();
            assert_eq!(accel.used, AccelKind::Tcg, "{facts:?}");
            assert!(!accel.reason.is_empty());
        }
    }

    #[test]
    fn an_explicit_choice_is_followed_or_refused() {
        let nested = HostFacts { virtualisation: false, ..host() };
        assert_eq!(used(AccelChoice::Kvm, &nested), AccelKind::Kvm);
        assert_eq!(used(AccelChoice::Tcg, &host()), AccelKind::Tcg);
        let without = HostFacts { kvm: Err("Permission denied".to_owned()), ..host() };
        let refused = choose(AccelChoice::Kvm, &without, "x86_64");
        assert!(matches!(refused, Err(MachineError::KvmUnavailable { reason }) if reason == "Permission denied"));
        assert!(matches!(choose(AccelChoice::Kvm, &host(), "aarch64"), Err(MachineError::KvmForeign { .. })));
    }

    #[test]
    fn flags_are_whole_words_of_the_flags_line() {
        assert!(offers_virtualisation("vendor_id : x\nflags\t\t: fpu vmx sse\n"));
        assert!(offers_virtualisation("flags : svm"));
        assert!(!offers_virtualisation("flags : fpu vmx_like sse\nbugs : svm"));
        assert!(!offers_virtualisation(""));
    }
}
