//! What a machine is booted with when the request leaves something open: first what the image asks for, then the
//! defaults of the backend.
//!
//! The rule is pure, so that the backend, the command line and the shell come to the same result. A person decides
//! freely: what a request names is taken as it is, and the backend refuses it in words when it is impossible. An image
//! is a guest: it gets memory and processors up to what the host has, and it may ask for less network than the default,
//! never for more. What the image leaves open, the entry of a catalog may ask for; a wish of a catalog that is impossible
//! here counts for nothing, because a catalog may be wrong about an image. Whenever the machine gets something else than
//! is asked for it, a [`BootNote`] says so.

pub mod wish_format;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::shown;
use crate::catalog::Entry;
use crate::machine::{BootRequest, Net};
use crate::size::Size;

/// A Linux kernel and a small initrd need this much memory. No machine gets less.
pub const LEAST_MEMORY: Size = Size::from_mebibytes(32);
/// No machine gets more processors: each of them is a thread of QEMU.
pub const MOST_CPUS: u32 = 64;

/// The answer of `GET /api/v1/settings`: what the shell would have to invent otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellSettings {
    pub boot: BootSettings,
}

/// What the rule must know about the backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootSettings {
    pub defaults: BootDefaults,
    pub limits: HostLimits,
}

/// What a machine gets when neither the request nor the image says anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootDefaults {
    pub memory: Size,
    pub cpus: u32,
    pub net: Net,
    /// The kernel's command line for a guest of the host's architecture. It names the console.
    pub cmdline: String,
}

/// What the backend's computer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLimits {
    pub memory: Size,
    pub cpus: u32,
}

/// What is asked for a machine of an image, word for word: nothing in it has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageWishes {
    pub memory: Option<Wish>,
    pub cpus: Option<Wish>,
    pub net: Option<Wish>,
}

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub said: String,
    pub by: Wisher,
}

/// Who has a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wisher {
    /// The image itself, in its metadata.
    Image,
    /// The entry in the catalog of a server.
    Catalog,
}

impl Wish {
    #[must_use]
    pub fn of(said: Option<impl ToString>, by: Wisher) -> Option<Self> {
        said.map(|said| Self { said: said.to_string(), by })
    }
}

impl ImageWishes {
    /// The wishes in an entry. `by`: whose description it is.
    #[must_use]
    pub fn of(entry: &Entry, by: Wisher) -> Self {
        Self {
            memory: Wish::of(entry.memory.as_ref(), by),
            cpus: Wish::of(entry.cpus.as_ref(), by),
            net: Wish::of(entry.net.as_ref(), by),
        }
    }

    /// Fills in what is not said here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { memory: self.memory.or(other.memory), cpus: self.cpus.or(other.cpus), net: self.net.or(other.net) }
    }
}

/// What a machine is booted with, and what the person should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootDecision {
    pub memory: Size,
    pub cpus: u32,
    pub net: Net,
    pub notes: Vec<BootNote>,
}

/// Why a machine does not get what is asked for it. Its text is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootNote {
    MemoryUnreadable {
        by: Wisher,
        asked: String,
        used: Size,
    },
    MemoryTooLittle {
        by: Wisher,
        asked: String,
        used: Size,
    },
    /// The image asks for more than there is, and gets all of it.
    MemoryLimited {
        asked: String,
        used: Size,
    },
    /// A catalog asks for more than there is, and the machine gets the default.
    MemoryBeyond {
        asked: String,
        used: Size,
    },
    CpusUnreadable {
        by: Wisher,
        asked: String,
        used: u32,
    },
    /// The image asks for more than there are, and gets all of them.
    CpusLimited {
        asked: u32,
        used: u32,
    },
    /// The backend's default is more than its computer has.
    DefaultMemoryLimited {
        asked: Size,
        used: Size,
    },
    /// A catalog asks for more than there are, and the machine gets the default.
    CpusBeyond {
        asked: u32,
        used: u32,
    },
    NetUnreadable {
        by: Wisher,
        asked: String,
        used: Net,
    },
    NetNotRaised {
        by: Wisher,
        asked: Net,
        used: Net,
    },
    /// The person asked for it.
    CpusShared {
        asked: u32,
        host: u32,
    },
}

/// The rule.
#[must_use]
pub fn decide(request: &BootRequest, image: &ImageWishes, settings: &BootSettings) -> BootDecision {
    let mut notes = Vec::new();
    let memory = request.memory.unwrap_or_else(|| memory(image, settings, &mut notes));
    let cpus = match request.cpus {
        Some(asked) => {
            let host = settings.limits.cpus;
            notes.extend((asked > host).then_some(BootNote::CpusShared { asked, host }));
            asked
        }
        None => cpus(image, settings, &mut notes),
    };
    let net = request.net.unwrap_or_else(|| net(image, settings.defaults.net, &mut notes));
    BootDecision { memory, cpus, net, notes }
}

