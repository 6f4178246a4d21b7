//! Parts of the reader by themselves, for fuzzers and benchmarks. Only with the feature `internals`.

mod mapping;

pub use mapping::{Mapping, Strips};
