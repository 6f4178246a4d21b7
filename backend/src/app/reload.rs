//! A running backend takes over what changed when its configuration is read again.

use pixelrts_shared::Level;
use tokio::sync::watch;

use super::Live;
use super::modules::Modules;
use crate::machine::BootOptions;
use crate::report;
use crate::task::{Scope, blocking};

/// Takes over every change of `live`, as long as `scope` runs. Returns the defaults for boots.
pub(super) fn start(live: watch::Receiver<Live>, modules: Modules, scope: &Scope) -> watch::Receiver<BootOptions> {
    let (boot, boots) = watch::channel(live.borrow().boot.clone());
    scope.spawn(follow(live, modules, boot));
    boots
}

/// Passes every change on to the modules that it concerns, until no more can come.
async fn follow(mut changes: watch::Receiver<Live>, modules: Modules, boot: watch::Sender<BootOptions>) {
    while changes.changed().await.is_ok() {
        let live = changes.borrow_and_update().clone();
        if let Ok(fleet) = modules.machines.get() {
            fleet.set_max_machines(live.max_machines);
        }
        boot.send_replace(live.boot);
        let store = modules.library.store.clone();
        store.set_limits(live.cache);
        if let Ok(remote) = modules.library.remote.get()
            && let Err(error) = remote.catalogs.configure(&live.servers)
        {
            report::problem(Level::Error, &error.into(), "the servers of the configuration are not taken over");
        }
        blocking(move || drop(store.keep_within_limits())).await;
    }
}