fn memory(image: &ImageWishes, settings: &BootSettings, notes: &mut Vec<BootNote>) -> Size {
    let most = settings.limits.memory;
    let default = settings.defaults.memory.min(most);
    let Some(Wish { said, by }) = &image.memory else {
        let asked = settings.defaults.memory;
        notes.extend((asked > most).then_some(BootNote::DefaultMemoryLimited { asked, used: default }));
        return default;
    };
    let (by, asked) = (*by, shown(said));
    let (note, used) = match said.parse::<Size>() {
        Err(_) => (BootNote::MemoryUnreadable { by, asked, used: default }, default),
        Ok(size) if size < LEAST_MEMORY => (BootNote::MemoryTooLittle { by, asked, used: default }, default),
        Ok(size) if size > most => match by {
            Wisher::Image => (BootNote::MemoryLimited { asked, used: most }, most),
            Wisher::Catalog => (BootNote::MemoryBeyond { asked, used: default }, default),
        },
        Ok(size) => return size,
    };
    notes.push(note);
    used
}

fn cpus(image: &ImageWishes, settings: &BootSettings, notes: &mut Vec<BootNote>) -> u32 {
    let default = settings.defaults.cpus;
    let most = settings.limits.cpus.min(MOST_CPUS);
    let Some(Wish { said, by }) = &image.cpus else { return default };
    let (note, used) = match (said.parse(), by) {
        (Err(_) | Ok(0), by) => (BootNote::CpusUnreadable { by: *by, asked: shown(said), used: default }, default),
        (Ok(asked), Wisher::Image) if asked > most => (BootNote::CpusLimited { asked, used: most }, most),
        (Ok(asked), Wisher::Catalog) if asked > most => (BootNote::CpusBeyond { asked, used: default }, default),
        (Ok(asked), _) => return asked,
    };
    notes.push(note);
    used
}

fn net(image: &ImageWishes, default: Net, notes: &mut Vec<BootNote>) -> Net {
    let Some(Wish { said, by }) = &image.net else { return default };
    let by = *by;
    let note = match said.parse::<Net>() {
        Err(_) => BootNote::NetUnreadable { by, asked: shown(said), used: default },
        Ok(asked) if asked > default => BootNote::NetNotRaised { by, asked, used: default },
        Ok(asked) => return asked,
    };
    notes.push(note);
    default
}

impl fmt::Display for Wisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "The image",
            Self::Catalog => "The catalog",
        })
    }
}

impl fmt::Display for BootNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryUnreadable { by, asked, used } => {
                write!(f, "{by} asks for {asked:?} of memory, which is not a size. The machine gets {used}.")
            }
            Self::MemoryTooLittle { by, asked, used } => {
                write!(
                    f,
                    "{by} asks for {asked:?} of memory, which is too little for a machine. The machine gets {used}."
                )
            }
            Self::MemoryLimited { asked, used } => {
                write!(
                    f,
                    "The image asks for {asked} of memory. This computer has only {used}, which the machine gets."
                )
            }
            Self::MemoryBeyond { asked, used } => write!(
                f,
                "The catalog asks for {asked:?} of memory, which is more than this computer has. The machine gets {used}."
            ),
            Self::CpusUnreadable { by, asked, used } => {
                write!(
                    f,
                    "{by} asks for {asked:?} processors, which is not a number from 1 on. The machine gets {used}."
                )
            }
            Self::CpusLimited { asked, used } => {
                write!(
                    f,
                    "The image asks for {asked} processors. The machine gets {used}, as many as it can have here."
                )
            }
            Self::CpusBeyond { asked, used } => write!(
                f,
                "The catalog asks for {asked} processors, which is more than a machine can have here. The machine gets \
                 {used}."
            ),
            Self::NetUnreadable { by, asked, used } => {
                write!(f, "{by} asks for the network {asked:?}, which does not exist. The machine gets {used}.")
            }
            Self::NetNotRaised { by, asked, used } => write!(
                f,
                "{by} asks for the network {asked}. An image may not ask for more than the default, so the machine gets \
                 {used}."
            ),
            Self::DefaultMemoryLimited { asked, used } => write!(
                f,
                "The default memory is {asked}, which is more than this computer has. The machine gets {used}, as much \
                 as it can have here. Lower boot.memory in the configuration."
            ),
            Self::CpusShared { asked, host } => {
                write!(f, "The machine has {asked} processors, which share the {host} of this computer.")
            }
        }
    }
}

#[cfg(test)]
mod tests;
