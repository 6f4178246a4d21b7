//! The trust anchor: it starts the backend, checks its health, and restarts it.
//!
//! It is small on purpose (`cargo xtask check` counts its lines), because what keeps the rest running must be simple
//! enough to be right. With every runtime it owns one child process and waits for it: the backend itself, or the
//! attached client of a container engine, which ends with its container (`docs/adr/0003-attached-container.md`).

mod child;
mod command;
mod engine;
mod error;
mod health;
mod install;
mod runtime;

use std::time::Duration;

use pixelrts_shared::Size;
use pixelrts_shared::backoff::Backoff;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::policy::restart::Restarts;
use crate::random;
pub use child::clear;
pub use command::{Launch, Serve};
pub use engine::Engine;
pub use error::{End, SupervisorError};
pub use runtime::{choose, engines};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeChoice {
    /// docker, else podman, else process
    #[default]
    Auto,
    Docker,
    Podman,
    /// No container: a process of this computer
    Process,
}

/// What the container may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// What mounting images and running machines needs
    #[default]
    Least,
    /// Privileged, with 2 processors and 2 GiB of memory unless the configuration says otherwise
    Standard,
}

/// How to supervise the backend. The defaults are in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorSettings {
    pub runtime: RuntimeChoice,
    pub profile: Profile,
    /// The image of the container. It is never downloaded.
    pub image: String,
    /// The longest time from the start of the backend to its socket.
    pub appear: Duration,
    /// Within `window`.
    pub max_restarts: u32,
    pub window: Duration,
    pub backoff: Vec<Duration>,
    /// Absent: the profile's.
    pub memory: Option<Size>,
    /// As the engines write it (`1.5`); empty: the profile's.
    pub cpus: String,
}

/// Keeps the backend running until `stop`, or until it ends too often. `ready` is called whenever it starts to answer.
///
/// When this is dropped, it kills its child. [`clear`] then removes the container.
pub async fn run(launch: &Launch, stop: &CancellationToken, mut ready: impl FnMut()) -> Result<(), SupervisorError> {
    let SupervisorSettings { appear, max_restarts, window, backoff, .. } = launch.settings.clone();
    let mut restarts = Restarts::new(Backoff::steps(backoff), Some(max_restarts), window);
    loop {
        let mut at = Instant::now();
        let end = match child::start(launch) {
            Err(error) => End::Spawn(error),
            Ok(mut child) => {
                tracing::info!("the backend is started");
                let end = tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        child::end(child, launch, true).await;
                        return Ok(());
                    }
                    end = child::hand_on_hangups(child.id()) => end,
                    status = child.wait() => status.map_or_else(End::Silent, End::Exited),
                    end = health::watch(launch.paths.health_socket(), appear, || {
                        restarts.succeeded();
                        ready();
                    }) => end,
                };
                at = Instant::now();
                child::end(child, launch, false).await;
                end
            }
        };
        let Some(delay) = restarts.ended(at.into_std(), random::jitter()) else {
            return Err(SupervisorError::Limit { max_restarts, window, end });
        };
        tracing::warn!("the backend is down: {end}; restart {} of {max_restarts} in {delay:?}", restarts.recent());
        if stop.run_until_cancelled(sleep_until(at + delay)).await.is_none() {
            return Ok(());
        }
    }
}
