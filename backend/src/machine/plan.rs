//! From the options of a boot and what the image says to QEMU's arguments. Pure: it touches no file and starts nothing.
//!
//! The arguments are a vector and never pass through a shell. Text from outside (the kernel's command line, names of
//! segments) is always an argument of its own, the value of `-append`, `-kernel` or `-initrd`, which QEMU takes
//! literally. The option of a disk is the only one that QEMU splits at commas and that carries such text; there commas
//! are doubled.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use pixelrts_shared::Size;
use pixelrts_shared::catalog::Role;
use pixelrts_shared::machine::{Accel, AccelKind, Net};

use super::MachineError;
use super::accel::{HostFacts, choose};
use super::options::BootOptions;
use crate::image::{Image, Segment};
use crate::report::shell_word;

/// What the image says about its boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ImageFacts {
    /// As in the metadata. When it is absent, it is the architecture of the host.
    pub(super) architecture: Option<String>,
    pub(super) cmdline: Option<String>,
    pub(super) kernel: PathBuf,
    pub(super) initrd: Option<PathBuf>,
    pub(super) disks: Option<Disks>,
}

/// Disks of an image, as an NBD server offers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disks {
    pub(super) socket: PathBuf,
    /// The names of the segments, which are the names of the exports. There is at least one.
    pub(super) names: Vec<String>,
}

impl ImageFacts {
    /// The facts of an image that is mounted at `mountpoint`, and whose disks are served at `socket`.
    pub(super) fn of(image: &Image, mountpoint: &Path, socket: &Path) -> Result<Self, MachineError> {
        let disks = image.segments().iter().filter(|segment| segment.role == Role::Disk);
        let names: Vec<_> = disks.map(|segment| segment.name.clone()).collect();
        let file = |segment: &Segment| mountpoint.join(&segment.name);
        let metadata = image.metadata();
        Ok(Self {
            architecture: metadata.architecture.clone(),
            cmdline: metadata.cmdline.clone(),
            kernel: image.first(Role::Kernel).map(file).ok_or(MachineError::NoKernel)?,
            initrd: image.first(Role::Initrd).map(file),
            disks: (!names.is_empty()).then(|| Disks { socket: socket.to_owned(), names }),
        })
    }
}

/// The descriptors that QEMU inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wires {
    pub(super) serial: RawFd,
    pub(super) qmp: RawFd,
}

/// A QEMU to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub program: String,
    pub arguments: Vec<OsString>,
    pub accel: Accel,
    /// The Debian package that contains the program.
    pub(super) package: &'static str,
}

/// What QEMU needs to know for an architecture.
struct Target {
    name: &'static str,
    package: &'static str,
    machine: &'static str,
    /// Where the kernel writes when no command line says anything else.
    console: &'static str,
    /// The device that reports a guest's panic to QEMU.
    pvpanic: &'static str,
}

const TARGETS: [Target; 3] = [
    Target { name: "x86_64", package: "qemu-system-x86", machine: "pc", console: "ttyS0", pvpanic: "pvpanic" },
    Target { name: "aarch64", package: "qemu-system-arm", machine: "virt", console: "ttyAMA0", pvpanic: "pvpanic-pci" },
    Target { name: "riscv64", package: "qemu-system-misc", machine: "virt", console: "ttyS0", pvpanic: "pvpanic-pci" },
];

const DISK_DEVICE: &str = "virtio-blk-pci";
const NET_DEVICE: &str = "virtio-net-pci";

/// Parameters that let a kernel skip what a machine on a serial line does not need: the search for a PS/2 mouse and
/// keyboard, and a test of each cipher. A kernel that does not know them ignores them.
pub const LEAN_BOOT: &str = "i8042.noaux i8042.nokbd cryptomgr.notests";

/// `COMMAND_LINE_SIZE` of Linux on x86 and ARM, without the final zero. The kernel would cut off the rest silently.
const MAX_CMDLINE: usize = 2047;
/// So many seconds a read waits for an NBD server that has ended.
const RECONNECT: u32 = 30;

/// What plans for one architecture need of QEMU, with the names that QEMU uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    pub machine: &'static str,
    pub devices: [&'static str; 3],
}

/// What a plan for guests of this architecture needs; `None` when the architecture is not supported.
#[must_use]
pub fn needs_of(architecture: &str) -> Option<Needs> {
    let target = TARGETS.iter().find(|target| target.name == architecture)?;
    Some(Needs { machine: target.machine, devices: [target.pvpanic, NET_DEVICE, DISK_DEVICE] })
}

/// The program that runs guests of an architecture, and the Debian package that contains it.
pub(super) fn qemu_of(architecture: &str) -> Option<(String, &'static str)> {
    let target = TARGETS.iter().find(|target| target.name == architecture)?;
    Some((format!("qemu-system-{}", target.name), target.package))
}

