//! Which consoles are open, and which window is in front.

use leptos::prelude::*;
use pixelrts_shared::MachineId;

#[derive(Clone, Copy)]
pub(crate) struct Consoles {
    /// In the order in which they were opened, which is their order in the page: moving a terminal would reset it.
    open: RwSignal<Vec<MachineId>>,
    /// From the back to the front.
    stack: RwSignal<Vec<MachineId>>,
    minimised: RwSignal<Vec<MachineId>>,
}

impl Consoles {
    pub(crate) fn new() -> Self {
        Self { open: RwSignal::new(Vec::new()), stack: RwSignal::new(Vec::new()), minimised: RwSignal::new(Vec::new()) }
    }

    pub(crate) fn windows(self) -> Vec<MachineId> {
        self.open.get()
    }

    pub(crate) fn minimised(self) -> Vec<MachineId> {
        self.minimised.get()
    }

    pub(crate) fn is_minimised(self, id: &MachineId) -> bool {
        self.minimised.with(|minimised| minimised.contains(id))
    }

    /// 0 for the one at the back.
    pub(crate) fn level(self, id: &MachineId) -> usize {
        self.stack.with(|stack| stack.iter().position(|other| other == id).unwrap_or(0))
    }

    pub(crate) fn is_front(self, id: &MachineId) -> bool {
        self.stack.with(|stack| stack.last() == Some(id))
    }

    pub(crate) fn open(self, id: MachineId) {
        self.minimised.update(|minimised| minimised.retain(|other| *other != id));
        if !self.open.with_untracked(|open| open.contains(&id)) {
            self.open.update(|open| open.push(id.clone()));
        }
        self.raise(id);
    }

    pub(crate) fn raise(self, id: MachineId) {
        if self.stack.with_untracked(|stack| stack.last() != Some(&id)) {
            self.stack.update(|stack| {
                stack.retain(|other| *other != id);
                stack.push(id);
            });
        }
    }

    pub(crate) fn minimise(self, id: MachineId) {
        self.lower(&id);
        self.minimised.update(|minimised| minimised.push(id));
    }

    /// Closes the window; the machine runs on.
    pub(crate) fn close(self, id: &MachineId) {
        self.lower(id);
        self.open.update(|open| open.retain(|other| other != id));
    }

    fn lower(self, id: &MachineId) {
        self.stack.update(|stack| stack.retain(|other| other != id));
    }
}
