//! Catalog servers: whether each of them answers, and how fast.

use std::time::Duration;

use futures_util::future::join_all;
use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::text::counted;
use pixelrts_shared::{Problem, ProblemCode};
use tokio::time::timeout;

use crate::remote::Client;
use crate::remote::catalogs::Asker;
use crate::remote::servers::Record;

/// The deadline for a whole catalog. A server that takes longer is no use to a person.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) async fn look(servers: Result<(Client, Vec<Record>), Problem>) -> Vec<Finding> {
    let (client, servers) = match servers {
        Ok(servers) => servers,
        Err(problem) => return vec![Finding::of("server", FindingState::Warning, problem)],
    };
    let enabled: Vec<_> = servers.into_iter().filter(|server| server.enabled).collect();
    if enabled.is_empty() {
        let problem = Problem::new(
            ProblemCode::ServerNotFound,
            "No catalog server is listed.",
            "Only images on this computer are offered. Nothing is wrong with that.",
            "Add one in the shell with the button Add server.",
        );
        return vec![Finding::of("server", FindingState::Note, problem)];
    }
    let asker = Asker::new(client);
    join_all(enabled.iter().map(|server| one(&asker, server))).await
}

async fn one(asker: &Asker, server: &Record) -> Finding {
    let check = format!("server.{}", server.id);
    match timeout(ANSWER, asker.look(&server.endpoint())).await {
        Ok(Ok(found)) => {
            let (images, ms) = (counted(found.entries, "image", "images"), found.latency.as_millis());
            Finding::ok(check, format!("{} offers {images} and answers within {ms} ms.", server.name))
        }
        Ok(Err(error)) => Finding::of(check, FindingState::Warning, error),
        Err(_) => Finding::of(
            check,
            FindingState::Warning,
            Problem::new(
                ProblemCode::NetworkTimeout,
                format!("{} does not answer.", server.name),
                format!("{} sent no catalog within {} s.", server.url, ANSWER.as_secs()),
                "Check that it runs and is reachable from here; a firewall may drop the packets.",
            ),
        ),
    }
}
