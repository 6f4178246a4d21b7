//! The composition root: builds everything, serves, and takes it down in order.
//!
//! Shutdown, each step with a deadline: no new connections, and streams end (5 s); machines are let go, they are
//! processes of their own and run on, and the next backend adopts them; downloads and background work stop (5 s; what
//! has been downloaded stays for a resume).

mod lock;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::Router;
use pixelrts_shared::{Problem, ProblemCode};
use rustls::ClientConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Connections, Guard};
use crate::bootstrap;
use crate::cache::Store;
use crate::catalog::{Library, Local, Thumbnails};
use crate::database::Database;
use crate::doctor::Subject;
use crate::machine::{self, Fleet};
use crate::paths::Paths;
use crate::remote::downloads::BACKOFF;
use crate::remote::{Catalogs, Client, Downloads, Servers};
use crate::secrets::{Certificate, Token};
use crate::task::Scope;

pub use lock::{Backend, BackendLock};

/// Answers under way may end.
const DRAIN: Duration = Duration::from_secs(5);
/// Tasks may end.
const STOP: Duration = Duration::from_secs(5);

/// Until there is a setting for it: two cores and 4 to 8 GiB carry this many.
const MAX_MACHINES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The backend of a shell: everything.
    Shell,
    /// Images for others: reads only, for anyone.
    Catalog,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub role: Role,
    /// Of this computer's catalog, for people.
    pub name: String,
    /// Folders with images.
    pub catalogs: Vec<PathBuf>,
    /// More names under which the shell is reached.
    pub allowed_hosts: Vec<String>,
    /// The user knows that others on the network can read along.
    pub insecure_http: bool,
    /// Certificate and key, as PEM; made when neither file is there. Absent: plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The file of the API's token; made when it is needed and not there.
    pub token: PathBuf,
    /// Role `catalog` asks for the token.
    pub private: bool,
    pub paths: Paths,
}

/// Where it listens, once it does.
#[derive(Clone, Debug)]
pub struct Ready {
    /// As it is reached from this computer.
    pub url: String,
    /// SHA-256 of the TLS certificate, for people to compare.
    pub fingerprint: Option<String>,
    /// Lets one browser in, once; only where a token is needed. Never logged.
    pub login: Option<String>,
}

/// Serves until `shutdown`. The caller owns the listener and the signals.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    ready: impl FnOnce(&Ready),
    shutdown: CancellationToken,
) -> Result<(), Problem> {
    let address = listener.local_addr().map_err(|error| {
        Problem::new(ProblemCode::Internal, "The listener has no address.", error.to_string(), "Start it again.")
    })?;
    let certificate = certificate(&settings, address)?;
    let url = local_url(address, certificate.is_some());
    let scope = Scope::new();
    let streams = shutdown.child_token();
    let (router, login, held) = match settings.role {
        Role::Catalog => (catalog(&settings, &scope)?, None, None),
        Role::Shell => {
            exposure(&settings, address)?;
            bootstrap::runtime(&settings.paths)?;
            let lock = BackendLock::take(
                &settings.paths,
                &Backend {
                    pid: std::process::id(),
                    url: url.clone(),
                    certificate: settings.tls.as_ref().map(|(cert, _)| absolute(cert)).transpose()?,
                    token: (!address.ip().is_loopback()).then(|| absolute(&settings.token)).transpose()?,
                },
            )?;
            let fleet = fleet(&settings.paths, &scope).await?;
            let (router, login) = shell(&settings, address, &scope, fleet.clone(), streams)?;
            (router, login, Some((lock, fleet)))
        }
    };
    let login = login.map(|login| format!("{url}/?login={}", login.reveal()));
    ready(&Ready { login, fingerprint: certificate.as_ref().map(Certificate::fingerprint), url });
    let connections = Connections::new(listener, certificate.map(|certificate| certificate.server_config()));
    let serving = axum::serve(connections, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let drained = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        result = serving => if let Err(error) = result {
            tracing::error!(%error, "the server ended");
        },
        () = drained => tracing::warn!("answers were cut off: they did not end in time"),
    }
    if let Some((_, fleet)) = &held {
        fleet.detach().await;
    }
    if let Err(still) = scope.shutdown(STOP).await {
        tracing::warn!(%still, "the backend ends anyway");
    }
    Ok(())
}

