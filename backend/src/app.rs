//! The composition root: it builds everything, serves, and shuts everything down in order.
//!
//! Start: no second backend; the bootstrap phase; the lock; modules register, then initialise; the API answers; advice
//! in the background.
//!
//! Shutdown, each step with a deadline: no new connections are accepted, and streams end (5 s); machines are released,
//! which are processes of their own and run on until the next backend adopts them; downloads and background work stop
//! (5 s; what has been downloaded is kept, so that the download can be resumed).

mod health;
mod live;
mod lock;
mod modules;
mod reload;
mod tidy;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use pixelrts_shared::{Problem, ProblemCode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Connections, Guard};
use crate::boot::BootService;
use crate::bootstrap::{self, BootstrapSettings, Outcome, Purpose, Secret, Site};
use crate::catalog::{FilesInUse, Local, Offered, Thumbnails};
use crate::database::Database;
use crate::doctor::Subject;
use crate::machine::BootOptions;
use crate::paths::Paths;
use crate::process::allow_open_files;
use crate::remote::egress::Ours;
use crate::remote::{Client, Proxies};
use crate::secrets::{Certificate, Token};
use crate::task::{Scope, blocking};
use health::HealthSocket;
use modules::Modules;

pub use crate::config::Role;
pub use live::Live;
pub use lock::{Backend, BackendLock};
pub use modules::{Parts, Tables, library};

/// How long responses that are under way may take to end.
const DRAIN: Duration = Duration::from_secs(5);
/// How long tasks may take to end.
const STOP: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct BackendSettings {
    pub role: Role,
    /// The name of this computer's catalog that people see.
    pub name: String,
    /// Folders with images.
    pub catalogs: Vec<PathBuf>,
    /// The user named these folders, so they must exist. The default folder may be missing: then there are no images
    /// yet.
    pub named: bool,
    /// More host names by which browsers may reach the shell.
    pub allowed_hosts: Vec<String>,
    /// The user accepts that others on the network can read along.
    pub insecure_http: bool,
    /// The address at which a container publishes the port, which is what everyone outside sees.
    pub published: Option<SocketAddr>,
    /// The files of certificate and key (PEM), which are made when neither exists. Absent: plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The file of the API's token, which is made when it is needed and missing.
    pub token: PathBuf,
    /// Role `catalog` requires the token.
    pub private: bool,
    pub bootstrap: BootstrapSettings,
    /// On the way to servers elsewhere.
    pub proxies: Proxies,
    pub paths: Paths,
    /// The settings that may change while the backend runs.
    pub live: watch::Receiver<Live>,
}

/// How the backend is reached, once it listens.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The address for clients on this computer.
    pub url: String,
    /// The SHA-256 of the TLS certificate, which people can compare.
    pub fingerprint: Option<String>,
    /// Logs one browser in, once. It exists only where a token is required, and is never logged.
    pub login: Option<String>,
}

