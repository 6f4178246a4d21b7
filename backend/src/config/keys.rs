//! What each key means, for people: the documentation, the template of a configuration file and the errors say it from
//! here.
//!
//! Which keys there are is decided by `Settings`; a test keeps this table equal to it.

use pixelrts_shared::duration::SpanError;
use pixelrts_shared::size::SizeError;
use pixelrts_shared::{Size, Span};

/// Of every variable.
pub(super) const PREFIX: &str = "PIXELRTS_";

/// A key: its path, what it takes, and what it does.
pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) form: &'static str,
    pub(super) does: &'static str,
    /// The option of `pixelrts serve` that sets it.
    pub(super) flag: &'static str,
    /// A running backend takes it over on SIGHUP.
    pub(super) live: bool,
    /// What to write instead of a number that has no unit; for keys that take a size or a duration.
    with_unit: fn(&str) -> Option<String>,
}

const fn key(path: &'static str, form: &'static str, does: &'static str) -> Key {
    Key { path, form, does, flag: "", live: false, with_unit: |_| None }
}

impl Key {
    const fn flag(self, flag: &'static str) -> Self {
        Self { flag, ..self }
    }

    const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    const fn size(self) -> Self {
        Self { with_unit: size_with_unit, ..self }
    }

    const fn duration(self) -> Self {
        Self { with_unit: duration_with_unit, ..self }
    }
}

/// In the order of the settings; of a server's parts as `servers[].url`.
pub(super) const KEYS: &[Key] = &[
    key(
        "role",
        "shell or catalog",
        "shell: everything, for you; catalog: images and their list, for anyone, reads only",
    )
    .flag("--role"),
    key("name", "text", "The name of this computer's catalog for people; empty: the host's name").flag("--name"),
    key("listen", "an address with a port, as 127.0.0.1:8080", "Where to listen; port 0 takes a free one")
        .flag("--listen"),
    key("allowed_hosts", "a list of host names", "More names under which the shell is reached, as behind a proxy")
        .flag("--allowed-host"),
    key("insecure_http", "true or false", "Offer the shell to a network you trust without encryption")
        .flag("--insecure-http"),
    key(
        "tls.cert",
        "a file (PEM)",
        "The certificate of the shell, made with its key when neither is there; together with tls.key",
    )
    .flag("--tls-cert"),
    key("tls.key", "a file (PEM)", "Its private key, which only you can read").flag("--tls-key"),
    key("token_file", "a file", "The secret that is asked for beyond this computer; empty: in the state directory")
        .flag("--token-file"),
    key("private", "true or false", "Role catalog: ask for the token too").flag("--private"),
    key("catalogs", "a list of folders", "Folders with images").flag("--catalog"),
    key(
        "servers",
        "a list of servers, each with a url",
        "Catalog servers that are always listed; in the environment their addresses",
    )
    .live(),
    key("servers[].name", "text", "Its name for people; empty: its host").live(),
    key("servers[].url", "an address as http://images.example.org:8080", "Where it is").live(),
    key("servers[].priority", "a number", "A server is asked after those with a lower one").live(),
    key("servers[].color", "a color as \"#00aaff\"", "Its color in the shell; empty: the shell chooses").live(),
    key("servers[].enabled", "true or false", "Whether it is asked").live(),
    key("servers[].auth", "text", "A secret, sent to it as a bearer token").live(),
    key("servers[].public_key", "text", "Of the key that signs its catalog").live(),
    key("cache.dir", "a folder", "Where fetched images are kept; empty: $XDG_CACHE_HOME/pixelrts"),
    key("cache.max_size", "a size as 20G", "More than this is not kept: what was used longest ago goes first")
        .live()
        .size(),
    key("cache.ttl", "a duration as 7d", "An image that was not used for so long goes").live().duration(),
    key("boot.memory", "a size as 512M or 2G", "Memory of a machine, when neither the request nor the image says")
        .live()
        .size(),
    key("boot.cpus", "a number from 1 to 64", "Processors of a machine").live(),
    key("boot.accel", "auto, kvm or tcg", "What runs machines; auto: KVM where it is faster").live(),
    key("boot.net", "none, restricted or internet", "What machines reach; restricted: a network card, but no network")
        .live(),
    key("boot.max_machines", "a number from 1", "Machines that the backend lets live at once").live(),
    key("bootstrap.enabled", "true or false", "Prepare directories, databases and files at each start"),
    key("bootstrap.timeout", "a duration as 30s", "The preparation may take this long").duration(),
    key("bootstrap.retry_attempts", "a number from 1", "Each of its steps is tried this often"),
    key(
        "bootstrap.fail_fast",
        "true or false",
        "The first needed step that fails ends it; false: the others are still tried",
    ),
    key("supervise.runtime", "auto, docker, podman or process", "Where `pixelrts up` runs the backend"),
    key("supervise.profile", "least or standard", "What its container may do"),
    key("supervise.image", "the name of a container image", "The container image"),
    key("supervise.max_restarts", "a number", "It is started again this often within the window"),
    key("supervise.window", "a duration as 5m", "For which restarts are counted").duration(),
    key(
        "supervise.backoff",
        "a list of durations as [1s, 2s, 4s]",
        "Pauses before the first restart, the second, and so on",
    )
    .duration(),
    key("supervise.memory", "a size as 2G, or nothing", "The container's limit of memory; empty: that of the profile")
        .size(),
    key(
        "supervise.cpus",
        "a number as 1.5, or nothing",
        "The container's limit of processors; empty: that of the profile",
    ),
    key("kiosk.entry", "text", "Not used yet: the image that a kiosk boots"),
    key("kiosk.server", "text", "Not used yet: where it comes from"),
    key("kiosk.restart", "text", "Not used yet: what follows its end"),
    key("kiosk.ready_marker", "text", "Not used yet: the console's text that means ready"),
    key("kiosk.fallback", "text", "Not used yet: what is booted when it fails"),
    key(
        "log.level",
        "error, warn, info, debug, trace, or a filter as warn,pixelrts=debug",
        "How much is said; -v and -q say it too",
    )
    .live(),
    key("log.format", "auto, text or json", "How it is said; auto: text"),
];