/// Role `catalog`: folders and thumbnails; what files are is remembered in memory.
fn catalog(settings: &Settings, scope: &Scope) -> Result<Router, Problem> {
    bootstrap::cache(&settings.paths)?;
    let local = Local::new(settings.name.clone(), settings.catalogs.clone(), Database::in_memory()?);
    scope.spawn(local.clone().keep_fresh());
    let thumbnails = Thumbnails::new(settings.paths.thumbnails());
    let public = api::Public { local, store: None, thumbnails, started: Instant::now() };
    let token = if settings.private { Some(Token::load_or_make(&settings.token)?) } else { None };
    Ok(api::catalog_router(public, Guard::public(token)))
}

fn shell(
    settings: &Settings,
    address: SocketAddr,
    scope: &Scope,
    fleet: Fleet,
    shutdown: CancellationToken,
) -> Result<(Router, Option<Token>), Problem> {
    let database = bootstrap::shell(&settings.paths)?;
    let (library, client) =
        library(&settings.paths, settings.name.clone(), settings.catalogs.clone(), database, scope, None)?;
    scope.spawn(library.local.clone().keep_fresh());
    scope.spawn(library.catalogs.clone().keep_fresh());
    let public = api::Public {
        local: library.local.clone(),
        store: Some(library.store.clone()),
        thumbnails: Thumbnails::new(settings.paths.thumbnails()),
        started: Instant::now(),
    };
    let (token, login) = if address.ip().is_loopback() {
        (None, None)
    } else {
        (Some(Token::load_or_make(&settings.token)?), Some(Token::random()?))
    };
    let guard = Guard::shell(address, settings.tls.is_some(), &settings.allowed_hosts, token, login.clone());
    let subject = Subject {
        paths: settings.paths.clone(),
        listen: address,
        token: settings.token.clone(),
        tls: settings.tls.clone(),
        program: own_program()?,
        backend: Some((std::process::id(), local_url(address, settings.tls.is_some()))),
    };
    Ok((api::shell_router(api::Shell { public, library, client, fleet, subject, shutdown }, guard), login))
}

/// Everything that knows of images. Nothing runs yet: the caller decides what is kept fresh.
/// `tls` is whom its client trusts; absent: the authorities of this computer.
pub fn library(
    paths: &Paths,
    name: String,
    folders: Vec<PathBuf>,
    database: Database,
    scope: &Scope,
    tls: Option<ClientConfig>,
) -> Result<(Library, Client), Problem> {
    let client = Client::new(tls)?;
    let store = Store::new(paths, database.clone());
    let local = Local::new(name, folders, database.clone());
    let catalogs = Catalogs::new(Servers::new(database), client.clone(), scope.clone());
    let downloads = Downloads::new(store.clone(), client.clone(), scope.clone(), BACKOFF);
    Ok((Library { local, catalogs, store, downloads }, client))
}

/// The path of this program, for what needs a process of its own.
pub fn own_program() -> Result<PathBuf, Problem> {
    std::env::current_exe().map_err(|error| {
        let fix = "Start it by its full path.";
        Problem::new(ProblemCode::Internal, "The program does not find itself.", error.to_string(), fix)
    })
}

/// Adopts the machines that live.
async fn fleet(paths: &Paths, scope: &Scope) -> Result<Fleet, Problem> {
    let settings =
        machine::Settings { runtime_dir: paths.machines(), program: own_program()?, max_machines: MAX_MACHINES };
    Ok(Fleet::open(settings, scope).await?)
}

/// The certificate to serve with, made for every name under which this computer is reached.
fn certificate(settings: &Settings, address: SocketAddr) -> Result<Option<Certificate>, Problem> {
    let Some((cert, key)) = &settings.tls else { return Ok(None) };
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let allowed = settings.allowed_hosts.iter().map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        _ => host.clone(),
    });
    let names: Vec<_> = allowed.chain(host).chain([address.ip().to_string()]).collect();
    Ok(Some(Certificate::load_or_make(cert, key, &names)?))
}

/// For a program that runs in another directory.
fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    std::path::absolute(path).map_err(|error| {
        let fix = "Give the file by its full path.";
        Problem::new(ProblemCode::ConfigInvalid, "A file cannot be found.", error.to_string(), fix)
    })
}

/// The address for programs and people on this computer: a listener on all addresses is on loopback too.
fn local_url(mut address: SocketAddr, secure: bool) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("{}://{address}", if secure { "https" } else { "http" })
}

/// A shell can start machines: beyond this computer only when the user says so.
fn exposure(settings: &Settings, address: SocketAddr) -> Result<(), Problem> {
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
