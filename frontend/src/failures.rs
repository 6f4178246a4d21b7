//! Failed attempts: what a person asked of an image in this page and did not get, until the next attempt.

use pixelrts_shared::{Digest, Problem};

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;

/// The last failed attempt of each image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailedAttempts(Vec<(Digest, Problem)>);

impl FailedAttempts {
    #[must_use]
    pub fn get(&self, key: &Digest) -> Option<&Problem> {
        self.0.iter().find(|(failed, _)| failed == key).map(|(_, problem)| problem)
    }

    /// The images whose last attempt failed.
    pub fn keys(&self) -> impl Iterator<Item = &Digest> {
        self.0.iter().map(|(key, _)| key)
    }

    pub fn record(&mut self, key: Digest, problem: Problem) {
        self.forget(&key);
        self.0.push((key, problem));
    }

    /// Another attempt begins. Returns true when there was a failed one.
    pub fn forget(&mut self, key: &Digest) -> bool {
        self.0.extract_if(.., |(failed, _)| failed == key).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::ProblemCode;

    #[test]
    fn the_last_failure_counts_until_another_attempt_begins() {
        let (key, mut failed) = ("ab".repeat(32).parse().unwrap(), FailedAttempts::default());
        for what in ["first", "second"] {
            failed.record(key, Problem::new(ProblemCode::NetworkRefused, what, "why", "fix"));
        }
        assert_eq!(failed.get(&key).map(|problem| &*problem.what), Some("second"));
        assert!(failed.forget(&key) && !failed.forget(&key));
        assert_eq!(failed.get(&key), None);
    }
}