/// Whether a running backend takes a change of this key over on SIGHUP.
#[must_use]
pub fn is_reloadable(key: &str) -> bool {
    find(key).is_some_and(|found| found.live)
}

/// What the key takes, in words.
pub(super) fn expected(key: &str) -> &'static str {
    find(key).map_or("a setting", |found| found.form)
}

/// What to write instead of a number alone, where the key takes a size or a duration.
pub(super) fn with_unit(key: &str, text: &str) -> Option<String> {
    find(key).and_then(|found| (found.with_unit)(text))
}

/// Keys for which `word` is what to write instead of `number`: all that take sizes, or all that take durations.
#[cfg(test)]
pub(crate) fn keys_with_unit(number: &str, word: &str) -> Vec<&'static str> {
    let takes = |key: &&Key| (key.with_unit)(number).is_some_and(|words| words.split(' ').any(|other| other == word));
    KEYS.iter().filter(takes).map(|key| key.path).collect()
}

fn size_with_unit(text: &str) -> Option<String> {
    match text.parse::<Size>() {
        Err(SizeError::NoUnit { number }) => Some(format!("{number}M or {number}MiB")),
        _ => None,
    }
}

fn duration_with_unit(text: &str) -> Option<String> {
    match text.parse::<Span>() {
        Err(SpanError::NoUnit { number }) => Some(format!("{number}s or {number}m")),
        _ => None,
    }
}

/// `servers[3].url` is documented as `servers[].url`, `catalogs[0]` as `catalogs`.
fn find(key: &str) -> Option<&'static Key> {
    let general = match (key.find('['), key.find(']')) {
        (Some(open), Some(close)) if close + 1 < key.len() => format!("{}{}", &key[..=open], &key[close..]),
        (Some(open), _) => key[..open].to_owned(),
        (None, _) => key.to_owned(),
    };
    KEYS.iter().find(|key| key.path == general)
}

/// The variable of a key: its path in upper case with `_`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "_"))
}

/// The known name that was probably meant: a near one, or the same word in another section.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    // Longer than any name: nothing is near it, and looking would take its time.
    if name.len() > 64 {
        return None;
    }
    let last = |path: &'a str| path.rsplit('.').next().unwrap_or(path);
    let score = |path: &'a str| {
        let bare = path.strip_prefix(PREFIX).unwrap_or(path);
        strsim::jaro_winkler(name, bare).max(0.95 * strsim::jaro_winkler(name, last(bare)))
    };
    let best = known.map(|path| (score(path), path)).max_by(|one, other| one.0.total_cmp(&other.0))?;
    // "memroy" and "memory" have 0.96, unrelated words of this table up to 0.75.
    (best.0 > 0.82).then(|| best.1.to_owned())
}
