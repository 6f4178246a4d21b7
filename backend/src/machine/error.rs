//! Everything that can go wrong with a machine, and how a person is told.

use std::io;
use std::path::PathBuf;

use pixelrts_shared::{Level, Problem, ProblemCode};

use super::qmp::QmpError;
use crate::export::MountError;
use crate::image::ImageError;
use crate::report::shell_word;

#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    // What was asked for.
    #[error("{asked:?} is no memory size")]
    Memory { asked: String },
    #[error("{asked} of memory is outside {least} to {most} bytes")]
    MemoryOutside { asked: String, least: u64, most: u64 },
    #[error("{asked} processors are outside 1 to {most}")]
    Cpus { asked: u32, most: u32 },
    #[error("a kernel command line of {length} bytes is longer than {most} or has control characters")]
    Cmdline { length: usize, most: usize },
    #[error("network mode `internet` is not available yet")]
    InternetUnavailable,
    #[error("KVM runs no {guest} guests on {host}")]
    KvmForeign { host: String, guest: String },

    // What the image is.
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("the image has no kernel")]
    NoKernel,
    #[error("no QEMU target for architecture {found:?}")]
    Architecture { found: String },

    // What the host lacks.
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
    #[error("no random bytes: {0}")]
    Random(String),

    // QEMU and the machine process.
    #[error("{program} cannot be started: {source}")]
    Spawn { program: String, source: io::Error },
    /// Before it answered.
    #[error("QEMU ended: {how}")]
    QemuEnded { how: String, said: String },
    /// While the machine ran.
    #[error("QEMU ended without being told to: {how}")]
    QemuCrashed { how: String, said: String },
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error("{step} took longer than {seconds} s")]
    Slow { step: &'static str, seconds: u64 },
    #[error("the machine process says nothing")]
    ProcessSilent { seconds: u64 },
    #[error("the machine process has ended")]
    ProcessDied { said: String },

    // The guest.
    #[error("the guest's kernel panicked: {line}")]
    Panicked { line: String },
}

impl From<MachineError> for Problem {
    #[expect(clippy::too_many_lines, reason = "one row per error")]
    fn from(error: MachineError) -> Self {
        use ProblemCode as Code;
        match error {
            MachineError::Memory { asked } => Self::new(
                Code::Usage,
                format!("{asked:?} is no memory size."),
                "A size is a whole number with M or G behind it.",
                "Ask for 512M or 2G, for example.",
            ),
            MachineError::MemoryOutside { asked, least, most } => Self::new(
                Code::Usage,
                format!("A machine cannot have {asked} of memory here."),
                format!("The least is {} MiB, and this computer has {} MiB.", least >> 20, most >> 20),
                format!("Ask for at most {}M.", most >> 20),
            ),
            MachineError::Cpus { asked, most } => Self::new(
                Code::Usage,
                format!("A machine cannot have {asked} processors."),
                format!("1 to {most} are possible."),
                "Ask for 2, for example.",
            ),
            MachineError::Cmdline { length, most } => Self::new(
                Code::Usage,
                "The kernel's command line cannot be used.",
                format!("It has {length} bytes, {most} are possible, and control characters are not."),
                "Shorten it, and keep it on one line.",
            ),
            MachineError::InternetUnavailable => Self::new(
                Code::DependencyMissing,
                "A machine cannot reach the internet yet.",
                "The isolated network that this needs is not available yet, and an open one would expose this computer.",
                "Use --net restricted or --net none.",
            ),
            MachineError::KvmForeign { host, guest } => Self::new(
                Code::Usage,
                format!("KVM cannot run a guest for {guest}."),
                format!("This computer is {host}, and KVM runs only its own architecture."),
                "Use --accel auto.",
            ),
            MachineError::Image(error) => error.into(),
            MachineError::NoKernel => Self::new(
                Code::NoKernel,
                "The image cannot be booted.",
                "It has no segment with the role kernel.",
                "See what it holds: pixelrts inspect IMAGE",
            ),
            MachineError::Architecture { found } => Self::new(
                Code::ImageUnsupported,
                format!("The image is for the architecture {found:?}."),
                "Machines of x86_64, aarch64 and riscv64 can be made.",
                "Choose an image for one of these.",
            ),
            MachineError::QemuMissing { program, package } => Self::new(
                Code::DependencyMissing,
                "QEMU is not installed.",
                format!("There is no program {program}."),
                format!("Install it: sudo apt install {package}"),
            ),
            MachineError::KvmUnavailable { reason } => Self::new(
                Code::DependencyMissing,
                "KVM cannot be used.",
                format!("/dev/kvm does not open: {reason}."),
                "Use --accel auto, or join the group of /dev/kvm: sudo usermod -aG kvm $USER",
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
                format!("Found {found}; it must be a directory of yours with mode 700."),
                format!("See who made it, then: rm -r {}", shell_word(&path)),
            ),
            MachineError::Random(reason) => Self::new(
                Code::Internal,
                "The system gives no random bytes.",
                reason,
                "Check that /dev/urandom is there.",
            ),
            MachineError::Spawn { program, source } => Self::new(
                if source.kind() == io::ErrorKind::PermissionDenied {
                    Code::PermissionDenied
                } else {
                    Code::MachineFailed
                },
                format!("{program} cannot be started."),
                source.to_string(),
                "Check memory and the limit of processes (ulimit -u).",
            ),
            MachineError::QemuEnded { how, said } => {
                let fix = "See what QEMU said; pixelrts boot --dry-run shows how it is called.";
                quoting(Self::new(Code::MachineFailed, "QEMU ended before the machine ran.", how, fix), said)
            }
            MachineError::QemuCrashed { how, said } => {
                let fix = "Start the machine again; when memory had run out, give it less with --memory.";
                quoting(Self::new(Code::MachineCrashed, "QEMU ended without being told to.", how, fix), said)
            }
            MachineError::Qmp(error) => Self::new(
                Code::MachineFailed,
                "QEMU does not answer.",
                error.to_string(),
                "Try again; the computer may be overloaded.",
            ),
            MachineError::Slow { step, seconds } => Self::new(
                Code::MachineFailed,
                format!("Too slow: {step}."),
                format!("It was not done after {seconds} s."),
                "Try again; the computer or the disk may be overloaded.",
            ),
            MachineError::ProcessSilent { seconds } => {
                let mut problem = Self::new(
                    Code::MachineSilent,
                    "The machine's process does not answer.",
                    format!("It gives a sign of life every few seconds, and has given none for {seconds} s."),
                    "Wait for it, or stop the machine: then it is killed.",
                );
                problem.level = Level::Warn;
                problem
            }
            MachineError::ProcessDied { said } => {
                let (what, why) =
                    ("The machine's process has ended.", "it was killed, or failed before it could say why");
                quoting(Self::new(Code::MachineCrashed, what, why, "Start the machine again."), said)
            }
            MachineError::Panicked { line } => Self::new(
                Code::MachinePanicked,
                "The guest's kernel panicked.",
                line,
                "Read the console's output above the panic; often the command line or the initrd is wrong.",
            ),
        }
    }
}

/// What a program said last, if it said anything.
fn quoting(problem: Problem, said: String) -> Problem {
    if said.is_empty() { problem } else { problem.context(said) }
}
