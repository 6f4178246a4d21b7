//! Every setting with its type and default, and what must hold between them.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use pixelrts_shared::boot_decision::{LEAST_MEMORY, MOST_CPUS};
use pixelrts_shared::machine::Net;
use pixelrts_shared::{Size, Span};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{listen, value};
use crate::bootstrap::BootstrapSettings;
use crate::machine::{AccelChoice, BootOptions};
use crate::remote::servers::{Access, AccessChange, BadAccess, DEFAULT_PRIORITY, MOST, is_color, parse_url};
use crate::supervisor::{Profile, RuntimeChoice, SupervisorSettings};

/// All settings. Documented where people look: `docs/CONFIGURATION.md`, from `keys.rs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub role: Role,
    pub name: String,
    #[serde(with = "listen")]
    pub listen: SocketAddr,
    pub allowed_hosts: Vec<String>,
    pub insecure_http: bool,
    pub tls: Tls,
    pub token_file: PathBuf,
    pub private: bool,
    pub catalogs: Vec<PathBuf>,
    pub servers: Vec<Server>,
    pub cache: Cache,
    pub boot: Boot,
    pub bootstrap: BootstrapSettings,
    pub supervise: Supervise,
    pub kiosk: Kiosk,
    pub log: Log,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The backend of a shell, with everything.
    #[default]
    Shell,
    /// Images for others: read-only, for anyone.
    Catalog,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Tls {
    /// The files of certificate and key, when TLS is used.
    #[must_use]
    pub fn files(&self) -> Option<(PathBuf, PathBuf)> {
        // One file without the other is refused when the configuration is read.
        (!self.cert.as_os_str().is_empty()).then(|| (self.cert.clone(), self.key.clone()))
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    pub name: String,
    pub url: String,
    pub priority: u32,
    pub color: String,
    pub enabled: bool,
    pub auth: String,
    pub user: String,
    pub password: String,
    pub allow: Vec<String>,
    pub ca_file: PathBuf,
    pub pin: String,
    pub public_key: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    pub dir: PathBuf,
    pub max_size: Size,
    pub ttl: Span,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Boot {
    pub memory: Size,
    pub cpus: u32,
    pub accel: AccelChoice,
    pub net: Net,
    pub max_machines: usize,
}

impl Boot {
    /// What a machine gets when neither the request nor the image says anything.
    #[must_use]
    pub fn options(&self) -> BootOptions {
        let Self { memory, cpus, accel, net, max_machines: _ } = self.clone();
        BootOptions { memory, cpus, accel, net, ..BootOptions::default() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Supervise {
    pub runtime: RuntimeChoice,
    pub profile: Profile,
    pub image: String,
    pub max_restarts: u32,
    pub window: Span,
    pub backoff: Vec<Span>,
    /// An empty text when there is no limit.
    #[serde(with = "value::optional")]
    pub memory: Option<Size>,
    pub cpus: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kiosk {
    pub entry: String,
    pub server: String,
    pub restart: String,
    pub ready_marker: String,
    pub fallback: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A word for PixelRTS itself, or a filter of `tracing`: `pixelrts::remote=debug,warn`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text.
    #[default]
    Auto,
    Text,
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            role: Role::Shell,
            name: String::new(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            allowed_hosts: Vec::new(),
            insecure_http: false,
            tls: Tls::default(),
            token_file: PathBuf::new(),
            private: false,
            catalogs: vec![PathBuf::from("~/pixelrts/images")],
            servers: Vec::new(),
            cache: Cache::default(),
            boot: Boot::default(),
            bootstrap: BootstrapSettings::default(),
            supervise: Supervise::default(),
            kiosk: Kiosk::default(),
            log: Log::default(),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        let none = String::new;
        Self {
            name: none(),
            url: none(),
            priority: DEFAULT_PRIORITY,
            color: none(),
            enabled: true,
            auth: none(),
            user: none(),
            password: none(),
            allow: Vec::new(),
            ca_file: PathBuf::new(),
            pin: none(),
            public_key: none(),
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { dir: PathBuf::new(), max_size: Size::from_gibibytes(20), ttl: Span::from_secs(7 * 86_400) }
    }
}

impl Default for Boot {
    fn default() -> Self {
        let BootOptions { memory, cpus, accel, net, .. } = BootOptions::default();
        // Two cores and 4 to 8 GiB carry this many.
        Self { memory, cpus, accel, net, max_machines: 4 }
    }
}

impl Default for Supervise {
    fn default() -> Self {
        Self {
            runtime: RuntimeChoice::Auto,
            profile: Profile::Least,
            image: "localhost/pixelrts:latest".to_owned(),
            max_restarts: 3,
            window: Span::from_secs(5 * 60),
            backoff: [1, 2, 4].map(Span::from_secs).to_vec(),
            memory: None,
            cpus: String::new(),
        }
    }
}

impl Default for Kiosk {
    fn default() -> Self {
        Self {
            entry: String::new(),
            server: String::new(),
            restart: "always".to_owned(),
            ready_marker: String::new(),
            fallback: "last-good".to_owned(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// From the start of the backend to its socket, unless its preparation may take longer.
const APPEAR: Span = Span::from_secs(30);
/// What comes between the preparation and the socket: machines are adopted.
const ADOPTION: Span = Span::from_secs(10);

impl Settings {
    /// How the backend is to be supervised.
    #[must_use]
    pub fn supervisor(&self) -> SupervisorSettings {
        let Supervise { runtime, profile, image, max_restarts, window, backoff, memory, cpus } = self.supervise.clone();
        let timeout = self.bootstrap.timeout;
        let appear = if timeout > APPEAR { Duration::from(timeout) + Duration::from(ADOPTION) } else { APPEAR.into() };
        let (window, backoff) = (window.into(), backoff.into_iter().map(Duration::from).collect());
        SupervisorSettings { runtime, profile, image, appear, max_restarts, window, backoff, memory, cpus }
    }

    /// As JSON: sections are objects, everything else is a leaf.
    pub(super) fn tree(&self) -> Value {
        serde_json::to_value(self).expect("settings are plain values")
    }

    /// One element in every list, so that the types of elements can be seen too.
    pub(super) fn sample() -> Self {
        let server = Server { allow: vec!["http://10.0.0.5:9000".to_owned()], ..Server::default() };
        Self { allowed_hosts: vec!["example.org".to_owned()], servers: vec![server], ..Self::default() }
    }

    pub(super) fn without_secrets(&self) -> Value {
        let mut shown = self.clone();
        let secrets = shown.servers.iter_mut().flat_map(|server| [&mut server.auth, &mut server.password]);
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            *secret = "(set)".to_owned();
        }
        shown.tree()
    }

    /// `~` at the beginning of a path is the user's home.
    pub(super) fn expand_home(&mut self, home: &Path) {
        let single = [&mut self.tls.cert, &mut self.tls.key, &mut self.token_file, &mut self.cache.dir];
        let of_servers = self.servers.iter_mut().map(|server| &mut server.ca_file);
        for path in single.into_iter().chain(&mut self.catalogs).chain(of_servers) {
            if let Ok(below) = path.strip_prefix("~") {
                *path = home.join(below);
            }
        }
    }

    /// Values that the types allow but that make no sense: the keys, and what is expected there when the table of keys
    /// does not say it.
    pub(super) fn faults(&self) -> Vec<(String, Option<&'static str>)> {
        let Self { tls, boot, supervise, bootstrap, log, .. } = self;
        let text = |path: &PathBuf| !path.as_os_str().is_empty();
        let cpus = supervise.cpus.parse().is_ok_and(|cpus: f64| cpus.is_finite() && cpus > 0.0);
        let host = |name: &str| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "/?#@".contains(c));
        let both = Some("both files, or none");
        let mut checks = vec![
            ("tls.cert".to_owned(), text(&tls.cert) || !text(&tls.key), both),
            ("tls.key".to_owned(), text(&tls.key) || !text(&tls.cert), both),
            ("boot.memory".to_owned(), boot.memory >= LEAST_MEMORY, Some("at least 32M")),
            ("boot.cpus".to_owned(), (1..=MOST_CPUS).contains(&boot.cpus), None),
            ("boot.max_machines".to_owned(), boot.max_machines > 0, None),
            ("bootstrap.timeout".to_owned(), !bootstrap.timeout.is_zero(), Some("more than nothing")),
            ("bootstrap.retry_attempts".to_owned(), bootstrap.retry_attempts > 0, None),
            ("supervise.image".to_owned(), !supervise.image.trim().is_empty(), None),
            ("supervise.window".to_owned(), !supervise.window.is_zero(), Some("more than nothing")),
            ("supervise.backoff".to_owned(), !supervise.backoff.is_empty(), Some("at least one duration")),
            ("supervise.cpus".to_owned(), supervise.cpus.is_empty() || cpus, None),
            ("log.level".to_owned(), log.filter().is_some(), None),
            ("servers".to_owned(), self.servers.len() <= MOST, Some("not more than 100")),
        ];
        let each = |list: &str, at: usize| format!("{list}[{at}]");
        checks.extend(
            self.allowed_hosts.iter().enumerate().map(|(at, name)| (each("allowed_hosts", at), host(name), None)),
        );
        checks.extend(self.catalogs.iter().enumerate().map(|(at, folder)| (each("catalogs", at), text(folder), None)));
        let mut seen = HashSet::new();
        for (at, server) in self.servers.iter().enumerate() {
            let url = parse_url(&server.url);
            let known = url.as_ref().is_ok_and(|url| !seen.insert(url.clone()));
            checks.push((format!("servers[{at}].url"), url.is_ok(), None));
            checks.push((format!("servers[{at}].url"), !known, Some("an address that no other server has")));
            let said = AccessChange {
                auth: Some(server.auth.clone()),
                user: Some(server.user.clone()),
                password: Some(server.password.clone()),
                allow: Some(server.allow.clone()),
                ca_file: Some(server.ca_file.to_string_lossy().into_owned()),
                pin: Some(server.pin.clone()),
            };
            let (key, expected) = match Access::default().changed(said) {
                Ok(_) => ("", None),
                Err(BadAccess::TwoCredentials) => ("auth", Some("either auth, or user and password")),
                Err(BadAccess::TwoProofs) => ("ca_file", Some("either ca_file or pin")),
                Err(BadAccess::Pin) => ("pin", None),
                Err(BadAccess::Origin(_)) => ("allow", None),
            };
            checks.push((format!("servers[{at}].{key}"), key.is_empty(), expected));
            checks.push((format!("servers[{at}].color"), server.color.is_empty() || is_color(&server.color), None));
        }
        checks.into_iter().filter(|(_, holds, _)| !holds).map(|(key, _, expected)| (key, expected)).collect()
    }
}

impl Log {
    /// The filter that the level means: a word speaks for PixelRTS, its libraries stay one step quieter.
    #[must_use]
    pub fn filter(&self) -> Option<tracing_subscriber::EnvFilter> {
        let directives = match self.level.as_str() {
            "error" => "error",
            "warn" => "warn",
            "info" => "warn,pixelrts=info",
            "debug" => "info,pixelrts=debug",
            "trace" => "debug,pixelrts=trace",
            // A single other word would be taken for the name of a module.
            filter if filter.contains(['=', ',']) => filter,
            _ => return None,
        };
        tracing_subscriber::EnvFilter::builder().parse(directives).ok()
    }
}

/// The secret must not appear in logs.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.name).field("url", &self.url).finish_non_exhaustive()
    }
}
