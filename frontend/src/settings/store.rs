//! Catalog servers: which there are and how they answer.

use std::sync::Arc;

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::server::{HealthState, NewServer, Server, ServerChange, ServerCheck, ServerFound};
use pixelrts_shared::{Problem, ServerId, paths};

use crate::swr::hook::Resource;
use crate::ui::{self, icons};
use crate::{client, words};

#[derive(Clone, Copy)]
pub(crate) struct Servers {
    pub(crate) list: Resource<Vec<Server>>,
    /// What the last change led to, when it failed.
    pub(crate) problem: RwSignal<Option<Problem>>,
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self { list: Resource::new(paths::SERVERS), problem: RwSignal::new(None) }
    }

    /// Configured servers, without the backend's own folders.
    pub(crate) fn all(self) -> Vec<Server> {
        let list = self.list.value().unwrap_or_else(|| Arc::new(Vec::new()));
        list.iter().filter(|server| !server.id.is_local()).cloned().collect()
    }

    pub(crate) async fn check(self, url: String) -> Result<ServerFound, Problem> {
        client::send(Method::POST, paths::SERVERS_CHECK, &ServerCheck { url }).await
    }

    pub(crate) async fn add(self, server: NewServer) -> Result<(), Problem> {
        client::send::<Server>(Method::POST, paths::SERVERS, &server).await?;
        self.list.revalidate().await;
        Ok(())
    }

    pub(crate) fn enable(self, id: ServerId, enabled: bool) {
        spawn_local(async move {
            let change = ServerChange { enabled: Some(enabled), ..ServerChange::default() };
            self.settle(client::send::<Server>(Method::PATCH, &paths::server(&id), &change).await.map(drop)).await;
        });
    }

    pub(crate) fn remove(self, id: ServerId) {
        spawn_local(async move { self.settle(client::tell(Method::DELETE, &paths::server(&id)).await).await });
    }

    async fn settle(self, outcome: Result<(), Problem>) {
        self.problem.set(outcome.err());
        self.list.revalidate().await;
    }

    /// A server's mark: a colour and a division of the square, like a weaver's mark.
    pub(crate) fn mark(self, id: &ServerId) -> impl IntoView + use<> {
        let id = id.clone();
        let place = move || {
            let all = self.all();
            let at = all.iter().position(|server| server.id == id);
            (at, at.and_then(|at| all[at].color.clone()))
        };
        let color = place.clone();
        view! {
            <i class=move || format!("mk s{}", place().0.map_or(0, |at| at % 3 + 1))
                style=("--k", move || color().1.unwrap_or_default())></i>
        }
    }

    /// For the foot of the page: each server and how it answers.
    pub(crate) fn health_line(self) -> impl IntoView + use<> {
        let all = self.all();
        if all.is_empty() {
            return view! { <span class="q3">"No servers"</span> }.into_any();
        }
        let server = |server: Server| {
            let mark = self.mark(&server.id);
            view! { <span>{mark}<span class="cut">{server.name.clone()}</span>{health(&server)}</span> }
        };
        all.into_iter().map(server).collect_view().into_any()
    }
}

/// In a few words; a failure with its shape and since when.
pub(crate) fn health(server: &Server) -> AnyView {
    let seen = &server.health;
    match seen.state {
        _ if !server.enabled => view! { <span class="q3">"not in use"</span> }.into_any(),
        HealthState::Unknown => view! { <span class="q3">"not asked yet"</span> }.into_any(),
        HealthState::Up => {
            view! { <span class="m q3">{seen.latency_ms.map(|ms| format!("{ms}\u{a0}ms"))}</span> }.into_any()
        }
        HealthState::Down => {
            let ago = seen.checked_at.as_deref().and_then(ui::clock::ago);
            let text = ago.map_or_else(|| "no answer".to_owned(), |ago| format!("no answer, {} ago", words::span(ago)));
            let why = seen.last_error.as_ref().map(|problem| format!("{} {}", problem.what, problem.why));
            view! { <span class="st" data-s="error" title=why>{ui::icon(icons::ERROR)}<span>{text}</span></span> }
                .into_any()
        }
    }
}