/// Serves until `shutdown`. The caller owns the listener and the signals.
pub async fn run(
    settings: BackendSettings,
    listener: TcpListener,
    ready: impl FnOnce(&Ready),
    shutdown: CancellationToken,
) -> Result<(), Problem> {
    let address = listener.local_addr().map_err(|error| {
        Problem::new(ProblemCode::Internal, "The listener has no address.", error.to_string(), "Start it again.")
    })?;
    let address = settings.published.unwrap_or(address);
    let url = local_url(address, settings.tls.is_some());
    let scope = Scope::new();
    let streams = shutdown.child_token();
    let (router, login, outcome, held) = match settings.role {
        Role::Catalog => {
            let outcome = prepare(&settings, address).await?;
            (catalog(&settings, outcome.clone(), &scope)?, None, outcome, None)
        }
        Role::Shell => {
            exposure(&settings, address)?;
            // This comes before anything is touched. The lock, which needs a directory, decides later.
            Backend::refuse_second(&settings.paths)?;
            let outcome = prepare(&settings, address).await?;
            let lock = BackendLock::take(
                &settings.paths,
                &Backend {
                    pid: std::process::id(),
                    url: url.clone(),
                    certificate: settings.tls.as_ref().map(|(cert, _)| absolute(cert)).transpose()?,
                    token: (!address.ip().is_loopback()).then(|| absolute(&settings.token)).transpose()?,
                },
            )?;
            // Under a published address others reach this backend, too.
            let ours = Ours::new(listener.local_addr().ok().into_iter().chain(settings.published));
            let client = Client::new(settings.proxies.clone(), ours);
            let modules = Modules::register(&settings, client, &outcome, &scope)?;
            modules.initialise(&outcome, &scope).await;
            scope.spawn(outcome.clone().afterwards());
            let machines = modules.machines.clone();
            let boot = reload::start(settings.live.clone(), modules.clone(), &scope);
            let (router, login) = shell(&settings, address, modules, outcome.clone(), boot, streams, &scope)?;
            // It is dropped before the lock, or it could remove the socket of the next backend.
            let health = HealthSocket::start(&settings.paths.health_socket(), &scope)?;
            (router, login, outcome, Some((machines, health, lock)))
        }
    };
    // Made by the bootstrap phase, as the token is.
    let certificate = settings.tls.as_ref().map(|(cert, key)| Certificate::load(cert, key)).transpose()?;
    let login = login.map(|login| format!("{url}/?login={}", login.reveal()));
    ready(&Ready { login, fingerprint: certificate.as_ref().map(Certificate::fingerprint), url });
    outcome.log_made();
    let files = allow_open_files(Connections::FILES);
    let connections = Connections::new(listener, certificate.map(|certificate| certificate.server_config()), files);
    let serving = axum::serve(connections, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = serving => if let Err(error) = result {
            tracing::error!(%error, "the server ended");
        },
        () = drained => tracing::warn!("responses were cut off because they did not end in time"),
    }
    if let Some(Ok(fleet)) = held.as_ref().map(|(machines, ..)| machines.get()) {
        fleet.detach().await;
    }
    if let Err(still) = scope.shutdown(STOP).await {
        tracing::warn!(%still, "the backend ends anyway");
    }
    Ok(())
}

/// The bootstrap phase of a backend that is reached at `address`.
pub async fn prepare(settings: &BackendSettings, address: SocketAddr) -> Result<Outcome, Problem> {
    bootstrap::run(site(settings, address)).await
}

fn site(settings: &BackendSettings, address: SocketAddr) -> Site {
    let paths = &settings.paths;
    let purpose = match settings.role {
        Role::Catalog => Purpose::Catalog,
        Role::Shell => Purpose::Shell,
    };
    let shell = settings.role == Role::Shell;
    let mut secrets = Vec::new();
    if settings.private || shell && !address.ip().is_loopback() {
        secrets.push(Secret::Token(settings.token.clone()));
    }
    if let Some((cert, key)) = settings.tls.clone() {
        secrets.push(Secret::Certificate { cert, key, names: names(settings, address) });
    }
    Site {
        settings: settings.bootstrap.clone(),
        folders: if settings.named { settings.catalogs.clone() } else { Vec::new() },
        secrets,
        ..Site::new(paths.clone(), purpose)
    }
}

/// Role `catalog`: folders and thumbnails. What is known of files is kept in memory only.
fn catalog(settings: &BackendSettings, bootstrap: Outcome, scope: &Scope) -> Result<Router, Problem> {
    let memory = Database::in_memory(&crate::catalog::SCHEMA)?;
    let local = Local::new(settings.name.clone(), settings.catalogs.clone(), memory);
    scope.spawn(local.clone().keep_fresh());
    let thumbnails = Thumbnails::new(settings.paths.thumbnails());
    remove_old_thumbnails(&thumbnails, scope);
    let offered = Offered { local, store: None, thumbnails, in_use: files_in_use(scope) };
    let own_catalog = api::OwnCatalog::default();
    let secure = settings.tls.is_some();
    let public = Arc::new(api::Public { offered, own_catalog, bootstrap, started: Instant::now(), secure });
    let token = if settings.private { Some(Token::load(&settings.token)?) } else { None };
    Ok(api::catalog_router(public, Guard::public(token)))
}

