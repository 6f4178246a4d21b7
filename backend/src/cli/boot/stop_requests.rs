//! Everything that can ask for the end of the machine: signals, Ctrl-] and an output that nobody reads.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Counts requests. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct StopRequests(watch::Sender<u32>);

impl StopRequests {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn send(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Sees requests that come from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<u32> {
        self.0.subscribe()
    }

    /// Returns when there has been one, at once when there was one already.
    pub(super) async fn any(&self) {
        // The sender is here, so that it does not fail.
        let _ = self.0.subscribe().wait_for(|count| *count > 0).await;
    }

    pub(super) async fn forward_signals(self) {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
            return tracing::warn!("signals cannot be caught; end the machine with Ctrl-]");
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            self.send();
        }
    }
}
