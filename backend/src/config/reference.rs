//! The table of all keys in `docs/CONFIGURATION.md`.

use super::keys::{KEYS, Key, variable};
use super::show::flow;
use super::{Server, Settings, pointer};

/// The table of all keys in Markdown, for `docs/CONFIGURATION.md`.
#[must_use]
pub fn reference() -> String {
    let tree = Settings { servers: vec![Server::default()], ..Settings::default() }.tree();
    let defaults = Settings::default().tree();
    let mut table = "| key | takes | default | variable | flag | on SIGHUP | what it does |\n| --- | --- | --- | --- | --- | --- | --- |\n".to_owned();
    for key @ Key { path, form, flag, live, .. } in KEYS {
        let does = key.description();
        let part = path.contains("[]");
        let place = pointer(&path.replace("[]", "[0]"));
        let default = if part { &tree } else { &defaults }.pointer(&place).map(flow).unwrap_or_default();
        let variable = if part { String::new() } else { format!("`{}`", variable(path)) };
        let flag = if flag.is_empty() { String::new() } else { format!("`{flag}`") };
        let live = if *live { "yes" } else { "" };
        table.push_str(&format!("| `{path}` | {form} | `{default}` | {variable} | {flag} | {live} | {does} |\n"));
    }
    table
}
