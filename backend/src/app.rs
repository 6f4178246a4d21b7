//! The composition root: builds everything, serves, and takes it down in order.
//!
//! Shutdown, each step with a deadline: no new connections, and streams end (5 s); machines are let go, they are
//! processes of their own and run on, and the next backend adopts them; downloads and background work stop (5 s; what
//! has been downloaded stays for a resume).

mod lock;
mod pulse;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Router;
use pixelrts_shared::{Problem, ProblemCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Connections, Guard, Token};
use crate::bootstrap;
use crate::cache::Store;
use crate::catalog::{Library, Local, Thumbnails};
use crate::database::Database;
use crate::machine::{self, Fleet};
use crate::paths::Paths;
use crate::remote::downloads::BACKOFF;
use crate::remote::{Catalogs, Client, Downloads, Servers};
use crate::task::Scope;
use pulse::PulseSocket;

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
    /// Where a container publishes the listener's port: the address that everyone else sees.
    pub published: Option<SocketAddr>,
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
    let address = settings.published.unwrap_or(address);
    let url = format!("http://{address}");
    let scope = Scope::new();
    let streams = shutdown.child_token();
    let (router, login, held) = match settings.role {
        Role::Catalog => (catalog(&settings, &scope)?, None, None),
        Role::Shell => {
            exposure(&settings, address)?;
            bootstrap::runtime(&settings.paths)?;
            let lock = BackendLock::take(&settings.paths, &url)?;
            let fleet = fleet(&settings.paths, &scope).await?;
            let (router, login) = shell(&settings, address, &scope, fleet.clone(), streams)?;
            // Dropped before the lock, or it could remove the socket of the next backend.
            let pulse = PulseSocket::start(&settings.paths.pulse(), &scope)?;
            (router, login, Some((fleet, pulse, lock)))
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
    if let Some((fleet, ..)) = &held {
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
    Ok(api::catalog_router(public, Guard::public()))
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
        library(&settings.paths, settings.name.clone(), settings.catalogs.clone(), database, scope)?;
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
        (Some(Token::load_or_make(&settings.paths.token())?), Some(Token::random()?))
    };
    let guard = Guard::shell(address, &settings.allowed_hosts, token, login.clone());
    Ok((api::shell_router(api::Shell { public, library, client, fleet, shutdown }, guard), login))
}

/// Everything that knows of images. Nothing runs yet: the caller decides what is kept fresh.
pub fn library(
    paths: &Paths,
    name: String,
    folders: Vec<PathBuf>,
    database: Database,
    scope: &Scope,
) -> Result<(Library, Client), Problem> {
    let client = Client::new()?;
    let store = Store::new(paths, database.clone());
    let local = Local::new(name, folders, database.clone());
    let catalogs = Catalogs::new(Servers::new(database), client.clone(), scope.clone());
    let downloads = Downloads::new(store.clone(), client.clone(), scope.clone(), BACKOFF);
    Ok((Library { local, catalogs, store, downloads }, client))
}

/// Adopts the machines that live.
async fn fleet(paths: &Paths, scope: &Scope) -> Result<Fleet, Problem> {
    let program = std::env::current_exe().map_err(|error| {
        let fix = "Start it by its full path.";
        Problem::new(ProblemCode::Internal, "The program does not find itself.", error.to_string(), fix)
    })?;
    let settings = machine::Settings { runtime_dir: paths.machines(), program, max_machines: MAX_MACHINES };
    Ok(Fleet::open(settings, scope).await?)
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
