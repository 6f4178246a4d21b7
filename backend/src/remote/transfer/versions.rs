//! What to do about an address whose answers are of another version each time. Pure.
//!
//! Where nothing is promised, bytes of two versions are never put together, so a connection that breaks costs all bytes
//! when the next answer is of another version. Some servers write another ETag for each answer, or stand behind one
//! address without agreeing about it: a download from them would begin again without end.

use super::validator::Validator;

/// So often bytes are continued in vain. Then each answer is taken as a whole, whatever its version is.
const RESTARTS: u32 = 3;
/// So many answers may break then.
const PIECES: u32 = 3;

pub(super) const HOPELESS: &str = "each of its answers is of another version (ETag) than the one before, and none of \
    them came to its end, so that the image could neither be continued nor be had in one piece";

/// How often the bytes of an address had to go because the next answer was of another version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::remote) struct Versions(u32);

impl Versions {
    /// Bytes of the version `ours` were thrown away for an answer of the version `theirs`.
    pub(super) fn replaced(&mut self, ours: Option<&Validator>, theirs: Option<&Validator>) {
        let differ = ours.zip(theirs).is_some_and(|(ours, theirs)| ours != theirs);
        self.0 = self.0.saturating_add(u32::from(differ));
    }

    /// It is of no use to ask for the rest.
    pub(super) fn need_one_piece(self) -> bool {
        self.0 >= RESTARTS
    }

    pub(super) fn are_hopeless(self) -> bool {
        self.0 > RESTARTS + PIECES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_always_changes_its_mind_is_left_at_last() {
        let (one, two) = (Validator::parse("\"1\"").unwrap(), Validator::parse("\"2\"").unwrap());
        let mut versions = Versions::default();
        for (ours, theirs) in [(Some(&one), Some(&one)), (None, Some(&one)), (Some(&one), None)] {
            versions.replaced(ours, theirs);
        }
        assert_eq!(versions, Versions::default(), "a break without another version costs nothing");
        let mut states = Vec::new();
        for _ in 0..7 {
            states.push((versions.need_one_piece(), versions.are_hopeless()));
            versions.replaced(Some(&one), Some(&two));
        }
        assert_eq!(states[..3], [(false, false); 3]);
        assert_eq!(states[3..], [(true, false); 4]);
        assert!(versions.are_hopeless());
    }
}
