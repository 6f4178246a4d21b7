//! Whether the backend answers, for all views.

use leptos::prelude::*;
use pixelrts_shared::Problem;
use pixelrts_shared::health::BackendHealth;

use super::Connection;

#[derive(Clone, Copy)]
pub(crate) struct Link {
    connection: RwSignal<Connection>,
    answers: RwSignal<u32>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { connection: RwSignal::new(Connection::default()), answers: RwSignal::new(0) }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn is_up(self) -> bool {
        self.connection.with(|connection| connection.problem().is_none())
    }

    pub(crate) fn problem(self) -> Option<Problem> {
        self.connection.with(|connection| connection.problem().cloned())
    }

    /// How often a connection was made. A backend that restarts quickly was never missed, but may be another version.
    pub(crate) fn answers(self) -> u32 {
        self.answers.get()
    }

    pub(crate) fn returns(self) -> u32 {
        self.connection.with(Connection::returns)
    }

    pub(crate) fn version(self) -> Option<String> {
        self.connection.with(|connection| connection.version().map(str::to_owned))
    }

    pub(crate) fn answered(self, health: BackendHealth) {
        self.answers.update(|answers| *answers += 1);
        self.connection.maybe_update(|connection| connection.answered(health.version));
    }

    pub(crate) fn lost(self, problem: Problem) {
        self.connection.maybe_update(|connection| connection.lost(problem));
    }
}
