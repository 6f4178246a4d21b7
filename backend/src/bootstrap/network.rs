//! Whether the servers' computers can be reached: advice for the log.
//!
//! The health of each server comes from the request for its catalog. This handler adds what that cannot say: when no
//! server can be reached, the fault is probably on this computer.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use pixelrts_shared::Problem;

use super::{BootstrapError, Handler, Purpose, Rule, Site, handler};
use crate::database::Database;
use crate::remote::Servers;
use crate::remote::servers::{Record, SCHEMA};
use crate::task;

/// The deadline for one connection, after the name was resolved.
const DEADLINE: Duration = Duration::from_secs(2);

struct Network;

handler!(Network);

impl Handler for Network {
    fn name(&self) -> &'static str {
        "network"
    }

    fn priority(&self) -> u32 {
        90
    }

    fn rule(&self) -> Rule {
        Rule::Advisory
    }

    fn should_run(&self, site: &Site) -> Result<bool, Problem> {
        Ok(site.purpose == Purpose::Shell && !enabled(site)?.is_empty())
    }

    fn execute(&self, site: &Site) -> Result<Vec<String>, Problem> {
        let servers = enabled(site)?;
        let reached: Vec<_> = task::scope(|scope| {
            let asked: Vec<_> = servers.iter().map(|server| scope.spawn(|| connect(server))).collect();
            asked.into_iter().filter_map(|asked| asked.join().ok().flatten()).collect()
        });
        if reached.is_empty() {
            return Err(BootstrapError::NoServer { servers: servers.len() }.into());
        }
        Ok(vec![format!("{} of {} servers reached: {}", reached.len(), servers.len(), reached.join(", "))])
    }
}

fn enabled(site: &Site) -> Result<Vec<Record>, Problem> {
    let servers = Servers::new(Database::open(&site.paths.database(SCHEMA.name))?).list()?;
    Ok(servers.into_iter().filter(|server| server.enabled).collect())
}

/// The id of the server and the time that the connection took.
fn connect(server: &Record) -> Option<String> {
    let addresses = server.url.socket_addrs(|| None).ok()?;
    let began = Instant::now();
    let left = || DEADLINE.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
    addresses.iter().find(|address| TcpStream::connect_timeout(address, left()).is_ok())?;
    Some(format!("{} in {} ms", server.id, began.elapsed().as_millis()))
}
