//! Failed attempts, for all views.

use leptos::prelude::*;
use pixelrts_shared::{Digest, Problem};

use super::FailedAttempts;

#[derive(Clone, Copy)]
pub(crate) struct Failures(RwSignal<FailedAttempts>);

impl Failures {
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(FailedAttempts::default()))
    }

    /// The images whose last attempt failed.
    pub(crate) fn keys(self) -> Vec<Digest> {
        self.0.with(|failed| failed.keys().copied().collect())
    }

    pub(crate) fn get(self, key: &Digest) -> Option<Problem> {
        self.0.with(|failed| failed.get(key).cloned())
    }

    pub(crate) fn record(self, key: Digest, problem: Problem) {
        self.0.update(|failed| failed.record(key, problem));
    }

    pub(crate) fn forget(self, key: &Digest) {
        self.0.maybe_update(|failed| failed.forget(key));
    }
}
