//! Loading modules, in two phases.
//!
//! *Register* makes the services of each module. A module that cannot be made is excluded: calls to it are refused with
//! the reason, and the others run. *Initialise* does the first work: it adopts machines, scans folders and requests the
//! catalogs of servers. A failure there degrades the module. `/health` shows both. When an index cannot be opened, it
//! is kept in memory, which costs time and not the module.

use std::path::PathBuf;

use pixelrts_shared::Problem;
use pixelrts_shared::server::HealthState;

use super::tidy::keep_cache_within_limits;
use super::{BackendSettings, Live, own_program};
use crate::bootstrap::Outcome;
use crate::cache::Store;
use crate::catalog::{Library, Local, Personal};
use crate::database::{Database, DatabaseError, Schema};
use crate::machine::{self, Fleet};
use crate::paths::Paths;
use crate::policy::module::Module;
use crate::remote::catalogs::KnownServer;
use crate::remote::{Catalogs, Client, Downloads, Remote, Servers, Timing};
use crate::task::Scope;
use crate::{cache, catalog, remote};

/// Where the tables of modules are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// In the files that the bootstrap phase has made: for the backend.
    Files,
    /// In the same files, for a command: it uses the indexes, and keeps what servers answer. It does not change the list of
    /// servers.
    Borrowed,
    /// In memory, because a running backend uses the files. Nothing is kept.
    Memory,
}

/// The modules of a shell's backend.
#[derive(Clone, Debug)]
pub(super) struct Modules {
    pub(super) library: Library,
    pub(super) machines: Module<Fleet>,
}

impl Modules {
    /// Phase 1.
    pub(super) fn register(
        settings: &BackendSettings,
        client: Client,
        outcome: &Outcome,
        scope: &Scope,
    ) -> Result<Self, Problem> {
        let BackendSettings { paths, name, catalogs, live, .. } = settings;
        let note = |module, problem| outcome.note(module, problem);
        let (name, folders, live) = (name.clone(), catalogs.clone(), &live.borrow());
        let parts = Parts { name, folders, live, tables: Tables::Files, client };
        let library = library(paths, parts, scope, note)?;
        let machines = Module::register("machines", fleet(paths, live.max_machines, scope));
        if let Ok(fleet) = machines.get() {
            let fleet = fleet.clone();
            library.watch_machines(move || fleet.list());
        }
        Ok(Self { library, machines })
    }

    /// Phase 2. Scans and requests to servers go on in the background and report their failures themselves.
    pub(super) async fn initialise(&self, outcome: &Outcome, scope: &Scope) {
        scope.spawn(self.library.local.clone().keep_fresh());
        scope.spawn(self.library.clone().keep_told());
        if let Ok(remote) = self.library.remote.get() {
            scope.spawn(remote.catalogs.clone().keep_fresh());
        }
        if let Ok(fleet) = self.machines.get()
            && let Err(error) = fleet.adopt().await
        {
            outcome.note("machines", error.into());
        }
        scope.spawn(keep_cache_within_limits(self.library.clone()));
    }
}

/// What a library is made of, besides its directories.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Of this computer's catalog.
    pub name: String,
    pub folders: Vec<PathBuf>,
    pub live: &'a Live,
    pub tables: Tables,
    pub client: Client,
}

/// The services around images. Nothing runs yet: the caller decides what is kept fresh. `note` gets the problems of
/// modules that are degraded.
pub fn library(
    paths: &Paths,
    Parts { name, folders, live, tables, client }: Parts<'_>,
    scope: &Scope,
    note: impl Fn(&'static str, Problem),
) -> Result<Library, Problem> {
    let open = |schema: &Schema| -> Result<Database, DatabaseError> {
        match tables {
            Tables::Files | Tables::Borrowed => Database::open(&paths.database(schema.name)),
            Tables::Memory => Database::in_memory(schema),
        }
    };
    let index = |schema: &'static Schema| {
        let opened = match tables {
            // What the backend knows of files saves hashing them.
            Tables::Memory => Database::copy(schema, &paths.database(schema.name)),
            Tables::Files | Tables::Borrowed => open(schema),
        };
        opened.or_else(|error| {
            note(schema.name, error.into());
            Database::in_memory(schema)
        })
    };
    let store = Store::new(paths, index(&cache::SCHEMA)?);
    store.set_limits(live.cache);
    let local = Local::new(name, folders, index(&catalog::SCHEMA)?);
    let schema = &remote::servers::SCHEMA;
    let servers = match tables {
        Tables::Borrowed => {
            let copy = Database::copy(schema, &paths.database(schema.name));
            copy.and_then(|copy| Ok(Servers::borrowed(copy, open(schema)?)))
        }
        Tables::Files | Tables::Memory => open(schema).map(Servers::new),
    };
    let remote = servers.map_err(Problem::from).and_then(|servers| {
        servers.configure(&live.servers)?;
        let catalogs = Catalogs::new(servers, client.clone(), scope.clone());
        let downloads = Downloads::new(
            store.clone(),
            client.clone(),
            scope.clone(),
            remote::downloads::backoff(),
            Timing::default(),
        );
        Ok(Remote { client, catalogs, downloads })
    });
    let (folders, catalogs) = (local.clone(), remote.as_ref().ok().map(|remote| remote.catalogs.clone()));
    store.ask_servers(move |digest| {
        let offered = |known: &KnownServer| {
            let has_it = known.catalog.as_ref().is_some_and(|catalog| catalog.find(digest).is_some());
            known.health.state == HealthState::Up && has_it
        };
        let known = catalogs.as_ref().and_then(|catalogs| catalogs.known_servers().ok()).unwrap_or_default();
        folders.get(digest).is_some() || known.iter().any(offered)
    });
    let personal = Personal::load(index(&catalog::PERSONAL)?);
    Ok(Library::new(local, store, Module::register("servers", remote), personal))
}

fn fleet(paths: &Paths, max_machines: usize, scope: &Scope) -> Result<Fleet, Problem> {
    let options = machine::FleetOptions { runtime_dir: paths.machines(), program: own_program()?, max_machines };
    Ok(Fleet::open(options, scope)?)
}
