//! `GET /events`: server-sent events that notify clients of what has changed.
//!
//! `servers`, `entries` and `settings` carry the number of the event, `machines` the list of machines. A client that
//! connects again requests the settings, gets the first event of each other kind at once and requests the lists again, so
//! that nothing needs to be replayed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use pixelrts_shared::DownloadId;
use pixelrts_shared::download::DownloadStage;
use tokio::sync::watch;

use super::state::Shell;
use crate::catalog::Found;
use crate::machine::{BootOptions, Fleet};

const HEARTBEAT: Duration = Duration::from_secs(15);
/// Changes within this time become one event.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn stream(State(shell): State<Shell>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let remote = shell.library.remote.get();
    // A module that is excluded never changes anything.
    let never = || watch::channel(0).1;
    let mut watcher = Watcher {
        servers: remote.as_ref().map_or_else(|_| never(), |remote| remote.catalogs.changes()),
        local: shell.library.local.changes(),
        view: shell.library.view_changes(),
        downloads: remote.map_or_else(|_| never(), |remote| remote.downloads.changes()),
        machines: shell.machines.get().map_or_else(|_| never(), Fleet::changes),
        settings: shell.boot.changes(),
        stages: Vec::new(),
        id: 0,
        shell,
    };
    watcher.servers.mark_changed();
    watcher.local.mark_changed();
    watcher.machines.mark_changed();
    let events = stream::unfold(watcher, |mut watcher| async move { Some((Ok(watcher.next().await?), watcher)) });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

struct Watcher {
    shell: Shell,
    servers: watch::Receiver<u64>,
    local: watch::Receiver<std::sync::Arc<Found>>,
    view: watch::Receiver<u64>,
    downloads: watch::Receiver<u64>,
    machines: watch::Receiver<u64>,
    settings: watch::Receiver<BootOptions>,
    stages: Vec<(DownloadId, DownloadStage)>,
    id: u64,
}

impl Watcher {
    async fn next(&mut self) -> Option<Event> {
        let kind = loop {
            let kind = tokio::select! {
                () = self.shell.shutdown.cancelled() => return None,
                Ok(()) = self.servers.changed() => "servers",
                Ok(()) = self.local.changed() => "entries",
                Ok(()) = self.view.changed() => "entries",
                Ok(()) = self.machines.changed() => "machines",
                Ok(()) = self.settings.changed() => "settings",
                Ok(()) = self.downloads.changed() => {
                    // Progress has a stream of its own. Entries change only with the stage.
                    let list = self.shell.library.remote.get().ok()?.downloads.list().into_iter();
                    let stages = list.map(|download| (download.id, download.stage)).collect();
                    if std::mem::replace(&mut self.stages, stages) == self.stages {
                        continue;
                    }
                    "entries"
                }
                else => return None,
            };
            break kind;
        };
        tokio::time::sleep(PAUSE).await;
        self.id += 1;
        let data = if kind == "machines" {
            self.machines.mark_unchanged();
            serde_json::to_string(&self.shell.machines()).expect("wire types are plain data")
        } else {
            self.id.to_string()
        };
        Some(Event::default().event(kind).id(self.id.to_string()).data(data))
    }
}
