//! What an image is doing, in one word, as cards, search and tabs say it.
//!
//! The rule that decides is in `pixelrts_shared::image_status`. An image with which nothing goes on is either here or
//! elsewhere, which is what decides about a boot.

use pixelrts_shared::catalog::MergedEntry;
use pixelrts_shared::image_status::{self, Status};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// All of it is on this computer.
    Here,
    /// A server that may answer has it.
    Elsewhere,
    Arriving,
    Booting,
    Running,
    Stopped,
    Retrying,
    Failed,
    /// It is not here, and nobody who has it answers.
    Away,
}

impl State {
    pub const ALL: [Self; 9] = [
        Self::Here,
        Self::Elsewhere,
        Self::Arriving,
        Self::Booting,
        Self::Running,
        Self::Stopped,
        Self::Retrying,
        Self::Failed,
        Self::Away,
    ];

    /// `here`: the whole image is on this computer.
    #[must_use]
    pub fn of(status: Status, here: bool) -> Self {
        match status {
            Status::Idle if here => Self::Here,
            Status::Idle => Self::Elsewhere,
            Status::Downloading => Self::Arriving,
            Status::Booting => Self::Booting,
            Status::Running => Self::Running,
            Status::Stopped => Self::Stopped,
            Status::Retrying => Self::Retrying,
            Status::Error => Self::Failed,
            Status::Unavailable => Self::Away,
        }
    }

    /// The state of an image with which nothing goes on.
    #[must_use]
    pub fn at_rest(entry: &MergedEntry) -> Self {
        match (entry.cached, image_status::is_offered(&entry.sources)) {
            (true, _) => Self::Here,
            (false, true) => Self::Elsewhere,
            (false, false) => Self::Away,
        }
    }

    /// As people read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Here => "On this computer",
            Self::Elsewhere => "Not here yet",
            Self::Arriving => "Arriving",
            Self::Booting => "Booting",
            Self::Running => "Running",
            Self::Stopped => "Stopped",
            Self::Retrying => "Retrying",
            Self::Failed => "Failed",
            Self::Away => "Out of reach",
        }
    }

    /// As the stylesheet reads it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Elsewhere => "elsewhere",
            Self::Arriving => "arriving",
            Self::Booting => "booting",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Away => "away",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::condition::tests::entry;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn an_image_at_rest_is_here_elsewhere_or_out_of_reach() {
        for (cached, sources, state) in [
            (true, &[("office", "down")][..], State::Here),
            (false, &[("office", "up")], State::Elsewhere),
            (false, &[("office", "down"), ("lab", "unknown")], State::Elsewhere),
            (false, &[("office", "down")], State::Away),
            (false, &[], State::Away),
        ] {
            assert_eq!(State::at_rest(&entry(cached, sources)), state, "{cached} {sources:?}");
        }
    }

    #[test]
    fn every_state_is_reached_and_has_a_word_and_a_name_of_its_own() {
        let reached: HashSet<_> =
            Status::ALL.iter().flat_map(|status| [true, false].map(|here| State::of(*status, here))).collect();
        assert_eq!(reached, HashSet::from(State::ALL));
        assert_eq!(State::ALL.map(State::word).into_iter().collect::<HashSet<_>>().len(), State::ALL.len());
        assert_eq!(State::ALL.map(State::name).into_iter().collect::<HashSet<_>>().len(), State::ALL.len());
    }
}
