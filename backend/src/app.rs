//! The composition root: builds everything, serves, and takes it down in order.
//!
//! Start: no second backend; the bootstrap phase; the lock; modules register, then initialise; the API answers; advice
//! in the background.
//!
//! Shutdown, each step with a deadline: no new connections, and streams end (5 s); machines are let go, they are
//! processes of their own and run on, and the next backend adopts them; downloads and background work stop (5 s; what
//! has been downloaded stays for a resume).

mod lock;
mod modules;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Router;
use pixelrts_shared::{Problem, ProblemCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Connections, Guard, Token};
use crate::bootstrap::{self, Outcome, Purpose, Secret, Site};
use crate::catalog::{Local, Thumbnails};
use crate::database::Database;
use crate::paths::Paths;
use crate::task::Scope;
use modules::Modules;

pub use lock::{Backend, BackendLock};
pub use modules::{Tables, library};

/// Answers under way may end.
const DRAIN: Duration = Duration::from_secs(5);
/// Tasks may end.
const STOP: Duration = Duration::from_secs(5);

/// Until there is a setting for it: two cores and 4 to 8 GiB carry this many.
const MAX_MACHINES: usize = 4;

/// What a new configuration file says. Every line is a comment: a file that changes nothing.
const CONFIG_TEMPLATE: &str = "# Settings of PixelRTS.\n";

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
    pub bootstrap: bootstrap::Settings,
    pub paths: Paths,
}

/// Where it listens, once it does.
#[derive(Clone, Debug)]
pub struct Ready {
    pub url: String,
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
    let url = format!("http://{address}");
    let scope = Scope::new();
    let streams = shutdown.child_token();
    let (router, login, held) = match settings.role {
        Role::Catalog => (catalog(&settings, &scope).await?, None, None),
        Role::Shell => {
            exposure(&settings, address)?;
            // Before anything is touched; the lock, which needs a directory, then decides.
            Backend::refuse_second(&settings.paths)?;
            let outcome = bootstrap::run(site(&settings, address)).await?;
            let lock = BackendLock::take(&settings.paths, &url)?;
            let modules = Modules::register(&settings, &outcome, &scope)?;
            modules.initialise(&outcome, &scope).await;
            scope.spawn(outcome.clone().afterwards());
            let machines = modules.machines.clone();
            let (router, login) = shell(&settings, address, modules, outcome, streams)?;
            (router, login, Some((lock, machines)))
        }
    };
    ready(&Ready { login: login.map(|login| format!("{url}/?login={}", login.reveal())), url });
    let serving =
        axum::serve(Connections::new(listener), router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
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
    if let Some(Ok(fleet)) = held.as_ref().map(|(_, machines)| machines.get()) {
        fleet.detach().await;
    }
    if let Err(still) = scope.shutdown(STOP).await {
        tracing::warn!(%still, "the backend ends anyway");
    }
    Ok(())
}

/// What the bootstrap phase of a backend prepares.
fn site(settings: &Settings, address: SocketAddr) -> Site {
    let paths = &settings.paths;
    let purpose = match settings.role {
        Role::Catalog => Purpose::Catalog,
        Role::Shell => Purpose::Shell,
    };
    let shell = settings.role == Role::Shell;
    let token = paths.token();
    let token = Secret {
        name: "the token of the API",
        files: vec![token.clone()],
        make: Box::new(move || Ok(Token::load_or_make(&token).map(drop)?)),
    };
    Site {
        settings: settings.bootstrap.clone(),
        template: shell.then(|| (paths.config(), CONFIG_TEMPLATE)),
        // The usual folder may be missing: then there are no images yet.
        folders: settings.catalogs.iter().filter(|folder| **folder != paths.catalog).cloned().collect(),
        secrets: if shell && !address.ip().is_loopback() { vec![token] } else { Vec::new() },
        ..Site::new(paths.clone(), purpose)
    }
}

/// Role `catalog`: folders and thumbnails; what files are is remembered in memory.
async fn catalog(settings: &Settings, scope: &Scope) -> Result<Router, Problem> {
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let bootstrap = bootstrap::run(site(settings, anywhere)).await?;
    let memory = Database::in_memory(&crate::catalog::SCHEMA)?;
    let local = Local::new(settings.name.clone(), settings.catalogs.clone(), memory);
    scope.spawn(local.clone().keep_fresh());
    let thumbnails = Thumbnails::new(settings.paths.thumbnails());
    let public = api::Public { local, store: None, thumbnails, bootstrap, started: Instant::now() };
    Ok(api::catalog_router(public, Guard::public()))
}

fn shell(
    settings: &Settings,
    address: SocketAddr,
    Modules { library, machines }: Modules,
    bootstrap: Outcome,
    shutdown: CancellationToken,
) -> Result<(Router, Option<Token>), Problem> {
    let public = api::Public {
        local: library.local.clone(),
        store: Some(library.store.clone()),
        thumbnails: Thumbnails::new(settings.paths.thumbnails()),
        bootstrap,
        started: Instant::now(),
    };
    let (token, login) = if address.ip().is_loopback() {
        (None, None)
    } else {
        (Some(Token::load_or_make(&settings.paths.token())?), Some(Token::random()?))
    };
    let guard = Guard::shell(address, &settings.allowed_hosts, token, login.clone());
    Ok((api::shell_router(api::Shell { public, library, machines, shutdown }, guard), login))
}

/// A shell can start machines: beyond this computer only when the user says so.
fn exposure(settings: &Settings, address: SocketAddr) -> Result<(), Problem> {
    if address.ip().is_loopback() || settings.insecure_http {
        return Ok(());
    }
    Err(Problem::new(
        ProblemCode::ConfigExposed,
        format!("The shell would be offered to the network at {address}, unencrypted."),
        "Everyone on the network could read the token and start machines here.",
        "Listen on 127.0.0.1 behind a proxy with TLS; or, in a network you trust, add --insecure-http.",
    ))
}
