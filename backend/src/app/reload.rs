//! What a running backend takes over when its configuration is read again.

use pixelrts_shared::Level;
use pixelrts_shared::server::NewServer;
use tokio::sync::watch;

use super::modules::Modules;
use crate::cache;
use crate::config::{self, Loaded};
use crate::machine::BootOptions;
use crate::remote::servers::Configured;
use crate::report;
use crate::task::blocking;

/// The settings that may change while the backend runs; all others take effect at its next start.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    pub servers: Vec<Configured>,
    pub max_machines: usize,
    pub cache: cache::Limits,
    /// What a boot gets that says nothing else.
    pub boot: BootOptions,
}

impl Live {
    #[must_use]
    pub fn of(loaded: &Loaded) -> Self {
        let config::Settings { cache, boot, servers, .. } = &loaded.settings;
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let server = |(at, server): (usize, &config::Server)| Configured {
            server: NewServer {
                url: server.url.clone(),
                name: given(&server.name),
                color: given(&server.color),
                priority: Some(server.priority),
                auth: given(&server.auth),
            },
            enabled: server.enabled,
            origin: loaded.origin(&format!("servers[{at}]")).to_string(),
        };
        Self {
            servers: servers.iter().enumerate().map(server).collect(),
            max_machines: boot.max_machines,
            cache: cache::Limits { max_size: cache.max_size, ttl: cache.ttl },
            boot: BootOptions {
                memory: boot.memory.clone(),
                cpus: boot.cpus,
                accel: boot.accel,
                net: boot.net,
                ..BootOptions::default()
            },
        }
    }
}

/// Hands every change on to whom it concerns, as long as somebody may send one.
pub(super) async fn follow(mut changes: watch::Receiver<Live>, modules: Modules, boot: watch::Sender<BootOptions>) {
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
        blocking(move || store.keep_within_limits()).await;
    }
}
