//! `/machines`, and starting one: `/catalog/{key}/boot`, `/boot`, `/catalog/{key}/stop`.
//!
//! The console is a WebSocket of binary messages, the bytes of the serial line both ways: first what the machine
//! keeps, then live. A viewer that reads too slowly holds up its own socket only.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::machine::{BootAccepted, BootRequest, Machine, Net};
use pixelrts_shared::{Digest, MachineId, Problem, ProblemCode, ServerId, paths};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::extract::{Json, Path, Query};
use super::failure::Failure;
use super::listed::listed;
use super::state::Shell;
use crate::catalog;
use crate::machine::{BootOptions, Fetched, Launch};

/// Bytes of the console per message.
const PIECE: usize = 16 << 10;
/// What a person types or pastes; more closes the console.
const LARGEST_INPUT: usize = 64 << 10;
/// Shows that both ends live, well before an idle connection is closed.
const PING: Duration = Duration::from_secs(20);

/// The body of `POST /boot`: any source but a file, and the options of a boot.
#[derive(Debug, Deserialize)]
#[serde(try_from = "serde_json::Map<String, serde_json::Value>")]
pub(super) struct BootSource {
    source: String,
    request: BootRequest,
}

/// Flattening would let unknown fields pass.
impl TryFrom<serde_json::Map<String, serde_json::Value>> for BootSource {
    type Error = serde_json::Error;

    fn try_from(mut body: serde_json::Map<String, serde_json::Value>) -> Result<Self, Self::Error> {
        let source = body.remove("source").unwrap_or_default();
        Ok(Self { source: serde_json::from_value(source)?, request: serde_json::from_value(body.into())? })
    }
}

#[derive(Deserialize)]
pub(super) struct OfServer {
    server: Option<ServerId>,
}

pub(super) async fn list(State(shell): State<Shell>, asked: HeaderMap) -> Result<Response, Failure> {
    Ok(listed(&asked, &shell.machines.get()?.list()))
}

pub(super) async fn get(State(shell): State<Shell>, Path(id): Path<MachineId>) -> Result<Json<Machine>, Failure> {
    Ok(Json(shell.machines.get()?.get(&id).ok_or_else(|| unknown(&id))?))
}

pub(super) async fn stop(State(shell): State<Shell>, Path(id): Path<MachineId>) -> Result<Json<Machine>, Failure> {
    shell.machines.get()?.stop(&id).await?;
    Ok(Json(shell.machines.get()?.get(&id).ok_or_else(|| unknown(&id))?))
}

pub(super) async fn forget(State(shell): State<Shell>, Path(id): Path<MachineId>) -> Result<StatusCode, Failure> {
    shell.machines.get()?.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn boot_entry(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Json(request): Json<BootRequest>,
) -> Result<Response, Failure> {
    Ok(accepted(shell.boot(&key, request)?))
}

pub(super) async fn boot_source(
    State(shell): State<Shell>,
    Json(BootSource { source, request }): Json<BootSource>,
) -> Result<Response, Failure> {
    Ok(accepted(shell.boot(&source, request)?))
}

/// Stops all machines of an entry.
pub(super) async fn stop_entry(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Query(of): Query<OfServer>,
) -> Result<StatusCode, Failure> {
    let entry = shell.library.find(&key, &[], of.server.as_ref())?.entry;
    shell.stop_all(&entry.sha256).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn accepted(machine_id: MachineId) -> Response {
    let location = paths::machine(&machine_id);
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(BootAccepted { machine_id })).into_response()
}

pub(super) async fn serial(
    State(shell): State<Shell>,
    Path(id): Path<MachineId>,
    request: Request,
) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &shell).await.map_err(|rejection| {
        let fix = "Connect with a WebSocket client.";
        Problem::new(ProblemCode::Usage, "The console is a WebSocket.", rejection.body_text(), fix)
    })?;
    let line = shell.machines.get()?.serial(&id).await?;
    let shutdown = shell.shutdown;
    let upgrade = upgrade.max_message_size(LARGEST_INPUT).write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |socket| async move { relay(socket, line, shutdown).await }))
}

