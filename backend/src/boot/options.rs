//! From the shared rule to the options of a machine.

use pixelrts_shared::Problem;
use pixelrts_shared::boot::{BootDefaults, BootSettings, HostLimits, ImageWishes, LEAST_MEMORY, decide};
use pixelrts_shared::machine::{BootRequest, Net};
use pixelrts_shared::size::Size;

use crate::image::Metadata;
use crate::machine::{BootOptions, HostFacts, command_line_of};

/// What the rule must know: the defaults of the configuration, and what this computer has.
pub(super) fn settings(defaults: &BootOptions, host: &HostFacts) -> BootSettings {
    BootSettings {
        defaults: BootDefaults {
            memory: defaults.memory,
            cpus: defaults.cpus,
            net: defaults.net,
            cmdline: command_line_of(&host.architecture),
        },
        limits: HostLimits { memory: Size::from_mebibytes(host.memory >> 20), cpus: host.cpus },
    }
}

/// Decides what a machine is booted with. What the rule does not cover is as in `defaults`.
pub(super) fn options(
    request: &BootRequest,
    image: &ImageWishes,
    defaults: &BootOptions,
    host: &HostFacts,
) -> BootOptions {
    let decision = decide(request, image, &settings(defaults, host));
    BootOptions {
        memory: decision.memory,
        cpus: decision.cpus,
        net: decision.net,
        cmdline: request.cmdline.clone(),
        append: request.append.clone(),
        notes: decision.notes.iter().map(ToString::to_string).collect(),
        ..defaults.clone()
    }
}

/// Refuses what a person requests and no machine can have, before anything is fetched.
pub fn check_request(request: &BootRequest) -> Result<(), Problem> {
    let asked = BootOptions {
        memory: request.memory.unwrap_or(LEAST_MEMORY),
        cpus: request.cpus.unwrap_or(1),
        net: request.net.unwrap_or(Net::None),
        ..BootOptions::default()
    };
    Ok(asked.check(&HostFacts::gather())?)
}

pub(super) fn wishes_of(metadata: Metadata) -> ImageWishes {
    ImageWishes { memory: metadata.memory, cpus: metadata.cpus, net: metadata.net }
}
