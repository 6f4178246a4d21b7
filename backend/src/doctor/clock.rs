//! The clock. When it is years behind, every certificate looks invalid.

use std::time::{Duration, SystemTime};

use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::{Problem, ProblemCode};

use crate::clock;

/// 2024-01-01, in seconds since 1970. This program did not exist then.
const YOUNGER: Duration = Duration::from_secs(1_704_067_200);

pub(super) fn look() -> Finding {
    judge(SystemTime::now())
}

fn judge(now: SystemTime) -> Finding {
    if now >= SystemTime::UNIX_EPOCH + YOUNGER {
        return Finding::ok("clock", format!("It is {}.", clock::now()));
    }
    let problem = Problem::new(
        ProblemCode::ConfigInvalid,
        "This computer's clock is wrong.",
        "It shows a time before 2024, so certificates of servers look as if they were not valid yet.",
        "Set it: sudo timedatectl set-ntp true, or sudo date -s '2030-01-31 12:00'",
    );
    Finding::of("clock", FindingState::Warning, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_the_past_is_noticed() {
        assert_eq!(look().state, FindingState::Ok);
        assert_eq!(judge(SystemTime::UNIX_EPOCH).state, FindingState::Warning);
    }
}
