//! Whether the backend answers, for all views.

use leptos::prelude::*;
use pixelrts_shared::Problem;
use pixelrts_shared::health::BackendHealth;

use super::Connection;

#[derive(Clone, Copy)]
pub(crate) struct Link(RwSignal<Connection>);

impl Link {
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(Connection::default()))
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn is_up(self) -> bool {
        self.0.with(|connection| connection.problem().is_none())
    }

    pub(crate) fn problem(self) -> Option<Problem> {
        self.0.with(|connection| connection.problem().cloned())
    }

    pub(crate) fn returns(self) -> u32 {
        self.0.with(Connection::returns)
    }

    pub(crate) fn returns_untracked(self) -> u32 {
        self.0.with_untracked(Connection::returns)
    }

    pub(crate) fn version_untracked(self) -> Option<String> {
        self.0.with_untracked(|connection| connection.version().map(str::to_owned))
    }

    pub(crate) fn version(self) -> Option<String> {
        self.0.with(|connection| connection.version().map(str::to_owned))
    }

    pub(crate) fn answered(self, health: BackendHealth) {
        self.0.maybe_update(|connection| connection.answered(health.version));
    }

    pub(crate) fn lost(self, problem: Problem) {
        self.0.maybe_update(|connection| connection.lost(problem));
    }
}
