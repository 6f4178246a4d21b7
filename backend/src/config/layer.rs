//! One layer: the values of a file, of the environment or of the command line, each in the type of its key.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use pixelrts_shared::address::shown as shown_value;
use serde_json::{Map, Value};

use super::keys::{expected, is_unused, nearest, variable, with_unit};
use super::yaml::{self, Kind, Node};
use super::{ConfigError, Finding, Flag, Origin, Settings, leaves};

/// The value of one key, as one layer gives it.
#[derive(Clone, PartialEq)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// In a file, the lines of the parts of a list, for example of `servers[0].url`.
    pub(super) lines: BTreeMap<String, u64>,
}

/// The value may hold secrets, which stay out of logs.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("origin", &self.origin).finish_non_exhaustive()
    }
}

type Layer = Vec<(String, Given)>;

#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) faults: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

impl Findings {
    pub(super) fn wrong(&mut self, key: &str, origin: Origin, found: &str, expected: &str) {
        let what = format!("is {found}; expected: {expected}");
        self.faults.push(Finding { key: key.to_owned(), origin, what, suggestion: None });
    }

    fn without_unit(&mut self, key: &str, origin: Origin, text: &str) {
        let instead = with_unit(key, text).unwrap_or_default();
        let what = format!("is {:?}, which has no unit; write {instead}", shown_value(text));
        self.faults.push(Finding { key: key.to_owned(), origin, what, suggestion: None });
    }

    fn unknown(&mut self, key: &str, origin: Origin) {
        let known = names(&Settings::sample().tree(), "");
        let written_flat = known.iter().any(|name| name == key);
        let what = if written_flat { "must be written in its section" } else { "is not a setting" }.to_owned();
        let suggestion = nearest(key, known.iter().map(String::as_str)).filter(|_| !written_flat);
        // The text is shown on a terminal and may be anything.
        let key = key.escape_debug().take(80).collect();
        self.faults.push(Finding { key, origin, what, suggestion });
    }

    pub(super) fn without_effect(&mut self, key: String, origin: Origin) {
        let what = "is accepted, but nothing uses it yet".to_owned();
        self.warnings.push(Finding { key, origin, what, suggestion: None });
    }
}

/// The keys that are set although nothing uses them yet, also those of the elements of a list.
pub(super) fn unused(given: &BTreeMap<String, Given>) -> Vec<String> {
    let mut found = Vec::new();
    for (key, Given { value, .. }) in given {
        found.extend(is_unused(key).then(|| key.clone()));
        for (at, element) in value.as_array().into_iter().flatten().enumerate() {
            let parts = element.as_object().into_iter().flatten().filter(|(_, part)| part.as_str() != Some(""));
            let parts = parts.map(|(name, _)| format!("{key}[{at}].{name}"));
            found.extend(parts.filter(|part| is_unused(part)));
        }
    }
    found
}

pub(super) fn of_file(path: &Path, findings: &mut Findings) -> Result<Layer, ConfigError> {
    let root = yaml::read(path)?;
    let place = |line| Origin::File { path: path.to_owned(), line };
    let mut found = Vec::new();
    section(&root, &Settings::sample().tree(), "", &place, findings, &mut found);
    Ok(found)
}

pub(super) fn of_environment(variables: &[(String, OsString)], findings: &mut Findings) -> Layer {
    let known: BTreeMap<_, _> =
        leaves(&Settings::sample().tree()).into_iter().map(|(key, sample)| (variable(&key), (key, sample))).collect();
    let mut found = Vec::new();
    for (name, value) in variables {
        let origin = Origin::Environment { variable: name.clone() };
        let Some((key, sample)) = known.get(name) else {
            let suggestion = nearest(name, known.keys().map(String::as_str));
            let what = "is not a known variable".to_owned();
            findings.warnings.push(Finding { key: name.clone(), origin, what, suggestion });
            continue;
        };
        let Some(text) = value.to_str() else {
            findings.wrong(key, origin, "no text", expected(key));
            continue;
        };
        let texts = if sample.is_array() {
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
        } else {
            vec![text]
        };
        found.extend(said(key, sample, &texts, origin, findings));
    }
    found
}

pub(super) fn of_flags(flags: &[Flag], findings: &mut Findings) -> Layer {
    let sample = Settings::sample().tree();
    let given = flags.iter().filter(|flag| !flag.values.is_empty());
    given
        .filter_map(|flag| {
            let sample = sample.pointer(&super::pointer(flag.key)).expect("a flag sets a known key");
            let texts: Vec<_> = flag.values.iter().map(String::as_str).collect();
            said(flag.key, sample, &texts, Origin::Flag { name: flag.name.to_owned() }, findings)
        })
        .collect()
}

/// A value that is given as words.
fn said(key: &str, sample: &Value, texts: &[&str], origin: Origin, findings: &mut Findings) -> Option<(String, Given)> {
    let mut nodes: Vec<_> = texts.iter().map(|text| Node { kind: Kind::Text((*text).to_owned()), line: 0 }).collect();
    let kind = if sample.is_array() { Kind::List(nodes) } else { nodes.pop()?.kind };
    let mut typing = Typing { place: &|_| origin.clone(), findings, lines: BTreeMap::new() };
    let value = typing.fit(&Node { kind, line: 0 }, sample, key)?;
    Some((key.to_owned(), Given { value, origin, lines: BTreeMap::new() }))
}