/// Ends with either side, or with the backend. One message is under way at a time, so memory is bounded.
async fn relay(mut socket: WebSocket, mut line: UnixStream, shutdown: CancellationToken) {
    let (mut from_guest, mut to_guest) = line.split();
    let mut buffer = vec![0; PIECE];
    let mut ping = tokio::time::interval(PING);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ping.tick() => if socket.send(Message::Ping(Bytes::new())).await.is_err() { break },
            read = from_guest.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let piece = Bytes::copy_from_slice(&buffer[..count]);
                    if socket.send(Message::Binary(piece)).await.is_err() { break }
                }
            },
            message = socket.recv() => {
                let typed = match message {
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Text(text))) => text.into(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                };
                if to_guest.write_all(&typed).await.is_err() { break }
            }
        }
    }
    // The other end may be gone already.
    let _ = socket.send(Message::Close(None)).await;
}

fn unknown(id: &MachineId) -> Problem {
    Problem::new(
        ProblemCode::MachineNotFound,
        format!("There is no machine {id}."),
        "It was removed from the list, or never was in it.",
        "Look at the list of machines.",
    )
}

/// Wrong bytes were in the cached file, and no server gives it again.
fn removed(problem: Problem, error: &Problem) -> Problem {
    Problem {
        fix: "The damaged file was removed. Start the image again when one of its servers answers.".to_owned(),
        context: Some(format!("{} {}", error.what, error.why)),
        ..problem
    }
}

impl Shell {
    /// Starts a machine from an entry or an address; the image is fetched first when it is not here.
    fn boot(&self, source: &str, request: BootRequest) -> Result<MachineId, Problem> {
        let fleet = self.machines.get()?;
        let (library, defaults) = (self.library.clone(), self.boot.borrow().clone());
        if let Some(wanted) = catalog::wanted_url(source) {
            // Nobody knows the digest yet: until it is fetched the machine goes by the key of its address.
            let launch = Launch { key: wanted.key, name: source.to_owned(), options: options(request, None, defaults) };
            return fleet.launch(launch, move |wrong| {
                let (library, wanted) = (library.clone(), wanted.clone());
                async move {
                    // It has just come from there: once more would bring the same.
                    let remote = wrong.map_or_else(|| library.remote.get(), Err)?;
                    let cached = remote.downloads.fetch(wanted).await?;
                    Ok(Fetched { key: cached.digest, path: cached.path })
                }
            });
        }
        let entry = library.find(source, &[], request.server.as_ref())?.entry;
        let server = request.server.clone();
        let options = options(request, Some(&entry), defaults);
        let launch = Launch { key: entry.sha256, name: entry.name.clone(), options };
        fleet.launch(launch, move |wrong| {
            let (library, entry, server) = (library.clone(), entry.clone(), server.clone());
            async move {
                let healed = wrong.is_some() && library.heal(&entry.sha256).await?;
                match (wrong, library.obtain(&entry, server.as_ref())) {
                    (Some(problem), _) if !healed => Err(problem),
                    (Some(problem), obtain) => obtain.await.map_err(|error| removed(problem, &error)),
                    (None, obtain) => obtain.await,
                }
                .map(|path| Fetched { key: entry.sha256, path })
            }
        })
    }

    async fn stop_all(&self, key: &Digest) -> Result<(), Problem> {
        let fleet = self.machines.get()?;
        for machine in fleet.list().into_iter().filter(|machine| machine.key == *key && !machine.state.is_over()) {
            fleet.stop(&machine.id).await?;
        }
        Ok(())
    }
}

/// What the request leaves open comes from the image, then from the settings.
fn options(request: BootRequest, entry: Option<&Entry>, defaults: BootOptions) -> BootOptions {
    let memory = request.memory.or_else(|| entry?.memory.clone()).unwrap_or(defaults.memory);
    // An image may ask for less network than the user's default, never for more.
    let net = match entry.and_then(|entry| entry.net.as_deref()) {
        Some("none") => Net::None,
        _ => defaults.net,
    };
    BootOptions {
        memory,
        cpus: request.cpus.unwrap_or(defaults.cpus),
        cmdline: request.cmdline,
        append: request.append,
        net: request.net.unwrap_or(net),
        ..defaults
    }
}
