//! How long the fleet waits for a machine process.

use std::time::Duration;

use super::super::control::HEARTBEAT;

/// A process creates its control socket within some 10 ms of its start.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Three signs of life are missing.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(3 * HEARTBEAT.as_secs());
/// The ladder of a machine process takes 9 s at most. After this time the process itself is killed, and QEMU with it.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(15);
/// From the end of the connection to the end of the process, and from the kill to its effect.
pub(super) const END_WITHIN: Duration = Duration::from_secs(5);
/// The longest way of a stop: the process is requested to stop, then it is killed, then its end is awaited.
pub(super) const STOPPED_WITHIN: Duration = STOP_WITHIN.saturating_add(END_WITHIN);
/// A process whose machine is over stays until its clients have read so, and then ends its tasks: 4 s at most.
pub(super) const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// A machine process accepts connections as long as it lives.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(2);
