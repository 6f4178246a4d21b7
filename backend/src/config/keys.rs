//! What each key means, for people: the documentation, the template of a configuration file and the errors say it from
//! here.
//!
//! Which keys there are is decided by `Settings`; a test keeps this table equal to it.

use pixelrts_shared::duration::SpanError;
use pixelrts_shared::size::SizeError;
use pixelrts_shared::{Size, Span};

/// Every variable begins with this.
pub(super) const PREFIX: &str = "PIXELRTS_";

/// A key: its path, what it takes, and what it does, as sentences without the last full stop.
pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) form: &'static str,
    does: &'static str,
    /// The option of `pixelrts serve` that sets it.
    pub(super) flag: &'static str,
    /// A running backend takes it over on SIGHUP.
    pub(super) live: bool,
    /// Nothing uses it yet. It is accepted, so that a configuration can be written ahead.
    pub(super) unused: bool,
    /// What to write instead of a number that has no unit; for keys that take a size or a duration.
    with_unit: fn(&str) -> Option<String>,
}

const fn key(path: &'static str, form: &'static str, does: &'static str) -> Key {
    Key { path, form, does, flag: "", live: false, unused: false, with_unit: |_| None }
}

impl Key {
    const fn flag(self, flag: &'static str) -> Self {
        Self { flag, ..self }
    }

    const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    const fn unused(self) -> Self {
        Self { unused: true, ..self }
    }

    /// What it does, as complete sentences.
    pub(super) fn description(&self) -> String {
        format!("{}.{}", self.does, if self.unused { " Nothing uses this yet." } else { "" })
    }

    const fn size(self) -> Self {
        Self { with_unit: size_with_unit, ..self }
    }

    const fn duration(self) -> Self {
        Self { with_unit: duration_with_unit, ..self }
    }
}

