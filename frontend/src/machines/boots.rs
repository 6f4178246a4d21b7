//! Boots that this page asked for, from the click until their console opens.

use pixelrts_shared::image_status::is_up;
use pixelrts_shared::machine::Machine;
use pixelrts_shared::{Digest, MachineId};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boots {
    /// Sent to the backend, and not settled yet.
    requested: Vec<Digest>,
    /// Accepted: their consoles open by themselves once there is something to see, which is what was asked for.
    awaited: Vec<MachineId>,
}

impl Boots {
    #[must_use]
    pub fn is_requested(&self, key: &Digest) -> bool {
        self.requested.contains(key)
    }

    /// The images that were asked for.
    #[must_use]
    pub fn requested(&self) -> &[Digest] {
        &self.requested
    }

    /// Returns false when a request for this image is under way already.
    pub fn request(&mut self, key: Digest) -> bool {
        let is_new = !self.is_requested(&key);
        if is_new {
            self.requested.push(key);
        }
        is_new
    }

    /// The backend accepted a request: this is the machine that it starts.
    pub fn accept(&mut self, id: MachineId) {
        self.awaited.push(id);
    }

    /// A request is over: its machine is listed, or it was refused.
    pub fn settle(&mut self, key: &Digest) {
        self.requested.retain(|requested| requested != key);
    }

    /// The machines whose consoles are to be opened now; each is named once.
    pub fn take_ready<'a>(&mut self, machines: impl Iterator<Item = &'a Machine>) -> Vec<MachineId> {
        let up: Vec<_> = machines.filter(|machine| is_up(machine)).map(|machine| &machine.id).collect();
        self.awaited.extract_if(.., |id| up.contains(&&*id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::machine;
    use super::*;

    #[test]
    fn a_second_click_asks_for_nothing_until_the_first_is_settled() {
        let (mut boots, key) = (Boots::default(), machine("1", "00", "running", None).key);
        assert!(boots.request(key) && !boots.request(key) && boots.is_requested(&key));
        boots.settle(&key);
        assert!(!boots.is_requested(&key) && boots.request(key));
    }

    #[test]
    fn a_console_opens_once_and_only_for_what_was_booted_here() {
        let mut boots = Boots::default();
        let [loading, kernel] = ["loading", "kernel"].map(|stage| machine("1", "00", "running", Some(stage)));
        let other = machine("2", "11", "running", Some("kernel"));
        boots.accept(loading.id.clone());
        assert!(boots.take_ready([&loading, &other].into_iter()).is_empty());
        assert_eq!(boots.take_ready([&kernel, &other].into_iter()), std::slice::from_ref(&kernel.id));
        assert!(boots.take_ready([&kernel].into_iter()).is_empty());
    }
}
