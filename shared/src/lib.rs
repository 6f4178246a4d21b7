//! What the backend and the shell have in common: wire types, API paths, ids, problems, and the rules that both follow.
//!
//! Only `serde`, no I/O, compiles to wasm32. The meaning of every field is fixed by `docs/API.md`.

pub mod address;
pub mod backoff;
pub mod boot_decision;
pub mod cache;
pub mod catalog;
pub mod digest;
pub mod doctor;
pub mod download;
pub mod duration;
pub mod emblem;
pub mod health;
pub mod id;
pub mod image_status;
pub mod left_out;
pub mod machine;
pub mod memory_size;
pub mod paths;
pub mod problem;
mod quantity;
pub mod server;
pub mod size;
pub mod text;

pub use digest::Digest;
pub use duration::Span;
pub use id::{DownloadId, EntryId, MachineId, ServerId};
pub use problem::{Level, Problem, ProblemCode};
pub use size::Size;
