//! Whether the backend answers.

use leptos::prelude::*;
use pixelrts_shared::Problem;

#[derive(Clone, Copy)]
pub(crate) struct Link {
    lost: RwSignal<Option<Problem>>,
    /// How often it came back: what failed for want of it is worth another try.
    returns: RwSignal<u32>,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { lost: RwSignal::new(None), returns: RwSignal::new(0) }
    }

    pub(crate) fn is_up(self) -> bool {
        self.lost.with(Option::is_none)
    }

    pub(crate) fn problem(self) -> Option<Problem> {
        self.lost.get()
    }

    pub(crate) fn returns(self) -> u32 {
        self.returns.get()
    }

    pub(crate) fn heard(self) {
        if !self.lost.with_untracked(Option::is_none) {
            self.lost.set(None);
            self.returns.update(|returns| *returns += 1);
        }
    }

    pub(crate) fn lost(self, problem: Problem) {
        if self.lost.with_untracked(Option::is_none) {
            self.lost.set(Some(problem));
        }
    }
}
