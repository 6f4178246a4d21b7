//! The wall clock, as text.

use std::time::SystemTime;

/// The current time, for example `2026-01-31T12:00:00Z` (RFC 3339, UTC).
#[must_use]
pub fn now() -> String {
    rfc3339(SystemTime::now())
}

/// A point in time as text (RFC 3339, UTC), to the second.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
