//! What is right and what is wrong with this computer, for a person who wants to boot images on it.
//!
//! There is one file per area. All areas are examined at the same time, and nothing is changed: no directory is made
//! and no template is written. A check that hangs or panics is a finding too, so that one dead disk does not hide the
//! rest.

mod accel;
mod address;
mod clock;
mod containers;
mod disk;
mod fuse;
mod leftovers;
mod qemu;
mod secrets;
mod servers;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use pixelrts_shared::doctor::{Diagnosis, Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode};
use tokio::time::timeout;

use crate::machine::HostFacts;
use crate::paths::Paths;
use crate::remote::Client;
use crate::remote::servers::Record;
use crate::task::blocking;

pub use address::cannot_listen;
pub use fuse::{Trial, try_mount};

/// The deadline of one area. All areas run at the same time, so it bounds the whole examination. The slowest area
/// requests the catalogs of servers and has 5 s for each.
const DEADLINE: Duration = Duration::from_secs(20);

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Subject {
    pub paths: Paths,
    /// Where the backend listens, or would listen.
    pub listen: SocketAddr,
    /// The file of the API's token.
    pub token: PathBuf,
    /// The files of certificate and key, when TLS is used.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The user accepts that others on the network can read along.
    pub insecure_http: bool,
    /// `pixelrts` itself: the trial mount needs a process of its own.
    pub program: PathBuf,
    /// Process id and address of the backend that runs.
    pub backend: Option<(u32, String)>,
}

/// Examines everything within 20 s. `servers` are the configured servers with a client for requests to them, or the
/// problem that keeps them unknown.
pub async fn examine(subject: &Subject, servers: Result<(Client, Vec<Record>), Problem>) -> Diagnosis {
    let Subject { paths, listen, token, tls, insecure_http, program, backend } = subject.clone();
    let safe = listen.ip().is_loopback() || insecure_http || tls.is_some();
    let places = paths.clone();
    let areas: [(&str, BoxFuture<'_, Vec<Finding>>); 10] = [
        ("accel", blocking(|| accel::look(&HostFacts::gather())).boxed()),
        ("fuse", fuse::look(program).boxed()),
        ("qemu", qemu::look(paths.clone()).boxed()),
        ("containers", containers::look().boxed()),
        ("disk", blocking(move || disk::look(&paths)).boxed()),
        ("address", blocking(move || vec![address::look(listen, safe, backend.as_ref())]).boxed()),
        ("server", servers::look(servers).boxed()),
        ("secrets", blocking(move || secrets::look(&token, tls.as_ref())).boxed()),
        ("leftovers", blocking(move || leftovers::look(&places)).boxed()),
        ("clock", async { vec![clock::look()] }.boxed()),
    ];
    let found = join_all(areas.map(|(area, look)| isolated(area, look, DEADLINE))).await;
    Diagnosis::new(found.into_iter().flatten().collect())
}

async fn isolated(area: &str, look: BoxFuture<'_, Vec<Finding>>, deadline: Duration) -> Vec<Finding> {
    let problem = match timeout(deadline, AssertUnwindSafe(look).catch_unwind()).await {
        Ok(Ok(findings)) => return findings,
        Ok(Err(_panic)) => Problem::new(
            ProblemCode::Internal,
            format!("The check of {area} failed."),
            "It panicked. The other checks went on.",
            "Report it together with the text that is printed above.",
        ),
        Err(_) => Problem::new(
            ProblemCode::NotReady,
            format!("The check of {area} does not end."),
            format!("It was not done within {} s, because something that it looks at hangs.", deadline.as_secs_f32()),
            "Look for a dead disk or a dead mount: findmnt; dmesg | tail",
        ),
    };
    vec![Finding::of(area, FindingState::Error, problem)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_check_that_hangs_or_panics_is_a_finding() {
        let soon = Duration::from_millis(10);
        let hangs = isolated("disk", std::future::pending().boxed(), soon).await;
        assert_eq!(hangs[0].problem.as_ref().unwrap().code, ProblemCode::NotReady);
        let panics = isolated("disk", blocking(|| panic!("on purpose")).boxed(), DEADLINE).await;
        assert_eq!(panics[0].problem.as_ref().unwrap().code, ProblemCode::Internal);
        let fine = isolated("disk", async { vec![Finding::ok("disk", "Fine.")] }.boxed(), DEADLINE).await;
        assert_eq!(fine[0].state, FindingState::Ok);
    }
}
