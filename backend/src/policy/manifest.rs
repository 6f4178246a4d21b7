//! What a module needs to exist before it starts.
//!
//! Each module declares its own manifest beside its code; the linker collects them, so no list has to be kept. The
//! bootstrap phase makes all of it before any module runs: directories, the database with its tables, files,
//! programs in a version that will do. A module may then assume that it is there.

use std::io;
use std::path::PathBuf;

use linkme::distributed_slice;
use pixelrts_shared::Problem;

use crate::database::Schema;
use crate::paths::Paths;

/// All manifests of this program, in no order.
#[distributed_slice]
pub static MANIFESTS: [Manifest];

/// The needs of one module.
#[derive(Debug)]
pub struct Manifest {
    /// The name in `/health`.
    pub module: &'static str,
    pub needed_by: NeededBy,
    /// When its directories cannot be made, the backend does not start. Otherwise it starts without the module.
    pub essential: bool,
    pub directories: &'static [Directory],
    pub database: Option<&'static Schema>,
    pub files: &'static [File],
    pub programs: fn() -> Vec<Program>,
    pub devices: &'static [Device],
}

/// A module that needs nothing; for `..Manifest::NOTHING`.
impl Manifest {
    pub const NOTHING: Self = Self {
        module: "",
        needed_by: NeededBy::Everyone,
        essential: true,
        directories: &[],
        database: None,
        files: &[],
        programs: Vec::new,
        devices: &[],
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededBy {
    /// Every role and command.
    Everyone,
    /// All but role `catalog`.
    Shell,
    /// Programs that start machines: the backend of a shell, and `boot`, which needs nothing else.
    Machines,
}

#[derive(Clone, Copy, Debug)]
pub struct Directory {
    pub at: fn(&Paths) -> PathBuf,
    /// It has mode 0700 and belongs to this user.
    pub private: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct File {
    pub at: fn(&Paths) -> PathBuf,
    pub content: Content,
}

#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// The file is written again when its content differs.
    Exactly(&'static str),
    /// A first content. A file that exists is kept.
    Initially(&'static str),
}

/// A program of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The name that people read.
    pub title: &'static str,
    /// The file that is looked for in `PATH`.
    pub file: String,
    /// The Debian package that brings it.
    pub package: &'static str,
    /// The oldest version that will do, as in `[6, 0]`; `None`: any.
    pub least: Option<&'static [u32]>,
}

/// A device that must open for reading and writing.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    pub path: &'static str,
    /// The problem to report when it does not open.
    pub refused: fn(io::Error) -> Problem,
}

/// Declares a manifest.
macro_rules! manifest {
    ($($field:tt)*) => {
        $crate::policy::declare!(
            $crate::policy::manifest::MANIFESTS,
            $crate::policy::manifest::Manifest,
            $crate::policy::manifest::Manifest { $($field)*, ..$crate::policy::manifest::Manifest::NOTHING }
        );
    };
}
pub(crate) use manifest;
