//! The open windows, for all views.

use leptos::prelude::*;
use pixelrts_shared::MachineId;

use super::stack::WindowStack;

#[derive(Clone, Copy)]
pub(crate) struct Windows(RwSignal<WindowStack>);

impl Windows {
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(WindowStack::default()))
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn all(self) -> Vec<MachineId> {
        self.0.with(|stack| stack.open().to_vec())
    }

    pub(crate) fn minimised(self) -> Vec<MachineId> {
        self.0.with(|stack| stack.minimised().cloned().collect())
    }

    pub(crate) fn is_minimised(self, id: &MachineId) -> bool {
        self.0.with(|stack| stack.is_minimised(id))
    }

    pub(crate) fn level(self, id: &MachineId) -> usize {
        self.0.with(|stack| stack.level(id))
    }

    pub(crate) fn is_front(self, id: &MachineId) -> bool {
        self.0.with(|stack| stack.is_front(id))
    }

    /// Opens the window of a machine, or brings it back.
    pub(crate) fn open(self, id: MachineId) {
        self.0.maybe_update(|stack| stack.show(id));
    }

    pub(crate) fn bring_to_front(self, id: MachineId) {
        self.0.maybe_update(|stack| stack.bring_to_front(id));
    }

    pub(crate) fn minimise(self, id: &MachineId) {
        self.0.update(|stack| stack.minimise(id));
    }

    /// Closes the window; the machine keeps running.
    pub(crate) fn close(self, id: &MachineId) {
        self.0.update(|stack| stack.close(id));
    }
}