/// The keys of a section of a file, and of the sections in it.
fn section(
    node: &Node,
    sample: &Value,
    prefix: &str,
    place: &dyn Fn(u64) -> Origin,
    findings: &mut Findings,
    found: &mut Layer,
) {
    let pairs = match &node.kind {
        Kind::Map(pairs) => pairs,
        Kind::Null => return,
        Kind::Text(_) | Kind::List(_) => {
            let (name, names) = (prefix.trim_end_matches('.'), names(sample, ""));
            let name = if name.is_empty() { "configuration" } else { name };
            return findings.wrong(name, place(node.line), &shown(node), &format!("keys like {}", names.join(", ")));
        }
    };
    for (name, line, value) in pairs {
        let key = format!("{prefix}{name}");
        match sample.get(name) {
            None => findings.unknown(&key, place(*line)),
            Some(below @ Value::Object(_)) => section(value, below, &format!("{key}."), place, findings, found),
            Some(_) if value.kind == Kind::Null => {}
            Some(sample) => {
                let mut typing = Typing { place, findings, lines: BTreeMap::new() };
                if let Some(fitting) = typing.fit(value, sample, &key) {
                    let lines = typing.lines;
                    found.push((key, Given { value: fitting, origin: place(*line), lines }));
                }
            }
        }
    }
}

/// Makes a value of the right type from what was written, part by part.
struct Typing<'a> {
    place: &'a dyn Fn(u64) -> Origin,
    findings: &'a mut Findings,
    lines: BTreeMap<String, u64>,
}

impl Typing<'_> {
    /// `None` means that the value does not fit, which was reported.
    fn fit(&mut self, node: &Node, sample: &Value, key: &str) -> Option<Value> {
        self.lines.insert(key.to_owned(), node.line);
        let value = match (&node.kind, sample) {
            (Kind::List(items), Value::Array(samples)) => {
                let sample = samples.first().expect("a sample has one element");
                let fitted: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.fit(item, sample, &format!("{key}[{at}]")))
                    .collect();
                return fitted.into_iter().collect();
            }
            (Kind::Map(pairs), Value::Object(samples)) => return self.fit_map(pairs, samples, key),
            // A server may be given by its address alone.
            (Kind::Text(url), Value::Object(_)) => {
                return Some(Value::Object(Map::from_iter([("url".to_owned(), url.clone().into())])));
            }
            (Kind::Text(text), Value::Bool(_)) => text.parse().ok().map(Value::Bool),
            (Kind::Text(text), Value::Number(_)) => text.parse::<u64>().ok().map(Value::from),
            (Kind::Text(text), Value::String(_)) => Some(Value::from(text.as_str())),
            _ => None,
        };
        let fitting = value.filter(|value| is_accepted(key, value));
        if fitting.is_none() {
            let origin = (self.place)(node.line);
            match &node.kind {
                Kind::Text(text) if with_unit(key, text).is_some() => self.findings.without_unit(key, origin, text),
                _ => self.findings.wrong(key, origin, &shown(node), expected(key)),
            }
        }
        fitting
    }

    fn fit_map(&mut self, pairs: &[(String, u64, Node)], samples: &Map<String, Value>, key: &str) -> Option<Value> {
        let mut fitted = Some(Map::new());
        for (name, line, value) in pairs {
            let key = format!("{key}.{name}");
            let part = match samples.get(name) {
                None => {
                    self.findings.unknown(&key, (self.place)(*line));
                    None
                }
                Some(_) if value.kind == Kind::Null => continue,
                Some(sample) => self.fit(value, sample, &key),
            };
            fitted = fitted.zip(part).map(|(mut all, part)| {
                all.insert(name.clone(), part);
                all
            });
        }
        fitted.map(Value::Object)
    }
}

/// Whether the type of the key takes this value, all other keys having their defaults.
fn is_accepted(key: &str, value: &Value) -> bool {
    let whole = key.rsplit('.').fold(value.clone(), |value, part| {
        let (name, index) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        let value = if index { Value::Array(vec![value]) } else { value };
        Value::Object(Map::from_iter([(name.to_owned(), value)]))
    });
    serde_json::from_value::<Settings>(whole).is_ok()
}

/// What was found, as a short text for people.
fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "empty".to_owned(),
        Kind::Text(text) => format!("{:?}", shown_value(text)),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a section".to_owned(),
    }
}

/// All names that may be written: keys and sections. Parts of a list's elements are written as `servers[].url`.
pub(super) fn names(sample: &Value, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in sample.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        let below = match value {
            Value::Object(_) => names(value, &format!("{name}.")),
            Value::Array(items) => items.first().map(|item| names(item, &format!("{name}[]."))).unwrap_or_default(),
            _ => Vec::new(),
        };
        found.push(name);
        found.extend(below);
    }
    found
}