fn files_in_use(scope: &Scope) -> FilesInUse {
    let files = FilesInUse::default();
    scope.spawn(files.clone().close_unused());
    files
}

fn shell(
    settings: &BackendSettings,
    address: SocketAddr,
    Modules { library, machines }: Modules,
    bootstrap: Outcome,
    boot: watch::Receiver<BootOptions>,
    shutdown: CancellationToken,
    scope: &Scope,
) -> Result<(Router, Option<Token>), Problem> {
    let thumbnails = Thumbnails::new(settings.paths.thumbnails());
    remove_old_thumbnails(&thumbnails, scope);
    if let Ok(remote) = library.remote.get() {
        scope.spawn(thumbnails.clone().follow(remote.catalogs.clone()));
    }
    let public = Arc::new(api::Public {
        offered: Offered {
            local: library.local.clone(),
            store: Some(library.store.clone()),
            thumbnails,
            in_use: files_in_use(scope),
        },
        own_catalog: api::OwnCatalog::default(),
        bootstrap,
        started: Instant::now(),
        secure: settings.tls.is_some(),
    });
    let boot = BootService::new(library.clone(), machines.clone(), boot);
    let (token, login) = if address.ip().is_loopback() {
        (None, None)
    } else {
        (Some(Token::load(&settings.token)?), Some(Token::random()?))
    };
    let whole_view = api::WholeView::default();
    let guard = Guard::shell(address, settings.tls.is_some(), &settings.allowed_hosts, token, login.clone());
    let subject = Subject {
        paths: settings.paths.clone(),
        listen: address,
        token: settings.token.clone(),
        tls: settings.tls.clone(),
        insecure_http: settings.insecure_http,
        program: own_program()?,
        backend: Some((std::process::id(), local_url(address, settings.tls.is_some()))),
    };
    let events = api::Events::default();
    let shell = api::Shell { public, library, whole_view, machines, boot, events, subject, shutdown };
    scope.spawn(shell.clone().keep_events());
    Ok((api::shell_router(shell, guard), login))
}

/// Those that earlier versions have kept.
fn remove_old_thumbnails(thumbnails: &Thumbnails, scope: &Scope) {
    let thumbnails = thumbnails.clone();
    scope.spawn(blocking(move || thumbnails.remove_old()));
}

/// The path of this program, for what needs a process of its own.
pub fn own_program() -> Result<PathBuf, Problem> {
    std::env::current_exe().map_err(|error| {
        let fix = "Start it by its full path.";
        Problem::new(ProblemCode::Internal, "The program cannot find its own file.", error.to_string(), fix)
    })
}

/// Every name by which this computer may be reached, for a certificate.
fn names(settings: &BackendSettings, address: SocketAddr) -> Vec<String> {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let allowed = settings.allowed_hosts.iter().map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        _ => host.clone(),
    });
    allowed.chain(host).chain([address.ip().to_string()]).collect()
}

/// The full path, for a program that runs in another directory.
fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| {
        let fix = "Give the file by its full path.";
        Problem::new(ProblemCode::ConfigInvalid, "A file cannot be found.", error.to_string(), fix)
    })
}

/// The address for clients on this computer. A listener on all addresses listens on loopback too.
fn local_url(mut address: SocketAddr, secure: bool) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("{}://{address}", if secure { "https" } else { "http" })
}

/// A shell can start machines, so it is offered to other computers only when the user says so.
fn exposure(settings: &BackendSettings, address: SocketAddr) -> Result<(), Problem> {
    if address.ip().is_loopback() || settings.tls.is_some() || settings.insecure_http {
        return Ok(());
    }
    Err(Problem::new(
        ProblemCode::ConfigExposed,
        format!("The shell would be offered to the network at {address}, unencrypted."),
        "Everyone on the network could read the token and start machines here.",
        "Encrypt it: add --tls-cert tls.crt --tls-key tls.key, which are made when they are not there; \
         or, in a network you trust, add --insecure-http.",
    ))
}
