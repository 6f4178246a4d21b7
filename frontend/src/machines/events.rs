//! Follows the backend's events. Each connection begins with asking for everything, so nothing is missed between two.

use futures_util::StreamExt;
use futures_util::future::{Either, join3, select};
use futures_util::stream::select_all;
use gloo_net::eventsource::State;
use gloo_net::eventsource::futures::EventSource;
use gloo_timers::future::TimeoutFuture;
use leptos::task::spawn_local;
use pixelrts_shared::health::BackendHealth;
use pixelrts_shared::paths;

use crate::app::Shell;
use crate::link::wait_ms;
use crate::{client, json};

/// How long a connection may be gone unnoticed.
const CHECK_MS: u32 = 1000;

/// Never ends: a connection that breaks is made again, after a pause that grows while nothing comes.
pub(crate) async fn follow(shell: Shell) {
    let mut attempt = 0;
    loop {
        attempt = if session(shell).await { 0 } else { attempt + 1 };
        TimeoutFuture::new(wait_ms(attempt)).await;
    }
}

/// One connection, to its end. True when any event came.
async fn session(shell: Shell) -> bool {
    match client::get::<BackendHealth>(paths::HEALTH).await {
        Ok(health) => shell.hears(health),
        Err(problem) => {
            shell.link.lost(problem);
            return false;
        }
    }
    let Ok(mut source) = EventSource::new(paths::EVENTS) else { return false };
    let Ok(subscriptions) = ["machines", "servers", "entries"]
        .into_iter()
        .map(|kind| source.subscribe(kind))
        .collect::<Result<Vec<_>, _>>()
    else {
        return false;
    };
    join3(shell.machines.refresh(), shell.servers.list.revalidate(), shell.catalog.revalidate()).await;
    let (mut events, mut came) = (select_all(subscriptions), false);
    loop {
        let (kind, message) = match select(events.next(), TimeoutFuture::new(CHECK_MS)).await {
            Either::Left((Some(Ok(event)), _)) => event,
            Either::Left(_) => return came,
            // The browser connects again without a word; what was missed meanwhile would stay missed.
            Either::Right(_) if source.state() == State::Open => continue,
            Either::Right(_) => return came,
        };
        came = true;
        match kind.as_str() {
            "machines" => match message.data().as_string().and_then(|text| json::read(&text).ok()) {
                Some(list) => shell.machines.accept(list),
                None => shell.machines.refresh().await,
            },
            "servers" => spawn_local(async move {
                shell.servers.list.revalidate().await;
                shell.catalog.revalidate().await;
            }),
            _ => spawn_local(shell.catalog.revalidate()),
        }
    }
}
