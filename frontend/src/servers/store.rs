//! The catalog servers as the backend lists them, and the requests to change them.

use std::sync::Arc;

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::server::{NewServer, Server, ServerChange, ServerCheck, ServerFound};
use pixelrts_shared::{Problem, ServerId, paths};

use crate::client;
use crate::resource::store::Resource;

#[derive(Clone, Copy)]
pub(crate) struct Servers {
    list: Resource<Vec<Server>>,
    /// Why the last change failed.
    problem: RwSignal<Option<Problem>>,
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self { list: Resource::new(paths::SERVERS), problem: RwSignal::new(None) }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) async fn recall(self) {
        self.list.recall().await;
    }

    pub(crate) async fn revalidate(self) {
        self.list.revalidate().await;
    }

    /// All servers, without the backend's own folders.
    pub(crate) fn all(self) -> Vec<Server> {
        let list = self.list.value().unwrap_or_else(|| Arc::new(Vec::new()));
        list.iter().filter(|server| !server.id.is_local()).cloned().collect()
    }

    pub(crate) fn problem(self) -> Option<Problem> {
        self.problem.get()
    }

    /// Asks whether there is a server at an address, without storing anything.
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
        spawn_local(async move { self.settle(client::command(Method::DELETE, &paths::server(&id)).await).await });
    }

    async fn settle(self, outcome: Result<(), Problem>) {
        self.problem.set(outcome.err());
        self.list.revalidate().await;
    }

    #[cfg(test)]
    pub(crate) fn set(self, list: Vec<Server>) {
        self.list.set(list);
    }
}
