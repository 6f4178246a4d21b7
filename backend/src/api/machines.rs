//! `/machines`, and starting one: `/catalog/{key}/boot`, `/boot`, `/catalog/{key}/stop`.
//!
//! The console is a WebSocket with binary messages, which are the bytes of the serial line in both directions: first
//! what the machine has kept, then live. A viewer that reads too slowly only delays its own socket.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use pixelrts_shared::machine::{BootAccepted, BootRequest, Machine};
use pixelrts_shared::{MachineId, Problem, ProblemCode, paths};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::etag;
use super::extract::{Json, Path, Query, ServerQuery};
use super::responses::ProblemResponse;
use super::state::Shell;

/// Bytes of console output per message.
const PIECE: usize = 16 << 10;
/// The most that a person types or pastes at once. A larger message closes the console.
const LARGEST_INPUT: usize = 64 << 10;
/// A ping shows that both ends are alive, well before an idle connection would be closed.
const PING: Duration = Duration::from_secs(20);

/// The body of `POST /boot`: what to boot, which cannot be a file, and how.
#[derive(Debug, Deserialize)]
#[serde(try_from = "serde_json::Map<String, serde_json::Value>")]
pub(super) struct BootSource {
    source: String,
    request: BootRequest,
}

/// With `serde(flatten)` unknown fields would be accepted.
impl TryFrom<serde_json::Map<String, serde_json::Value>> for BootSource {
    type Error = serde_json::Error;

    fn try_from(mut body: serde_json::Map<String, serde_json::Value>) -> Result<Self, Self::Error> {
        let source = body.remove("source").unwrap_or_default();
        Ok(Self { source: serde_json::from_value(source)?, request: serde_json::from_value(body.into())? })
    }
}

pub(super) async fn list(State(shell): State<Shell>, request_headers: HeaderMap) -> Result<Response, ProblemResponse> {
    Ok(etag::json(&request_headers, &shell.machines.get()?.list()))
}

pub(super) async fn get(
    State(shell): State<Shell>,
    Path(id): Path<MachineId>,
) -> Result<Json<Machine>, ProblemResponse> {
    Ok(Json(shell.machines.get()?.get(&id)?))
}

pub(super) async fn stop(
    State(shell): State<Shell>,
    Path(id): Path<MachineId>,
) -> Result<Json<Machine>, ProblemResponse> {
    shell.machines.get()?.stop(&id).await?;
    Ok(Json(shell.machines.get()?.get(&id)?))
}

pub(super) async fn forget(
    State(shell): State<Shell>,
    Path(id): Path<MachineId>,
) -> Result<StatusCode, ProblemResponse> {
    shell.machines.get()?.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn boot_entry(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Json(request): Json<BootRequest>,
) -> Result<Response, ProblemResponse> {
    Ok(accepted(shell.boot.boot(&key, request).await?))
}

pub(super) async fn boot_source(
    State(shell): State<Shell>,
    Json(BootSource { source, request }): Json<BootSource>,
) -> Result<Response, ProblemResponse> {
    Ok(accepted(shell.boot.boot(&source, request).await?))
}

/// Stops all machines of an entry.
pub(super) async fn stop_entry(
    State(shell): State<Shell>,
    Path(key): Path<String>,
    Query(query): Query<ServerQuery>,
) -> Result<StatusCode, ProblemResponse> {
    shell.boot.stop_entry(&key, query.server.as_ref()).await?;
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
) -> Result<Response, ProblemResponse> {
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

/// Ends when either side or the backend ends. One message is processed at a time, so memory is bounded.
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
    // The other end may have closed already.
    let _ = socket.send(Message::Close(None)).await;
}
