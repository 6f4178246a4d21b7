//! The trust anchor: starts the backend, asks whether it lives, starts it again.