/// All keys in the order of the settings. The parts of a server are written as `servers[].url`.
pub(super) const KEYS: &[Key] = &[
    key("role", "shell or catalog", "What the backend is. shell: everything, for yourself; catalog: images and the list of them, read-only, for anyone")
    .flag("--role"),
    key("name", "text", "The name of this computer's catalog that people see. Empty: the host name").flag("--name"),
    key("listen", "an address with a port, like 127.0.0.1:8080, or a port", "The address to listen on. A port alone means this computer only, and port 0 any free port")
        .flag("--listen"),
    key("allowed_hosts", "a list of host names", "More host names by which browsers may reach the shell, for example behind a proxy")
        .flag("--allowed-host"),
    key("insecure_http", "true or false", "Offers the shell to a network without encryption. Use it only in a network that you trust")
        .flag("--insecure-http"),
    key("tls.cert", "a file (PEM)", "The certificate of the shell. It is made together with its key when neither file exists. Set it together with tls.key")
    .flag("--tls-cert"),
    key("tls.key", "a file (PEM)", "The private key of the certificate. Only you can read it").flag("--tls-key"),
    key("token_file", "a file", "The file with the secret that a request from another computer needs. Empty: $XDG_STATE_HOME/pixelrts/token")
        .flag("--token-file"),
    key("private", "true or false", "Whether role catalog requires the token too").flag("--private"),
    key("catalogs", "a list of folders", "Folders of this computer with images, which this backend's own catalog lists").flag("--catalog"),
    key("servers", "a list of servers, each with a url", "Catalog servers that are always listed. The variable takes their addresses")
    .live(),
    key("servers[].name", "text", "The name of the server that people see. Empty: its host name").live(),
    key("servers[].url", "an address like http://images.example.org:8080", "The address of the server").live(),
    key("servers[].priority", "a number", "An image that several servers offer is fetched from the one with the lowest number first").live(),
    key("servers[].color", "a color like \"#00aaff\"", "The color of the server in the shell. Empty: the shell chooses one").live(),
    key("servers[].enabled", "true or false", "Whether the server is used").live(),
    key("servers[].auth", "text", "A secret that is sent to the server as a bearer token").live(),
    key("servers[].user", "text", "A user's name that is sent to the server together with the password, instead of auth").live(),
    key("servers[].password", "text", "The password of that user").live(),
    key("servers[].allow", "a list of origins like http://10.0.0.5:9000", "Other origins to which the server may lead: its images, its pictures, its redirects. The server's own origin and public addresses need none")
    .live(),
    key("servers[].ca_file", "a file (PEM)", "The authorities that sign the server's certificate. Empty: those of this computer")
        .live(),
    key("servers[].pin", "64 hex digits", "The SHA-256 of the server's certificate, as the server prints it at its start. Then no other certificate is accepted")
    .live(),
    key("servers[].public_key", "text", "The key that the server signs its catalog with").unused().live(),
    key("cache.dir", "a folder", "The folder that fetched images are kept in. Empty: $XDG_CACHE_HOME/pixelrts"),
    key("cache.max_size", "a size like 20G", "The largest size of everything in the cache. Images that were used longest ago make room first, if a server can give them again")
        .live()
        .size(),
    key("cache.ttl", "a duration like 7d", "Images that were not used for this long are removed, if a server can give them again").live().duration(),
    key("boot.memory", "a size like 512M or 2G", "The memory of a machine when neither the request nor the image says how much")
        .live()
        .size(),
    key("boot.cpus", "a number from 1 to 64", "The processors of a machine when neither the request nor the image says how many").live(),
    key("boot.accel", "auto, kvm or tcg", "What runs machines. auto: KVM where it is faster, else emulation (tcg)").live(),
    key("boot.net", "none, restricted or internet", "What machines can reach. none: nothing, without a network card. restricted: nothing, with a network card. internet: not available yet, so a boot with it is refused")
        .live(),
    key("boot.max_machines", "a number from 1", "How many machines may run at the same time").live(),
    key("bootstrap.enabled", "true or false", "Whether directories, databases and files are prepared at each start"),
    key("bootstrap.timeout", "a duration like 30s", "How long this preparation may take").duration(),
    key("bootstrap.retry_attempts", "a number from 1", "How often each step of the preparation is tried"),
    key("bootstrap.fail_fast", "true or false", "Whether the first required step that fails ends the start. false: the remaining steps are tried too"),
    key("supervise.runtime", "auto, docker, podman or process", "Where `pixelrts up` runs the backend. auto: in docker, else in podman, else as a process"),
    key("supervise.profile", "least or standard", "What the container may do. least: only what mounting images and running machines needs; standard: everything"),
    key("supervise.image", "the name of a container image", "The container image of the backend. It is never downloaded"),
    key("supervise.max_restarts", "a number", "How often the backend is restarted within the window"),
    key("supervise.window", "a duration like 5m", "The time over which restarts are counted").duration(),
    key("supervise.backoff", "a list of durations like [1s, 2s, 4s]", "The waits before the first restart, the second, and so on. The last one repeats")
    .duration(),
    key("supervise.memory", "a size like 2G, or nothing", "The memory limit of the container. Empty: that of the profile")
        .size(),
    key("supervise.cpus", "a number like 1.5, or nothing", "The processor limit of the container. Empty: that of the profile"),
    key("kiosk.entry", "text", "The image that a kiosk boots").unused(),
    key("kiosk.server", "text", "The server that this image comes from").unused(),
    key("kiosk.restart", "text", "What happens when the machine ends").unused(),
    key("kiosk.ready_marker", "text", "The text on the console that means that the machine is ready").unused(),
    key("kiosk.fallback", "text", "What is booted when the image fails").unused(),
    key("log.level", "error, warn, info, debug, trace, or a filter like warn,pixelrts=debug", "How much is logged. The options -v and -q set it too")
    .live(),
    key("log.format", "auto, text or json", "How the log is written. auto: as text"),
];

/// Whether a running backend takes a change of this key over on SIGHUP.
#[must_use]
pub fn is_reloadable(key: &str) -> bool {
    find(key).is_some_and(|found| found.live)
}

/// Whether nothing uses this key yet.
pub(super) fn is_unused(key: &str) -> bool {
    find(key).is_some_and(|found| found.unused)
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
    // An element of a list in a list is documented with its list.
    let key = match key.rfind('[') {
        Some(at) if key.ends_with(']') && key[..at].contains('[') => &key[..at],
        _ => key,
    };
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
    // No name is so long, and the search would take too much time.
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
