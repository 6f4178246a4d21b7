//! What is wrong with a configuration: all faults at once, each with its origin.

use std::fmt;
use std::io;
use std::path::PathBuf;

use pixelrts_shared::{Problem, ProblemCode};
use serde::Serialize;

use super::Origin;

/// One fault or warning about one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The path of the key, for example `boot.memory`. For an unknown variable it is the name of the variable.
    pub key: String,
    pub origin: Origin,
    /// What is wrong: the rest of a sentence that begins with the key.
    pub what: String,
    /// The known name that was probably meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            // In this case the key is the variable.
            Origin::Environment { variable } if *variable == self.key => write!(f, "{} {}", self.key, self.what)?,
            origin => write!(f, "{} ({origin}) {}", self.key, self.what)?,
        }
        match &self.suggestion {
            Some(name) => write!(f, "; did you mean {name}?"),
            None => f.write_str("."),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} belongs to user {owner}", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{} has more than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    /// It is not YAML, or more of it than a configuration needs.
    #[error("{}, line {line}: {why}", path.display())]
    Syntax { path: PathBuf, line: u64, why: String },
    #[error("{}", sentences(faults))]
    Invalid { file: Option<PathBuf>, faults: Vec<Finding>, warnings: Vec<Finding> },
}

fn sentences(faults: &[Finding]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let why = error.to_string();
        match error {
            ConfigError::Unreadable { path, error } => {
                let (code, fix) = match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        (ProblemCode::PermissionDenied, "Make it readable for this user.")
                    }
                    _ => (ProblemCode::ConfigInvalid, "Name a YAML file with --config, or remove what is there."),
                };
                Self::new(code, format!("The configuration {} cannot be read.", path.display()), why, fix)
            }
            ConfigError::Foreign { path, .. } => Self::new(
                ProblemCode::ConfigInvalid,
                format!("The configuration {} belongs to another user.", path.display()),
                why,
                format!("If you trust it, name it: --config {}", path.display()),
            ),
            ConfigError::TooLarge { path, .. } => Self::new(
                ProblemCode::ConfigInvalid,
                format!("{} is too large for a configuration.", path.display()),
                why,
                "Name the right file with --config.",
            ),
            ConfigError::Syntax { path, line, .. } => Self::new(
                ProblemCode::ConfigInvalid,
                format!("{} is not valid YAML.", path.display()),
                why,
                format!("Correct line {line}, then check again: pixelrts config check"),
            ),
            ConfigError::Invalid { faults, .. } => Self::new(
                ProblemCode::ConfigInvalid,
                match faults.len() {
                    1 => "A setting cannot be used.".to_owned(),
                    count => format!("{count} settings cannot be used."),
                },
                why,
                "Correct these settings, then check again: pixelrts config check",
            ),
        }
    }
}
