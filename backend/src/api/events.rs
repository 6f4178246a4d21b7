//! `GET /events`: server-sent events that notify clients of what has changed.
//!
//! `servers`, `entries` and `settings` carry the number of the event, `machines` the list of machines. What an event says
//! replaces what an earlier one of its kind has said, so the newest one of each kind is all that is kept, however long a
//! client was away: it names the last event that it has got, and gets each kind that is newer. Only a client of another
//! start of the backend cannot be told what it has missed; `reset` tells it that.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use pixelrts_shared::DownloadId;
use pixelrts_shared::download::DownloadStage;
use serde::Deserialize;
use tokio::sync::watch;

use super::event_log::{Kind, Reader};
use super::extract::Query;
use super::responses::ProblemResponse;
use super::state::Shell;
use crate::machine::Fleet;

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Changes within this time become one event.
const PAUSE: Duration = Duration::from_millis(100);

/// For clients that cannot set the header.
#[derive(Deserialize)]
pub(super) struct Since {
    since: Option<String>,
}

pub(super) async fn stream(
    State(shell): State<Shell>,
    Query(Since { since }): Query<Since>,
    request_headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ProblemResponse> {
    let header = request_headers.get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let last = header.or(since);
    let log = shell.events.subscribe();
    let reader = Reader::after(&log.borrow(), last.as_deref());
    let client = (log, reader, shell.shutdown.clone());
    let events = stream::unfold(client, |(mut log, mut reader, shutdown)| async move {
        loop {
            let next = reader.next(&log.borrow_and_update());
            if let Some((id, kind, data)) = next {
                let event = Event::default().event(kind).id(id).data(&*data);
                return Some((Ok(event), (log, reader, shutdown)));
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                changed = log.changed() => changed.ok()?,
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

impl Shell {
    /// Makes an event of everything that changes, until it is dropped.
    pub async fn keep_events(self) {
        let remote = self.library.remote.get();
        // A module that is excluded never changes anything.
        let never = || watch::channel(0).1;
        let mut servers = remote.as_ref().map_or_else(|_| never(), |remote| remote.catalogs.changes());
        let mut local = self.library.local.changes();
        let mut view = self.library.view_changes();
        let mut downloads = remote.map_or_else(|_| never(), |remote| remote.downloads.changes());
        let mut machines = self.machines.get().map_or_else(|_| never(), Fleet::changes);
        let mut settings = self.boot.changes();
        let mut stages: Vec<(DownloadId, DownloadStage)> = Vec::new();
        self.tell(Kind::Servers);
        self.tell(Kind::Entries);
        self.tell(Kind::Machines);
        loop {
            let kind = tokio::select! {
                () = self.shutdown.cancelled() => return,
                Ok(()) = servers.changed() => Kind::Servers,
                Ok(()) = local.changed() => Kind::Entries,
                Ok(()) = view.changed() => Kind::Entries,
                Ok(()) = machines.changed() => Kind::Machines,
                Ok(()) = settings.changed() => Kind::Settings,
                Ok(()) = downloads.changed() => {
                    // Progress has a stream of its own. Entries change only with the stage.
                    let Ok(remote) = self.library.remote.get() else { continue };
                    let now = remote.downloads.list().into_iter().map(|download| (download.id, download.stage)).collect();
                    if std::mem::replace(&mut stages, now) == stages {
                        continue;
                    }
                    Kind::Entries
                }
                else => return self.shutdown.cancelled().await,
            };
            tokio::time::sleep(PAUSE).await;
            if kind == Kind::Machines {
                machines.mark_unchanged();
            }
            self.tell(kind);
        }
    }

    fn tell(&self, kind: Kind) {
        let data = match kind {
            Kind::Machines => Some(serde_json::to_string(&self.machines()).expect("wire types are plain data")),
            Kind::Servers | Kind::Entries | Kind::Settings => None,
        };
        self.events.add(kind, data);
    }
}
