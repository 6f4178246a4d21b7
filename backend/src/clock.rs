//! The wall clock as documents write it.

use std::time::SystemTime;

/// Now, as in `2026-01-31T12:00:00Z` (RFC 3339, UTC).
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
