//! Where the list of servers is changed: in the running backend, or in the database when none runs.

use std::time::Duration;

use pixelrts_shared::server::{NewServer, Server, ServerChange, ServerCheck, ServerFound};
use pixelrts_shared::{Problem, ServerId, paths};
use reqwest::Method;

use crate::app::Live;
use crate::bootstrap::Purpose;
use crate::cli::Context;
use crate::cli::running::Running;
use crate::database::Database;
use crate::remote::servers::SCHEMA;
use crate::remote::{Catalogs, Servers};
use crate::task::Scope;

#[derive(Debug)]
pub(super) enum Access {
    Backend(Box<Running>),
    Database { catalogs: Catalogs, scope: Scope },
}

impl Access {
    pub(super) async fn open(context: &Context) -> Result<Self, Problem> {
        if let Some(running) = Running::find(context)? {
            return Ok(Self::Backend(Box::new(running)));
        }
        context.prepare(Purpose::Command).await?;
        let servers = Servers::new(Database::open(&context.paths.database(SCHEMA.name))?);
        servers.configure(&Live::of(&context.config).servers)?;
        let scope = Scope::new();
        Ok(Self::Database { catalogs: Catalogs::new(servers, context.client(), scope.clone()), scope })
    }

    pub(super) fn is_backend(&self) -> bool {
        matches!(self, Self::Backend(_))
    }

    /// Ends what was begun.
    pub(super) async fn close(&self) {
        if let Self::Database { scope, .. } = self {
            // Tasks that still run only ask a server that was added.
            let _ = scope.shutdown(Duration::from_secs(1)).await;
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<Server>, Problem> {
        match self {
            Self::Backend(backend) => backend.get(paths::SERVERS).await,
            Self::Database { catalogs, .. } => Ok(catalogs.list()?),
        }
    }

    pub(super) async fn add(&self, new: NewServer) -> Result<Server, Problem> {
        match self {
            Self::Backend(backend) => backend.call(Method::POST, paths::SERVERS, Some(&new)).await,
            Self::Database { catalogs, .. } => Ok(catalogs.add(new)?),
        }
    }

    pub(super) async fn change(&self, id: &ServerId, change: ServerChange) -> Result<Server, Problem> {
        match self {
            Self::Backend(backend) => backend.call(Method::PATCH, &paths::server(id), Some(&change)).await,
            Self::Database { catalogs, .. } => Ok(catalogs.change(id, change)?),
        }
    }

    pub(super) async fn remove(&self, id: &ServerId) -> Result<(), Problem> {
        match self {
            Self::Backend(backend) => backend.call(Method::DELETE, &paths::server(id), None::<&()>).await,
            Self::Database { catalogs, .. } => Ok(catalogs.remove(id)?),
        }
    }

    /// Asks a server of the list now.
    pub(super) async fn check_listed(&self, id: &ServerId) -> Result<ServerFound, Problem> {
        match self {
            Self::Backend(backend) => backend.call(Method::POST, &paths::server_check(id), None::<&()>).await,
            Self::Database { catalogs, .. } => catalogs.check_listed(id).await,
        }
    }

    /// Asks a server at an address.
    pub(super) async fn check(&self, url: &str) -> Result<ServerFound, Problem> {
        match self {
            Self::Backend(backend) => {
                let check = ServerCheck { url: url.to_owned() };
                backend.call(Method::POST, paths::SERVERS_CHECK, Some(&check)).await
            }
            Self::Database { catalogs, .. } => catalogs.check(url).await,
        }
    }
}
