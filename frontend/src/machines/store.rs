//! Machines as the backend reports them, and what this page asked of them.

use std::collections::{HashMap, HashSet};

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::machine::{BootAccepted, BootRequest, BootStage, Machine, MachineState};
use pixelrts_shared::{Digest, MachineId, ServerId, paths};

use crate::catalog::condition::is_up;
use crate::catalog::store::Catalog;
use crate::client;
use crate::console::store::Consoles;
use crate::ui::clock;

#[derive(Clone, Copy)]
pub(crate) struct Machines {
    /// In the order in which they were first seen.
    list: RwSignal<Vec<Machine>>,
    /// When `list` was true, in milliseconds since 1970.
    heard: RwSignal<u64>,
    /// When this page saw a machine enter its stage; absent when it was in it before.
    entered: StoredValue<HashMap<MachineId, (BootStage, u64)>>,
    /// Boots that are asked for and not accepted yet.
    asked: RwSignal<HashSet<Digest>>,
    /// Booted in this page: their consoles open by themselves, which is what was asked for.
    wanted: StoredValue<HashSet<MachineId>>,
    catalog: Catalog,
    consoles: Consoles,
}

impl Machines {
    pub(crate) fn new(catalog: Catalog, consoles: Consoles) -> Self {
        Self {
            list: RwSignal::new(Vec::new()),
            heard: RwSignal::new(0),
            entered: StoredValue::new(HashMap::new()),
            asked: RwSignal::new(HashSet::new()),
            wanted: StoredValue::new(HashSet::new()),
            catalog,
            consoles,
        }
    }

    /// The machine of an image that lives, else the one that was seen last.
    pub(crate) fn of(self, key: &Digest) -> Option<Machine> {
        self.list.with(|list| {
            let mut of_key = list.iter().filter(|machine| machine.key == *key);
            of_key.clone().find(|machine| !machine.state.is_over()).or_else(|| of_key.next_back()).cloned()
        })
    }

    pub(crate) fn get(self, id: &MachineId) -> Option<Machine> {
        self.list.with(|list| list.iter().find(|machine| machine.id == *id).cloned())
    }

    pub(crate) fn is_over(self, id: &MachineId) -> bool {
        self.list.with_untracked(|list| {
            list.iter().find(|machine| machine.id == *id).is_none_or(|machine| machine.state.is_over())
        })
    }

    /// It runs or boots; one that waits for its image does not yet.
    pub(crate) fn lives(self, key: &Digest) -> bool {
        self.list.with(|list| list.iter().any(|machine| machine.key == *key && is_begun(machine)))
    }

    /// How many run, and how many boot.
    pub(crate) fn count(self) -> (usize, usize) {
        self.list.with(|list| {
            let alive = list.iter().filter(|machine| is_begun(machine)).count();
            let up = list.iter().filter(|machine| is_up(machine)).count();
            (up, alive - up)
        })
    }

    pub(crate) fn is_asked(self, key: &Digest) -> bool {
        self.asked.with(|asked| asked.contains(key))
    }

    /// Seconds since the machine started, as of now.
    pub(crate) fn uptime(self, machine: &Machine, now: u64) -> u64 {
        machine.uptime_seconds + now.saturating_sub(self.heard.get()) / 1000
    }

    /// How long the machine has been in its stage, in milliseconds, where this page saw it begin.
    pub(crate) fn in_stage(self, machine: &Machine, now: u64) -> Option<u64> {
        let (stage, since) = self.entered.with_value(|entered| entered.get(&machine.id).copied())?;
        (Some(stage) == machine.stage).then(|| now.saturating_sub(since))
    }

    pub(crate) fn accept(self, news: Vec<Machine>) {
        let now = clock::now();
        let first = self.heard.get_untracked() == 0;
        let known = self.list.get_untracked();
        let place = |machine: &Machine| known.iter().position(|held| held.id == machine.id).unwrap_or(known.len());
        let mut list = news;
        list.sort_by_key(place);
        self.entered.update_value(|entered| {
            entered.retain(|id, _| list.iter().any(|machine| machine.id == *id));
            for machine in &list {
                let before = known.iter().find(|held| held.id == machine.id).and_then(|held| held.stage);
                if let Some(stage) = machine.stage.filter(|stage| !first && before != Some(*stage)) {
                    entered.insert(machine.id.clone(), (stage, now));
                }
            }
        });
        self.heard.set(now);
        for machine in list.iter().filter(|machine| is_up(machine)) {
            if self.wanted.try_update_value(|wanted| wanted.remove(&machine.id)) == Some(true) {
                self.consoles.open(machine.id.clone());
            }
        }
        if list != known {
            self.list.set(list);
        }
    }

    pub(crate) async fn refresh(self) {
        if let Ok(list) = client::get(paths::MACHINES).await {
            self.accept(list);
        }
    }

    pub(crate) fn boot(self, key: Digest, server: Option<ServerId>) {
        if self.asked.with_untracked(|asked| asked.contains(&key)) {
            return;
        }
        self.catalog.forgive(&key);
        self.asked.update(|asked| {
            asked.insert(key);
        });
        spawn_local(async move {
            let request = BootRequest { server, ..BootRequest::default() };
            match client::send::<BootAccepted>(Method::POST, &paths::entry_boot(&key), &request).await {
                Ok(accepted) => {
                    self.wanted.update_value(|wanted| {
                        wanted.insert(accepted.machine_id);
                    });
                    self.refresh().await;
                }
                Err(problem) => self.catalog.fail(key, problem),
            }
            self.asked.update(|asked| {
                asked.remove(&key);
            });
        });
    }

    pub(crate) fn stop(self, id: MachineId) {
        let Some(machine) = untrack(|| self.get(&id)) else { return };
        spawn_local(async move {
            match client::tell(Method::POST, &paths::machine_stop(&id)).await {
                Ok(()) => self.refresh().await,
                Err(problem) => self.catalog.fail(machine.key, problem),
            }
        });
    }
}

fn is_begun(machine: &Machine) -> bool {
    !machine.state.is_over() && machine.state != MachineState::Fetching
}
