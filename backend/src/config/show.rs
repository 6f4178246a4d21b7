//! Settings as YAML: the output of `config show`, and the template, in which every line is commented out.

use std::fmt::Write;

use serde_json::Value;

use super::keys::{KEYS, Key, is_unused};
use super::{Loaded, Settings, pointer};

const HEAD: &str = "\
# The configuration of PixelRTS. Every line is commented out and shows the default: remove the # at its beginning
# (and at the beginning of its section) to set it. A variable such as PIXELRTS_BOOT_MEMORY takes precedence over this
# file, and an option of the command line takes precedence over both.
#
#   pixelrts config check           says what is wrong, with the line
#   pixelrts config show --origin   shows what is in force, and where each value was given
";

const SERVERS: &str = "\
# - {name: office, url: \"http://images.office.lan:8080\", priority: 10, color: \"#00aaff\", enabled: true, auth: \"\"}
";

impl Loaded {
    /// All settings in force, as a document that could be a configuration itself, except for the secrets.
    #[must_use]
    pub fn document(&self, with_origin: bool) -> String {
        let mut text = String::new();
        let mut open = "";
        for (key, value) in self.values() {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            if section != open && !section.is_empty() {
                let _ = writeln!(text, "{section}:");
            }
            open = section;
            let indent = if section.is_empty() { "" } else { "  " };
            let origin = with_origin.then(|| self.origin(key).to_string());
            let notes: Vec<_> =
                origin.into_iter().chain(is_unused(key).then(|| "nothing uses this yet".to_owned())).collect();
            let comment = if notes.is_empty() { String::new() } else { format!("  # {}", notes.join("; ")) };
            let _ = writeln!(text, "{indent}{name}: {}{comment}", flow(&value));
        }
        text
    }
}

/// The file that `config init` makes for the user: the defaults with explanations, each line commented out.
#[must_use]
pub fn template() -> String {
    let defaults = Settings::default().tree();
    let mut text = HEAD.to_owned();
    let mut open = "";
    for key @ Key { path, form, .. } in KEYS {
        // The example shows the parts of a server.
        let Some(value) = defaults.pointer(&pointer(path)) else { continue };
        let (section, name) = path.split_once('.').unwrap_or(("", path));
        if section.is_empty() || section != open {
            text.push('\n');
        }
        if section != open && !section.is_empty() {
            let _ = writeln!(text, "#{section}:");
        }
        open = section;
        let _ = writeln!(text, "# {} Takes {form}.", key.description());
        if name == "servers" {
            text.push_str(SERVERS);
        }
        let indent = if section.is_empty() { "" } else { "  " };
        let _ = writeln!(text, "#{indent}{name}: {}", flow(value));
    }
    text
}

/// A value on one line. Text is written without quotes where YAML reads it back as the same text.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./~".contains(c);
    let first = text.chars().next();
    first.is_some_and(|c| c.is_ascii_alphanumeric() || c == '/' || c == '~' && text.len() > 1)
        && (text.chars().all(plain) || text.parse::<std::net::SocketAddr>().is_ok_and(|at| at.is_ipv4()))
        && !matches!(text.to_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off")
}
