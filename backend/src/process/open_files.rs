//! How many files and connections this process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have so many files open, if the system allows it. Returns how many it may have now.
///
/// Most systems start a process with a limit of 1,024, for the sake of old programs, and let it raise the limit itself.
/// It is raised no further than needed: programs that this process starts inherit it, and some of them try all numbers
/// that a file could have.
pub fn allow_open_files(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // No value: there is no limit.
    let now = current.unwrap_or(u64::MAX);
    let possible = wanted.min(maximum.unwrap_or(u64::MAX));
    if now < possible && setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum }).is_ok() {
        return possible;
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile);
        let Some(current) = before.current else { return };
        assert_eq!(allow_open_files(0), current);
        assert_eq!(getrlimit(Resource::Nofile).current, Some(current));
        let wanted = current + 1;
        let allowed = allow_open_files(wanted);
        let possible = before.maximum.is_none_or(|maximum| wanted <= maximum);
        assert_eq!(allowed, if possible { wanted } else { current });
        assert_eq!(getrlimit(Resource::Nofile).current, Some(allowed));
        assert_eq!(getrlimit(Resource::Nofile).maximum, before.maximum);
    }
}
