//! What the backend and the shell say to each other: wire types, API paths, ids and problems.
//!
//! Only `serde`, no I/O, compiles to wasm32. The meaning of every field is fixed by `docs/API.md`.

pub mod backoff;
pub mod catalog;
pub mod digest;
pub mod doctor;
pub mod download;
pub mod health;
pub mod id;
pub mod machine;
pub mod paths;
pub mod problem;
pub mod server;

pub use digest::Digest;
pub use id::{DownloadId, EntryId, MachineId, ServerId};
pub use problem::{Level, Problem, ProblemCode};
