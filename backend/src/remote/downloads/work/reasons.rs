//! Why the tries of a download have failed.

use pixelrts_shared::{Digest, Problem};

use crate::remote::error::{RemoteError, seconds};

/// One reason for each server, and the last of them in full.
#[derive(Default)]
pub(super) struct Reasons {
    last: Option<Problem>,
    /// What the last server asks for.
    pub(super) wait: Option<String>,
    /// One line for each server.
    of: Vec<(String, String)>,
}

impl Reasons {
    pub(super) fn add(&mut self, error: RemoteError, tries: u32, key: Digest) {
        // A server can make a download fail as often as it likes.
        if tries <= 10 || tries.is_power_of_two() {
            tracing::info!(image.key = %key, attempt = tries, %error, "a try to download failed");
        }
        let server = error.server.to_string();
        self.wait = error.wait().map(|wait| format!("{server} asks to wait {} s.", seconds(wait)));
        self.of.retain(|(other, _)| *other != server);
        self.of.push((server, error.kind.to_string()));
        self.last = Some(error.into());
    }

    /// The last one, with those of the other servers.
    pub(super) fn problem(&self) -> Option<Problem> {
        let problem = self.last.clone()?;
        let Some((_, others)) = self.of.split_last().filter(|(_, others)| !others.is_empty()) else {
            return Some(problem);
        };
        let others = others.iter().map(|(server, why)| format!("{server}: {why}"));
        let all: Vec<_> = problem.context.clone().into_iter().chain(others).collect();
        Some(problem.context(all.join("; ")))
    }
}
