//! Settings in four layers, each value with its origin: command line > environment > YAML > defaults.
//!
//! A layer is a set of leaves. A leaf has the path of a key, a value that is text or a list, and the place where it was
//! given. Which keys exist is read from the serialized defaults ([`Settings`]), so no second list can become outdated.
//! Each leaf is checked alone against the type of its key. Then the layers are merged leaf by leaf, and what depends on
//! several keys is checked on the result. All faults are collected, each with key, value, expectation and origin.
//!
//! Only this module reads settings from files and variables. It passes the other modules what they need.

mod error;
mod inputs;
mod keys;
mod layer;
mod listen;
mod reference;
mod settings;
mod show;

mod value;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use pixelrts_shared::address::shown;
use serde::Serialize;
use serde_json::Value;

pub use error::{ConfigError, Finding};
pub use inputs::{Flag, Inputs};
pub use keys::is_reloadable;
#[cfg(test)]
pub(crate) use keys::keys_with_unit;
pub use listen::listening_address;
pub use reference::reference;
pub use settings::{Boot, Cache, Kiosk, Log, LogFormat, Role, Server, Settings, Supervise, Tls};
pub use show::template;

use layer::Given;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "layer", rename_all = "lowercase")]
pub enum Origin {
    Default,
    /// `line` counts from 1.
    File {
        path: PathBuf,
        line: u64,
    },
    Environment {
        variable: String,
    },
    Flag {
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment { variable } => write!(f, "environment, {variable}"),
            Self::Flag { name } => write!(f, "command line, {name}"),
        }
    }
}

/// The settings in force, and where they come from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub settings: Settings,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What is accepted but has no effect.
    pub warnings: Vec<Finding>,
    given: BTreeMap<String, Given>,
}

impl Loaded {
    /// Reads all layers. The error has every fault of every layer, not only the first one.
    pub fn load(inputs: &Inputs) -> Result<Self, ConfigError> {
        let file = inputs.file()?;
        let mut findings = layer::Findings::default();
        let mut given = BTreeMap::new();
        if let Some(path) = &file {
            given.extend(layer::of_file(path, &mut findings)?);
        }
        given.extend(layer::of_environment(&inputs.environment, &mut findings));
        given.extend(layer::of_flags(&inputs.flags, &mut findings));

        let mut tree = Settings::default().tree();
        for (key, Given { value, .. }) in &given {
            *tree.pointer_mut(&pointer(key)).expect("a layer has known keys only") = value.clone();
        }
        let mut settings: Settings = serde_json::from_value(tree).expect("each leaf fits the type of its key");
        settings.expand_home(&inputs.home);
        let mut loaded = Self { settings, file, warnings: Vec::new(), given };
        let tree = loaded.settings.tree();
        for (key, expected) in loaded.settings.faults() {
            let found = match tree.pointer(&pointer(&key)) {
                Some(Value::Array(items)) => format!("a list of {}", items.len()),
                Some(Value::String(text)) => format!("{:?}", shown(text)),
                found => found.map(Value::to_string).unwrap_or_default(),
            };
            findings.wrong(&key, loaded.origin(&key), &found, expected.unwrap_or_else(|| keys::expected(&key)));
        }
        for key in layer::unused(&loaded.given) {
            let origin = loaded.origin(&key);
            findings.without_effect(key, origin);
        }
        let layer::Findings { faults, warnings } = findings;
        if !faults.is_empty() {
            return Err(ConfigError::Invalid { file: loaded.file, faults, warnings });
        }
        loaded.warnings = warnings;
        Ok(loaded)
    }

    /// Writes the warnings into the log.
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
    }

    #[must_use]
    pub fn silent(self) -> Self {
        Self { warnings: Vec::new(), ..self }
    }

    /// Where the value of a key was given. For a part of a list (`servers[0].url`) it is as exact as possible.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        let leaf = key.split('[').next().unwrap_or(key);
        let Some(given) = self.given.get(leaf) else { return Origin::Default };
        // A part that an element does not give has the line of the element.
        let element = key.find(']').map_or(key, |end| &key[..=end]);
        let line = given.lines.get(key).or_else(|| given.lines.get(element));
        match (&given.origin, line) {
            (Origin::File { path, .. }, Some(line)) => Origin::File { path: path.clone(), line: *line },
            (origin, _) => origin.clone(),
        }
    }

    /// All keys with their values in force, in the order of `docs/CONFIGURATION.md`. Secrets are replaced by `(set)`.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, Value)> {
        ordered(&self.settings.without_secrets())
    }

    /// The keys whose values differ.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let pairs = ordered(&self.settings.tree()).into_iter().zip(ordered(&other.settings.tree()));
        pairs.filter(|(one, other)| one != other).map(|((key, _), _)| key.to_owned()).collect()
    }
}

/// The leaves of a tree of settings: everything except sections.
fn leaves(tree: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in tree.as_object().into_iter().flatten() {
        if value.is_object() {
            found.extend(leaves(value).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        } else {
            found.push((name.clone(), value.clone()));
        }
    }
    found
}

/// The leaves in the order of the documentation.
fn ordered(tree: &Value) -> Vec<(&'static str, Value)> {
    let leaf = |key: &&keys::Key| !key.path.contains('[');
    keys::KEYS
        .iter()
        .filter(leaf)
        .filter_map(|key| Some((key.path, tree.pointer(&pointer(key.path))?.clone())))
        .collect()
}

/// `servers[0].url` as a JSON pointer.
fn pointer(key: &str) -> String {
    format!("/{}", key.replace(']', "").replace(['.', '['], "/"))
}

#[cfg(test)]
mod tests;
