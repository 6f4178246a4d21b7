//! Machines as the backend reports them, and the requests to boot and stop them.

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::machine::{BootAccepted, BootRequest, Machine};
use pixelrts_shared::{Digest, MachineId, paths};

use super::boots::Boots;
use super::list::{Counts, MachineList};
use super::stages::StageClock;
use crate::failures::store::Failures;
use crate::{client, clock};

#[derive(Clone, Copy)]
pub(crate) struct Machines {
    list: RwSignal<MachineList>,
    /// When `list` was true, in milliseconds since 1970.
    received_at: RwSignal<u64>,
    stages: StoredValue<StageClock>,
    boots: RwSignal<Boots>,
    failures: Failures,
    /// Opens the console of a machine, as when one that was booted in this page has something to show.
    open_console: Callback<MachineId>,
}

impl Machines {
    pub(crate) fn new(failures: Failures, open_console: Callback<MachineId>) -> Self {
        Self {
            list: RwSignal::new(MachineList::default()),
            received_at: RwSignal::new(0),
            stages: StoredValue::new(StageClock::default()),
            boots: RwSignal::new(Boots::default()),
            failures,
            open_console,
        }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    /// The machine that decides what its image shows.
    pub(crate) fn of(self, key: &Digest) -> Option<Machine> {
        self.list.with(|list| list.of(key).cloned())
    }

    /// The images of all machines, and those of which a boot was asked for.
    pub(crate) fn keys(self) -> Vec<Digest> {
        let asked = self.boots.with(|boots| boots.requested().to_vec());
        self.list.with(|list| list.iter().map(|machine| machine.key).chain(asked).collect())
    }

    pub(crate) fn get(self, id: &MachineId) -> Option<Machine> {
        self.list.with(|list| list.get(id).cloned())
    }

    pub(crate) fn is_over(self, id: &MachineId) -> bool {
        self.list.with_untracked(|list| list.is_over(id))
    }

    /// The machines of an image, or all of them, the newest first.
    pub(crate) fn ids(self, of: Option<Digest>) -> Vec<MachineId> {
        self.list.with(|list| list.newest_first(of.as_ref()).map(|machine| machine.id.clone()).collect())
    }

    /// How many machines of this image there are.
    pub(crate) fn count_of(self, key: &Digest) -> usize {
        self.list.with(|list| list.newest_first(Some(key)).count())
    }

    pub(crate) fn counts(self) -> Counts {
        self.list.with(MachineList::counts)
    }

    pub(crate) fn is_boot_requested(self, key: &Digest) -> bool {
        self.boots.with(|boots| boots.is_requested(key))
    }

    /// Seconds since the machine started, as of now.
    pub(crate) fn uptime(self, machine: &Machine, now: u64) -> u64 {
        machine.uptime_seconds + now.saturating_sub(self.received_at.get()) / 1000
    }

    /// How long a machine has been in its stage, in milliseconds, where this page saw the stage begin.
    pub(crate) fn elapsed_in_stage(self, machine: &Machine, now: u64) -> Option<u64> {
        self.stages.with_value(|stages| stages.elapsed(machine, now))
    }

    /// Takes the list that the backend sent.
    pub(crate) fn accept(self, news: Vec<Machine>) {
        let now = clock::now();
        self.list.with_untracked(|list| self.stages.update_value(|stages| stages.observe(list, &news, now)));
        self.received_at.set(now);
        let ready = self.boots.try_maybe_update(|boots| (false, boots.take_ready(news.iter())));
        self.list.maybe_update(|list| list.accept(news));
        ready.into_iter().flatten().for_each(|id| self.open_console.run(id));
    }

    pub(crate) async fn refresh(self) {
        if let Ok(list) = client::get(paths::MACHINES).await {
            self.accept(list);
        }
    }

    pub(crate) fn boot(self, key: Digest, request: BootRequest) {
        let begins = self.boots.try_maybe_update(|boots| {
            let begins = boots.request(key);
            (begins, begins)
        });
        if begins != Some(true) {
            return;
        }
        self.failures.forget(&key);
        spawn_local(async move {
            match client::send::<BootAccepted>(Method::POST, &paths::entry_boot(&key), &request).await {
                Ok(accepted) => {
                    self.boots.maybe_update(|boots| {
                        boots.accept(accepted.machine_id);
                        false
                    });
                    // The machine is listed before the request stops being shown, so that nothing flickers.
                    self.refresh().await;
                }
                Err(problem) => self.failures.record(key, problem),
            }
            self.boots.update(|boots| boots.settle(&key));
        });
    }

    /// Opens the console of a machine.
    pub(crate) fn open(self, id: MachineId) {
        self.open_console.run(id);
    }

    /// Stops a machine where it is on, and takes it off the list.
    pub(crate) fn remove(self, id: MachineId) {
        let Some(machine) = untrack(|| self.get(&id)) else { return };
        spawn_local(async move {
            match client::command(Method::DELETE, &paths::machine(&id)).await {
                Ok(()) => self.refresh().await,
                Err(problem) => self.failures.record(machine.key, problem),
            }
        });
    }

    pub(crate) fn stop(self, id: MachineId) {
        let Some(machine) = untrack(|| self.get(&id)) else { return };
        spawn_local(async move {
            match client::command(Method::POST, &paths::machine_stop(&id)).await {
                Ok(()) => self.refresh().await,
                Err(problem) => self.failures.record(machine.key, problem),
            }
        });
    }
}
