//! Everything that can go wrong with a machine, and what a person reads then.

use std::io;
use std::path::PathBuf;

use pixelrts_shared::{Level, Problem, ProblemCode, Size};

use super::qmp::QmpError;
use crate::export::MountError;
use crate::image::ImageError;
use crate::report::shell_word;

#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    // The request.
    #[error("{asked} of memory is not between {least} and {most}")]
    MemoryOutside { asked: Size, least: Size, most: Size },
    #[error("{asked} processors is not between 1 and {most}")]
    Cpus { asked: u32, most: u32 },
    #[error("a kernel command line of {length} bytes is longer than {most} bytes, or has control characters")]
    Cmdline { length: usize, most: usize },
    #[error("network mode `internet` is not available yet")]
    InternetUnavailable,
    #[error("KVM cannot run a guest for {guest} on {host}")]
    KvmForeign { host: String, guest: String },

    // The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("the path leads to another image than the one that was verified")]
    OtherImage { path: PathBuf },
    #[error("the image has no kernel")]
    NoKernel,
    #[error("the image is for the architecture {found:?}, which is not supported")]
    Architecture { found: String },

    // The host.
    #[error("{program} is not installed")]
    QemuMissing { program: String, package: &'static str },
    #[error("KVM cannot be used: {reason}")]
    KvmUnavailable { reason: String },
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("{path} cannot be used: {source}")]
    RunDir { path: PathBuf, source: io::Error },
    #[error("{path} is not private: {found}")]
    RunDirUnsafe { path: PathBuf, found: String },
    #[error("the system gives no random bytes: {0}")]
    Random(String),

    // QEMU and the machine process.
    #[error("{program} cannot be started: {source}")]
    Spawn { program: String, source: io::Error },
    /// It ended before it answered.
    #[error("QEMU ended before the machine ran: {how}")]
    QemuEnded { how: String, output: String },
    /// It ended while the machine ran.
    #[error("QEMU ended by itself: {how}")]
    QemuCrashed { how: String, output: String },
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error("{step} took longer than {seconds} s")]
    Slow { step: &'static str, seconds: u64 },
    #[error("the machine process does not answer")]
    ProcessSilent { seconds: u64 },
    #[error("the machine process was killed and has not ended")]
    ProcessStuck { seconds: u64 },
    #[error("the machine process has ended")]
    ProcessDied { log: String },

    // The guest.
    #[error("the guest's kernel panicked: {line}")]
    Panicked { line: String },
}

