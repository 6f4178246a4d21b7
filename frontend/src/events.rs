//! Follows the events of the backend and feeds them to the stores. Each connection begins with a request for everything,
//! so that nothing is missed between two.

use futures_util::StreamExt;
use futures_util::future::{Either, join3, select};
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
        // Events go on meanwhile: only what they bring whole must not be older than what was asked for.
        spawn_local(async move {
            join3(servers.revalidate(), catalog.revalidate(), boot.revalidate()).await;
        });
        machines.refresh().await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::list::tests::machine;
    use crate::shell::Shell;
    use crate::storage::database::tests::{begin, held_by_another_page};
    use crate::testing::{Backend, send_event};
    use leptos::prelude::*;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    async fn events_go_on_when_the_browser_s_storage_never_answers() {
        begin().await;
        let other = held_by_another_page(1).await;
        _ = any_spawner::Executor::init_wasm_bindgen();
        let backend = Backend::start();
        let health = json!({"status": "ok", "version": "1", "uptime_seconds": 1, "modules": []});
        let page = json!({"revision": "e-1", "generated_at": "", "stale": false, "total": 0, "entries": []});
        let delta =
            json!({"revision": "e-1", "generated_at": "", "stale": false, "servers": [], "changed": [], "removed": []});
        backend
            .reply("GET /api/v1/health", 200, &health)
            .reply("GET /api/v1/machines", 200, &json!([]))
            .reply("GET /api/v1/servers", 200, &json!([]))
            .reply("GET /api/v1/catalog/remote?limit=500", 200, &page)
            .reply("GET /api/v1/catalog/remote?since=e-1", 200, &delta);
        let owner = Owner::new();
        let Shell { link, machines, servers, catalog, boot, .. } = owner.with(Shell::new);
        std::mem::forget(owner);
        spawn_local(catalog.recall());
        let follow = Box::pin(Feeds { link, machines, servers, catalog, boot }.follow());
        let machine = machine("1", "ab", "running", None);
        let heard = Box::pin(async {
            TimeoutFuture::new(500).await;
            send_event("machines", &json!([machine]).to_string());
            TimeoutFuture::new(100).await;
            let known = untrack(|| machines.of(&machine.key).is_some());
            // What the database was asked for is given up meanwhile, and the catalog arrives without it.
            TimeoutFuture::new(3_000).await;
            (known, untrack(|| catalog.confirmed_at().is_some() && servers.all().is_empty()))
        });
        let Either::Left((heard, _)) = select(heard, follow).await else { panic!("it follows for ever") };
        assert_eq!(heard, (true, true));
        other.close();
        begin().await;
    }
}
