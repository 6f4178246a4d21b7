//! What an image is doing, from all that is known of it, and what its button does.

use leptos::prelude::*;
use pixelrts_shared::machine::{BootRequest, Machine, MachineState};
use pixelrts_shared::{Digest, MachineId, ServerId};

use super::action::Action;
use super::condition::{Condition, Known};
use super::progress;
use crate::boot::store::Boot;
use crate::catalog::store::Catalog;
use crate::downloads::store::Downloads;
use crate::failures::store::Failures;
use crate::link::store::Link;
use crate::machines::store::Machines;

#[derive(Clone, Copy)]
pub(crate) struct Images {
    pub(crate) link: Link,
    pub(crate) catalog: Catalog,
    pub(crate) boot: Boot,
    pub(crate) downloads: Downloads,
    pub(crate) machines: Machines,
    pub(crate) failures: Failures,
    /// Opens the console of a machine.
    pub(crate) open_console: Callback<MachineId>,
}

impl Images {
    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn condition(self, key: Digest) -> Memo<Condition> {
        Memo::new(move |_| self.condition_now(&key))
    }

    pub(crate) fn condition_now(self, key: &Digest) -> Condition {
        let Some(entry) = self.catalog.entry(key) else { return Condition::Idle };
        Condition::of(Known {
            entry: &entry,
            machine: self.machines.of(key).as_ref(),
            download: self.downloads.of(key).as_ref(),
            failure: self.failures.get(key).as_ref(),
            boot_requested: self.machines.is_boot_requested(key),
            reachable: self.link.is_up(),
        })
    }

    /// What the button does now.
    pub(crate) fn action(self, condition: &Condition) -> Option<Action> {
        Action::of(condition, self.link.is_up())
    }

    /// Boots the image or opens its console, as Enter and a double click do.
    pub(crate) fn begin(self, key: Digest) {
        let action = untrack(|| self.action(&self.condition_now(&key)));
        action.filter(Action::begins).into_iter().for_each(|action| self.perform(key, action));
    }

    pub(crate) fn perform(self, key: Digest, action: Action) {
        let machine = || untrack(|| self.machines.of(&key));
        match action {
            Action::Boot | Action::Retry => self.boot(key, None),
            Action::BootFrom(other) => self.boot(key, Some(other.id)),
            Action::Cancel => self.cancel(&key),
            Action::Stop => machine().into_iter().for_each(|machine| self.machines.stop(machine.id)),
            Action::Open => machine().into_iter().for_each(|machine| self.open_console.run(machine.id)),
        }
    }

    /// Boots with what was chosen for this image.
    fn boot(self, key: Digest, server: Option<ServerId>) {
        let request = BootRequest { server, ..untrack(|| self.boot.request(&key)) };
        self.machines.boot(key, request);
    }

    /// Cancels the download of an image, and the machine that waits for it.
    pub(crate) fn cancel(self, key: &Digest) {
        let waits = |machine: &Machine| machine.state == MachineState::Fetching;
        untrack(|| {
            self.machines.of(key).filter(waits).into_iter().for_each(|machine| self.machines.stop(machine.id));
            self.downloads.of(key).into_iter().for_each(|download| self.downloads.cancel(download.id));
        });
    }

    /// How much of an image is on this computer, in thousandths.
    pub(crate) fn share_here(self, key: &Digest) -> u16 {
        let Some(entry) = self.catalog.entry(key) else { return 0 };
        if entry.cached {
            return 1000;
        }
        self.downloads.of(key).map_or(0, |download| progress::of(&download, &entry.entry))
    }
}