impl BootOptions {
    /// The kernel's command line: the requested one, else the image's, else its console and a lean boot. What is to be
    /// appended follows.
    fn command_line(&self, image: Option<&str>, console: &str) -> Result<String, MachineError> {
        let mut line = match self.cmdline.as_deref().or(image) {
            Some(line) => line.to_owned(),
            // The further arguments may add a screen, and its user types on a PS/2 keyboard. The messages of an unknown
            // kernel are not suppressed, because they explain why it does not start.
            None if self.qemu_args.is_empty() => default_command_line(console),
            None => format!("console={console}"),
        };
        if let Some(append) = &self.append {
            line.push(' ');
            line.push_str(append);
        }
        let line = line.trim();
        if line.len() > MAX_CMDLINE || line.chars().any(char::is_control) {
            return Err(MachineError::Cmdline { length: line.len(), most: MAX_CMDLINE });
        }
        Ok(line.to_owned())
    }
}

/// For a guest without a command line of its own.
fn default_command_line(console: &str) -> String {
    format!("console={console} {LEAN_BOOT}")
}

/// The kernel's command line of a guest of this architecture, when neither the request nor the image has one. It is
/// empty where no machine can be made.
#[must_use]
pub fn command_line_of(architecture: &str) -> String {
    target(architecture).map(|target| default_command_line(target.console)).unwrap_or_default()
}

/// Whole MiB, as people who read the list of processes expect them, else bytes. Both are exact.
fn qemu_memory(size: Size) -> String {
    let bytes = size.bytes();
    if bytes.is_multiple_of(1 << 20) { format!("{}M", bytes >> 20) } else { format!("{bytes}B") }
}

/// Text within an option that QEMU splits at commas.
fn escaped(text: &str) -> String {
    text.replace(',', ",,")
}

/// Makes the plan. `name` is the id of the machine; it appears in the list of processes.
pub(super) fn plan(
    options: &BootOptions,
    image: &ImageFacts,
    host: &HostFacts,
    wires: Wires,
    name: &str,
) -> Result<Plan, MachineError> {
    options.check(host)?;
    let target = target(image.architecture.as_deref().unwrap_or(&host.architecture))?;
    let accel = choose(options.accel, host, target.name)?;
    let command_line = options.command_line(image.cmdline.as_deref(), target.console)?;

    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
    add(&["-name", name, "-nodefaults", "-no-user-config", "-vga", "none", "-display", "none", "-no-reboot"]);
    add(&["-machine", target.machine]);
    add(match accel.used {
        AccelKind::Kvm => &["-accel", "kvm", "-cpu", "host"],
        AccelKind::Tcg => &["-accel", "tcg", "-cpu", "max"],
    });
    add(&["-m", &qemu_memory(options.memory), "-smp", &options.cpus.to_string()]);
    add(&["-chardev", &format!("socket,id=serial,fd={}", wires.serial), "-serial", "chardev:serial"]);
    add(&["-chardev", &format!("socket,id=qmp,fd={}", wires.qmp), "-mon", "chardev=qmp,mode=control"]);
    add(&["-device", target.pvpanic]);
    if options.net == Net::Restricted {
        // The romfile is empty, because network boot is not offered, and its ROM costs time.
        add(&["-netdev", "user,id=net,restrict=on", "-device", &format!("{NET_DEVICE},netdev=net,romfile=")]);
    }
    for (number, name) in image.disks.iter().flat_map(|disks| disks.names.iter().enumerate()) {
        let socket = image.disks.as_ref().map(|disks| disks.socket.to_string_lossy()).unwrap_or_default();
        // What the guest writes goes to a file without a name, which vanishes with QEMU. A read that fails stops the
        // guest instead of giving it an error, because the server may come back.
        let drive = format!(
            "if=none,id=disk{number},snapshot=on,rerror=stop,driver=raw,file.driver=nbd,file.server.type=unix,\
             file.server.path={},file.export={},file.reconnect-delay={RECONNECT}",
            escaped(&socket),
            escaped(name),
        );
        // A guest sees 20 bytes of a serial number, as in /dev/disk/by-id.
        let serial: String = name.chars().take(20).collect();
        add(&["-drive", &drive]);
        add(&["-device", &format!("{DISK_DEVICE},drive=disk{number},serial={}", escaped(&serial))]);
    }
    add(&["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]);
    add(&["-append", &command_line, "-kernel"]);
    arguments.push(image.kernel.clone().into_os_string());
    if let Some(initrd) = &image.initrd {
        arguments.extend([OsString::from("-initrd"), initrd.clone().into_os_string()]);
    }
    arguments.extend(options.qemu_args.iter().map(OsString::from));
    Ok(Plan { program: format!("qemu-system-{}", target.name), arguments, accel, package: target.package })
}

/// The plan for `image` without a machine. The mount and the descriptors in it are examples.
pub fn preview(options: &BootOptions, image: &Image, host: &HostFacts) -> Result<Plan, MachineError> {
    let facts = ImageFacts::of(image, Path::new("MOUNT"), Path::new("NBD"))?;
    plan(options, &facts, host, Wires { serial: 3, qmp: 4 }, "pixelrts")
}

impl Plan {
    /// One line that a POSIX shell splits into the same words.
    #[must_use]
    pub fn shell_line(&self) -> String {
        let words = self.arguments.iter().map(shell_word);
        std::iter::once(self.program.clone()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

fn target(architecture: &str) -> Result<&'static Target, MachineError> {
    let name = match architecture {
        "amd64" | "x86-64" | "i386" | "i686" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .ok_or_else(|| MachineError::Architecture { found: architecture.to_owned() })
}

#[cfg(test)]
mod tests;
