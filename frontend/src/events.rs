//! Follows the events of the backend and feeds them to the stores. Each connection begins with a request for everything,
//! so that nothing is missed between two.

use futures_util::StreamExt;
use futures_util::future::{Either, join4, select};
use futures_util::stream::select_all;
use gloo_net::eventsource::State;
use gloo_net::eventsource::futures::EventSource;
use gloo_timers::future::TimeoutFuture;
use leptos::task::spawn_local;
use pixelrts_shared::health::BackendHealth;
use pixelrts_shared::paths;

use crate::boot::store::Boot;
use crate::catalog::store::Catalog;
use crate::link::store::Link;
use crate::link::{reconnecting, retry};
use crate::machines::store::Machines;
use crate::servers::store::Servers;
use crate::{client, json};

/// How long a connection may be gone unnoticed.
const CHECK_MS: u32 = 1000;

/// The stores that events feed.
#[derive(Clone, Copy)]
pub(crate) struct Feeds {
    pub(crate) link: Link,
    pub(crate) machines: Machines,
    pub(crate) servers: Servers,
    pub(crate) catalog: Catalog,
    pub(crate) boot: Boot,
}

impl Feeds {
    /// Follows for as long as the page is open. A connection that breaks is opened again, after a pause that grows while
    /// nothing is received.
    pub(crate) async fn follow(self) {
        let mut waits = reconnecting();
        loop {
            if self.session().await {
                waits.reset();
            }
            retry::pause(&mut waits).await;
        }
    }

    /// Reads one connection to its end. Returns true when any event was received.
    async fn session(self) -> bool {
        match client::get::<BackendHealth>(paths::HEALTH).await {
            Ok(health) => self.link.answered(health),
            Err(problem) => {
                self.link.lost(problem);
                return false;
            }
        }
        let Ok(mut source) = EventSource::new(paths::EVENTS) else { return false };
        let Ok(subscriptions) = ["machines", "servers", "entries", "settings"]
            .into_iter()
            .map(|kind| source.subscribe(kind))
            .collect::<Result<Vec<_>, _>>()
        else {
            return false;
        };
        let Self { machines, servers, catalog, boot, .. } = self;
        join4(machines.refresh(), servers.revalidate(), catalog.revalidate(), boot.revalidate()).await;
        let (mut events, mut came) = (select_all(subscriptions), false);
        loop {
            let (kind, message) = match select(events.next(), TimeoutFuture::new(CHECK_MS)).await {
                Either::Left((Some(Ok(event)), _)) => event,
                Either::Left(_) => return came,
                Either::Right(_) if source.state() == State::Open => continue,
                // The browser would reconnect without reporting it, and events missed meanwhile would stay missed.
                Either::Right(_) => return came,
            };
            came = true;
            match kind.as_str() {
                "machines" => match message.data().as_string().and_then(|text| json::read(&text).ok()) {
                    Some(list) => self.machines.accept(list),
                    None => self.machines.refresh().await,
                },
                "servers" => spawn_local(async move {
                    self.servers.revalidate().await;
                    self.catalog.revalidate().await;
                }),
                "settings" => spawn_local(boot.revalidate()),
                _ => spawn_local(self.catalog.revalidate()),
            }
        }
    }
}