impl From<MachineError> for Problem {
    #[expect(clippy::too_many_lines, reason = "one row per error")]
    fn from(error: MachineError) -> Self {
        use ProblemCode as Code;
        match error {
            MachineError::MemoryOutside { asked, least, most } => Self::new(
                Code::Usage,
                format!("A machine cannot have {asked} of memory here."),
                format!("It needs at least {}, and this computer has {}.", least.as_memory(), most.as_memory()),
                format!("Use {}M to {}M.", least.bytes() >> 20, most.bytes() >> 20),
            ),
            MachineError::Cpus { asked, most } => Self::new(
                Code::Usage,
                format!("A machine cannot have {asked} processors."),
                format!("It can have 1 to {most}."),
                "Use 2, for example.",
            ),
            MachineError::Cmdline { length, most } => Self::new(
                Code::Usage,
                "The kernel's command line cannot be used.",
                format!("It has {length} bytes. At most {most} bytes are allowed, and no control characters."),
                "Shorten it, and keep it on one line.",
            ),
            MachineError::InternetUnavailable => Self::new(
                Code::DependencyMissing,
                "A machine cannot reach the internet yet.",
                "This needs an isolated network, which PixelRTS cannot make yet. An open one would expose this computer.",
                "Use restricted or none: with --net, or as boot.net in the configuration.",
            ),
            MachineError::KvmForeign { host, guest } => Self::new(
                Code::Usage,
                format!("KVM cannot run a guest for {guest}."),
                format!("This computer is {host}, and KVM runs only guests of the same architecture."),
                "Use auto: with --accel, or as boot.accel in the configuration.",
            ),
            MachineError::Image(error) => error.into(),
            MachineError::OtherImage { path } => Self::new(
                Code::ImageReplaced,
                "The file of the image was replaced.",
                format!("{} holds another image than the one that was verified for this machine.", path.display()),
                "Start the machine again. If you replaced the file on purpose, its new image is listed within a minute.",
            ),
            MachineError::NoKernel => Self::new(
                Code::NoKernel,
                "The image cannot be booted.",
                "It has no kernel: none of its segments has the role `kernel`.",
                "Pack it again with a kernel: pixelrts pack --from IMAGE --kernel FILE -o OUT.rts.png",
            ),
            MachineError::Architecture { found } => Self::new(
                Code::ImageUnsupported,
                format!("The image is for the architecture {found:?}."),
                "PixelRTS can run machines for x86_64, aarch64 and riscv64.",
                "Choose an image for one of these architectures.",
            ),
            MachineError::QemuMissing { program, package } => Self::new(
                Code::DependencyMissing,
                "QEMU is not installed.",
                format!("The program {program} was not found."),
                format!("Install it: sudo apt install {package}"),
            ),
            MachineError::KvmUnavailable { reason } => Self::new(
                Code::DependencyMissing,
                "KVM cannot be used.",
                format!("/dev/kvm cannot be opened: {reason}."),
                "Use auto (--accel, or boot.accel in the configuration); or join the group of /dev/kvm, then log in \
                 again: sudo usermod -aG kvm \"$USER\"",
            ),
            MachineError::Mount(error) => error.into(),
            MachineError::RunDir { path, source } => Self::new(
                match source.kind() {
                    io::ErrorKind::PermissionDenied => Code::PermissionDenied,
                    io::ErrorKind::StorageFull => Code::StorageFull,
                    _ => Code::StorageFailed,
                },
                format!("{} cannot be used.", path.display()),
                source.to_string(),
                "Set XDG_RUNTIME_DIR to a directory of your own, with a short path and space in it.",
            ),
            MachineError::RunDirUnsafe { path, found } => Self::new(
                Code::PermissionDenied,
                format!("{} is not private.", path.display()),
                format!("It must be a directory of your own with mode 700, but {found}."),
                format!("Check who created it, then remove it: rm -r {}", shell_word(&path)),
            ),
            MachineError::Random(reason) => Self::new(
                Code::Internal,
                "The system gives no random bytes.",
                reason,
                "Check that /dev/urandom exists.",
            ),
            MachineError::Spawn { program, source } => Self::new(
                if source.kind() == io::ErrorKind::PermissionDenied {
                    Code::PermissionDenied
                } else {
                    Code::MachineFailed
                },
                format!("{program} cannot be started."),
                source.to_string(),
                "Check that there is free memory, and check the limit of processes: ulimit -u",
            ),
            MachineError::QemuEnded { how, output } => {
                let fix = "Read QEMU's output; pixelrts boot --dry-run shows how it is called.";
                quoting(Self::new(Code::MachineFailed, "QEMU ended before the machine ran.", how, fix), output)
            }
            MachineError::QemuCrashed { how, output } => {
                let fix = "Start the machine again. If this computer ran out of memory, give the machine less: \
                    --memory, or boot.memory in the configuration.";
                quoting(Self::new(Code::MachineCrashed, "QEMU ended by itself.", how, fix), output)
            }
            MachineError::Qmp(error) => Self::new(
                Code::MachineFailed,
                "QEMU does not answer.",
                error.to_string(),
                "Try again. The computer may be overloaded.",
            ),
            MachineError::Slow { step, seconds } => Self::new(
                Code::MachineFailed,
                format!("{step} took too long."),
                format!("It was not done within {seconds} s."),
                "Try again. The computer or its disk may be overloaded.",
            ),
            MachineError::ProcessSilent { seconds } => {
                let mut problem = Self::new(
                    Code::MachineSilent,
                    "The machine's process does not answer.",
                    format!("It reports every few seconds, and has reported nothing for {seconds} s."),
                    "Wait until it answers again, or stop the machine. Stopping kills the process.",
                );
                problem.level = Level::Warn;
                problem
            }
            MachineError::ProcessStuck { seconds } => Self::new(
                Code::Busy,
                "The machine does not stop.",
                format!("Its process has not ended {seconds} s after it was killed."),
                "Check for a disk or a mount that hangs: findmnt; dmesg | tail. The machine ends when the system lets \
                 go of its process.",
            ),
            MachineError::ProcessDied { log } => {
                let (what, why) =
                    ("The machine's process has ended.", "It was killed, or it failed before it could report why.");
                quoting(Self::new(Code::MachineCrashed, what, why, "Start the machine again."), log)
            }
            MachineError::Panicked { line } => Self::new(
                Code::MachinePanicked,
                "The guest's kernel panicked.",
                line,
                "Read the console's output above the panic. Often the command line or the initrd is wrong.",
            ),
        }
    }
}

/// Adds the last output of a program, if there is any.
fn quoting(problem: Problem, output: String) -> Problem {
    if output.is_empty() { problem } else { problem.context(output) }
}
