//! The machines that the backend has.

use pixelrts_shared::image_status::{is_up, machine_that_counts};
use pixelrts_shared::machine::{Machine, MachineState};
use pixelrts_shared::{Digest, MachineId};

/// In the order in which this page first saw them, so that nothing jumps when one changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineList(Vec<Machine>);

/// How many machines are running, and how many are on their way there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: usize,
    pub booting: usize,
}

impl MachineList {
    /// Takes the list that the backend sent. Returns true when something changed.
    pub fn accept(&mut self, mut news: Vec<Machine>) -> bool {
        // Not sorted by place: the sort of the standard library is long, and nothing else in the page uses it.
        let mut list: Vec<_> =
            self.0.iter().filter_map(|held| news.extract_if(.., |machine| machine.id == held.id).next()).collect();
        list.append(&mut news);
        let changed = list != self.0;
        if changed {
            self.0 = list;
        }
        changed
    }

    pub fn iter(&self) -> impl Iterator<Item = &Machine> {
        self.0.iter()
    }

    /// All machines, or those of one image; the last one that was seen comes first.
    pub fn newest_first<'a>(&'a self, of: Option<&Digest>) -> impl Iterator<Item = &'a Machine> {
        let of = of.copied();
        self.0.iter().rev().filter(move |machine| of.is_none_or(|key| machine.key == key))
    }

    /// The machine that decides what its image shows.
    #[must_use]
    pub fn of(&self, key: &Digest) -> Option<&Machine> {
        machine_that_counts(self.0.iter().filter(|machine| machine.key == *key))
    }

    #[must_use]
    pub fn get(&self, id: &MachineId) -> Option<&Machine> {
        self.0.iter().find(|machine| machine.id == *id)
    }

    /// A machine that the backend does not list any more is over too.
    #[must_use]
    pub fn is_over(&self, id: &MachineId) -> bool {
        self.get(id).is_none_or(|machine| machine.state.is_over())
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let begun = self.0.iter().filter(|machine| has_begun(machine)).count();
        let running = self.0.iter().filter(|machine| is_up(machine)).count();
        Counts { running, booting: begun - running }
    }
}

/// It runs or boots; a machine that waits for its image does not yet.
fn has_begun(machine: &Machine) -> bool {
    !machine.state.is_over() && machine.state != MachineState::Fetching
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn machine(id: &str, key: &str, state: &str, stage: Option<&str>) -> Machine {
        serde_json::from_value(json!({
            "id": format!("m{id:0>7}"), "key": key.repeat(32), "name": "Entry", "success": true, "state": state,
            "stage": stage, "memory": "2G", "cpus": 2, "uptime_seconds": 1, "restarts": 0
        }))
        .unwrap()
    }

    #[test]
    fn machines_keep_their_places_and_new_ones_come_last() {
        let [a, b, c] = ["1", "2", "3"].map(|id| machine(id, "00", "running", Some("kernel")));
        let mut list = MachineList::default();
        assert!(list.accept(vec![a.clone(), b.clone()]) && !list.accept(vec![b.clone(), a.clone()]));
        assert!(list.accept(vec![c.clone(), b.clone(), a.clone()]));
        assert_eq!(list.iter().collect::<Vec<_>>(), [&a, &b, &c]);
        assert!(list.accept(vec![c.clone()]));
        assert_eq!((list.get(&a.id), list.is_over(&a.id), list.is_over(&c.id)), (None, true, false));
    }

    #[test]
    fn a_machine_that_lives_stands_for_its_image_before_a_later_one_that_ended() {
        let [lives, ended] = [machine("1", "00", "running", None), machine("2", "00", "stopped", None)];
        let mut list = MachineList::default();
        list.accept(vec![lives.clone(), ended.clone()]);
        assert_eq!(list.of(&lives.key), Some(&lives));
        let last = machine("3", "00", "crashed", None);
        list.accept(vec![ended, last.clone()]);
        assert_eq!(list.of(&last.key), Some(&last));
    }

    #[test]
    fn the_newest_machine_comes_first_and_an_image_has_its_own() {
        let machines = [("1", "00"), ("2", "11"), ("3", "00")].map(|(id, key)| machine(id, key, "running", None));
        let mut list = MachineList::default();
        list.accept(machines.to_vec());
        let ids = |of| list.newest_first(of).map(|machine| machine.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(None), ["m0000003", "m0000002", "m0000001"]);
        assert_eq!(ids(Some(&machines[0].key)), ["m0000003", "m0000001"]);
    }

    #[test]
    fn a_machine_counts_once_it_has_its_image_and_runs_once_its_kernel_writes() {
        let mut list = MachineList::default();
        let waits = machine("1", "00", "fetching", Some("fetching"));
        list.accept(vec![waits, machine("2", "11", "stopped", Some("kernel"))]);
        assert_eq!(list.counts(), Counts::default());
        list.accept(vec![
            machine("1", "00", "starting", Some("mounting")),
            machine("2", "11", "running", Some("loading")),
            machine("3", "22", "running", Some("kernel")),
        ]);
        assert_eq!(list.counts(), Counts { running: 1, booting: 2 });
    }
}
