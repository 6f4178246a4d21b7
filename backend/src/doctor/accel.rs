//! Accelerators: which one machines use on this computer, and why.

use std::path::Path;

use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::machine::AccelKind;
use pixelrts_shared::{Problem, ProblemCode};

use crate::machine::{AccelChoice, HostFacts, choose_accel};

const KVM: &str = "accel.kvm";

pub(super) fn look(host: &HostFacts) -> Vec<Finding> {
    let used = match choose_accel(AccelChoice::Auto, host, &host.architecture) {
        Ok(accel) => {
            let name = if accel.used == AccelKind::Kvm { "KVM" } else { "emulation (TCG)" };
            Finding::ok("accel.used", format!("Machines use {name}: {}.", accel.reason))
        }
        Err(error) => Finding::of("accel.used", FindingState::Error, error),
    };
    let tcg = Finding::ok("accel.tcg", "Emulation (TCG) is always available. It needs nothing from this computer.");
    vec![used, kvm(host, Path::new("/dev/kvm").exists()), tcg]
}

fn kvm(host: &HostFacts, device: bool) -> Finding {
    match &host.kvm {
        Ok(()) if host.virtualisation => Finding::ok(KVM, "/dev/kvm opens and the processor offers virtualisation."),
        Ok(()) => Finding::of(
            KVM,
            FindingState::Note,
            Problem::new(
                ProblemCode::DependencyMissing,
                "KVM is available, but not used.",
                "The processor offers neither vmx nor svm. So this computer is a virtual machine itself, and KVM in it is slower.",
                "Use a computer with virtualisation; to try KVM all the same: pixelrts boot --accel kvm SOURCE",
            ),
        ),
        Err(why) if device => Finding::of(
            KVM,
            FindingState::Warning,
            Problem::new(
                ProblemCode::PermissionDenied,
                "This user is not allowed to use KVM.",
                format!("/dev/kvm: {why}"),
                "Join the group of the device, then log in again. It is usually kvm: sudo usermod -aG kvm \"$USER\"",
            ),
        ),
        Err(why) => Finding::of(
            KVM,
            FindingState::Note,
            Problem::new(
                ProblemCode::DependencyMissing,
                "KVM is not available, so machines are emulated, which is slower.",
                format!("/dev/kvm: {why}"),
                "Switch virtualisation on in the firmware, then: sudo modprobe -a kvm_intel kvm_amd. \
                 In a container, pass the device: --device /dev/kvm",
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_told_what_is_used_and_why() {
        let host = |kvm: Result<(), &str>, virtualisation| HostFacts {
            architecture: "x86_64".to_owned(),
            kvm: kvm.map_err(str::to_owned),
            virtualisation,
            kvm_is_faster: None,
            memory: 1 << 30,
            cpus: 4,
        };
        for (facts, device, state, used) in [
            (host(Ok(()), true), true, FindingState::Ok, "use KVM"),
            (host(Ok(()), false), true, FindingState::Note, "TCG): /dev/kvm can be opened, but"),
            (host(Err("Permission denied"), true), true, FindingState::Warning, "Permission denied"),
            (host(Err("No such file"), false), false, FindingState::Note, "No such file"),
        ] {
            assert_eq!(kvm(&facts, device).state, state, "{facts:?}");
            assert!(look(&facts)[0].says.contains(used), "{:?}", look(&facts));
        }
    }
}
