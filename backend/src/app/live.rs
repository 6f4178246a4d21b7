//! The settings that may change while the backend runs.

use pixelrts_shared::server::NewServer;

use crate::cache;
use crate::config::{self, Loaded};
use crate::machine::BootOptions;
use crate::remote::servers::Configured;

/// What a running backend takes over on SIGHUP; all other settings take effect at its next start.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    pub servers: Vec<Configured>,
    pub max_machines: usize,
    pub cache: cache::Limits,
    /// The defaults for what a boot request leaves open.
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
                name: given(&server.name).map(Into::into),
                color: given(&server.color),
                priority: Some(server.priority),
                auth: given(&server.auth),
                user: given(&server.user),
                password: given(&server.password),
                allow: Some(server.allow.clone()),
                ca_file: given(&server.ca_file.to_string_lossy().into_owned()),
                pin: given(&server.pin),
            },
            enabled: server.enabled,
            origin: loaded.origin(&format!("servers[{at}]")).to_string(),
        };
        Self {
            servers: servers.iter().enumerate().map(server).collect(),
            max_machines: boot.max_machines,
            cache: cache::Limits { max_size: cache.max_size.bytes(), ttl: cache.ttl.into() },
            boot: boot.options(),
        }
    }
}
