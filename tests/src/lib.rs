//! Stories live in `tests/tests`; this crate has no library of its own.
