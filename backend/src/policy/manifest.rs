//! What a module needs to exist before it starts.
