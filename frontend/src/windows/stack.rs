//! Which windows are open, and which one is in front.

use pixelrts_shared::MachineId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowStack {
    /// In the order in which they were opened. The page keeps this order, because a terminal that moves in it is reset.
    open: Vec<MachineId>,
    /// The visible ones, from the back to the front.
    visible: Vec<MachineId>,
}

impl WindowStack {
    #[must_use]
    pub fn open(&self) -> &[MachineId] {
        &self.open
    }

    /// In the order in which they were opened.
    pub fn minimised(&self) -> impl Iterator<Item = &MachineId> {
        self.open.iter().filter(|id| self.is_minimised(id))
    }

    /// It is open, but not visible.
    #[must_use]
    pub fn is_minimised(&self, id: &MachineId) -> bool {
        self.open.contains(id) && !self.visible.contains(id)
    }

    /// 0 for the window at the back.
    #[must_use]
    pub fn level(&self, id: &MachineId) -> usize {
        self.visible.iter().position(|other| other == id).unwrap_or(0)
    }

    #[must_use]
    pub fn is_front(&self, id: &MachineId) -> bool {
        self.visible.last() == Some(id)
    }

    /// Opens the window of a machine, or brings back the one that is open.
    pub fn show(&mut self, id: MachineId) -> bool {
        let new = !self.open.contains(&id);
        if new {
            self.open.push(id.clone());
        }
        self.bring_to_front(id) || new
    }

    /// Returns true when something changed, as all of these methods do.
    pub fn bring_to_front(&mut self, id: MachineId) -> bool {
        let changes = self.open.contains(&id) && !self.is_front(&id);
        if changes {
            self.hide(&id);
            self.visible.push(id);
        }
        changes
    }

    pub fn minimise(&mut self, id: &MachineId) {
        self.hide(id);
    }

    pub fn close(&mut self, id: &MachineId) {
        self.hide(id);
        self.open.retain(|other| other != id);
    }

    fn hide(&mut self, id: &MachineId) {
        self.visible.retain(|other| other != id);
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: usize) -> MachineId {
        format!("m{number:07}").parse().expect("eight characters are an id")
    }

    fn three() -> WindowStack {
        let mut stack = WindowStack::default();
        (0..3).for_each(|number| assert!(stack.show(id(number))));
        stack
    }

    #[test]
    fn the_last_one_shown_is_in_front_and_nothing_moves_in_the_page() {
        let mut stack = three();
        assert!(stack.is_front(&id(2)) && !stack.show(id(2)));
        assert!(stack.bring_to_front(id(0)));
        assert_eq!((stack.level(&id(1)), stack.level(&id(2)), stack.level(&id(0))), (0, 1, 2));
        assert_eq!(stack.open(), [id(0), id(1), id(2)]);
    }

    #[test]
    fn a_minimised_window_is_listed_until_it_is_shown_or_closed() {
        let mut stack = three();
        stack.minimise(&id(2));
        stack.minimise(&id(0));
        assert_eq!(stack.minimised().collect::<Vec<_>>(), [&id(0), &id(2)]);
        assert!(stack.is_front(&id(1)));
        assert!(stack.show(id(0)));
        stack.close(&id(2));
        assert_eq!(stack.minimised().next(), None);
        assert_eq!(stack.open(), [id(0), id(1)]);
    }

    #[test]
    fn a_window_that_is_closed_does_not_come_to_the_front() {
        let mut stack = three();
        stack.close(&id(1));
        assert!(!stack.bring_to_front(id(1)));
        assert!(stack.is_front(&id(2)));
    }

    proptest! {
        #[test]
        fn a_window_is_visible_or_minimised_once(steps in proptest::collection::vec((0_usize..4, 0_usize..4), 0..20)) {
            let mut stack = WindowStack::default();
            for (verb, number) in steps {
                match verb {
                    0 => drop(stack.show(id(number))),
                    1 => drop(stack.bring_to_front(id(number))),
                    2 => stack.minimise(&id(number)),
                    _ => stack.close(&id(number)),
                }
                prop_assert_eq!(stack.visible.len() + stack.minimised().count(), stack.open.len());
                prop_assert!(stack.visible.iter().all(|id| stack.open.contains(id)));
            }
        }
    }
}
