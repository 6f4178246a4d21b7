//! The wall clock, as text.

use std::time::SystemTime;

/// The current time, for example `2026-01-31T12:00:00Z` (RFC 3339, UTC).
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
