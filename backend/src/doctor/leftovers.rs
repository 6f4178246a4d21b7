//! What a crash left behind, and which command removes it.

use std::fs;
use std::path::Path;

use pixelrts_shared::doctor::{Finding, FindingState};
use pixelrts_shared::text::counted;
use pixelrts_shared::{Problem, ProblemCode};

use crate::bootstrap::stale_socket;
use crate::machine;
use crate::paths::Paths;
use crate::report::shell_word;

const SOME: usize = 3;

pub(super) fn look(paths: &Paths) -> Vec<Finding> {
    let found = [run_directories(&paths.machines()), socket(paths), databases(&paths.state)];
    let mut found: Vec<_> = found.into_iter().flatten().collect();
    if found.is_empty() {
        found.push(Finding::ok("leftovers", "No crash has left anything behind."));
    }
    found
}

fn run_directories(machines: &Path) -> Option<Finding> {
    let check = "leftovers.machines";
    let dead = match machine::dead(machines) {
        Ok(dead) if dead.is_empty() => return None,
        Ok(dead) => dead,
        Err(error) => {
            let why = format!("{}: {error}", machines.display());
            let fix = "Check the runtime directory and its permissions.";
            let problem = Problem::new(ProblemCode::StorageFailed, "Run directories cannot be read.", why, fix);
            return Some(Finding::of(check, FindingState::Warning, problem));
        }
    };
    let mounted = dead.iter().filter(|(_, mounted)| *mounted).count();
    let names: Vec<_> = dead.iter().take(SOME).map(|(path, _)| path.display().to_string()).collect();
    let more = if dead.len() > SOME { ", ..." } else { "" };
    let problem = Problem::new(
        ProblemCode::Busy,
        format!(
            "Machines that were killed left {} behind, {mounted} of them mounted.",
            counted(dead.len(), "run directory", "run directories")
        ),
        format!("Nobody uses {}{more}.", names.join(", ")),
        "The next start removes them: pixelrts boot SOURCE, or pixelrts serve",
    );
    Some(Finding::of(check, if mounted > 0 { FindingState::Warning } else { FindingState::Note }, problem))
}

fn socket(paths: &Paths) -> Option<Finding> {
    stale_socket(paths).map(|path| {
        let problem = Problem::new(
            ProblemCode::Busy,
            "A backend that was killed left its socket behind.",
            format!("Nobody listens on {}.", path.display()),
            "The next start replaces it: pixelrts serve",
        );
        Finding::of("leftovers.socket", FindingState::Note, problem)
    })
}

fn databases(state: &Path) -> Option<Finding> {
    let files = fs::read_dir(state).into_iter().flatten().flatten().map(|entry| entry.path());
    let damaged: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(".sqlite3.damaged")).collect();
    let paths: Vec<_> = damaged.iter().map(shell_word).collect();
    (!paths.is_empty()).then(|| {
        let problem = Problem::new(
            ProblemCode::StorageFailed,
            format!("{} moved aside.", counted(paths.len(), "damaged database was", "damaged databases were")),
            "They were replaced by new ones. The old files are kept in case somebody wants to examine them.",
            format!("When they are not needed: rm {}", paths.join(" ")),
        );
        Finding::of("leftovers.databases", FindingState::Warning, problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn each_kind_of_leftover_is_found_and_nothing_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        let look = || look(&paths);
        assert_eq!(look()[0].state, FindingState::Ok);
        let machine = paths.machines().join("abcdefgh");
        fs::create_dir_all(&machine).unwrap();
        fs::create_dir(&paths.state).unwrap();
        fs::write(machine.join("lock"), "").unwrap();
        fs::write(paths.state.join("cache.sqlite3.damaged"), "").unwrap();
        let listener = UnixListener::bind(paths.health_socket()).unwrap();
        assert_eq!(look().len(), 2, "a socket that answers is not left over: {:?}", look());
        drop(listener);
        for _ in 0..2 {
            let checks: Vec<_> = look().into_iter().map(|found| found.check).collect();
            assert_eq!(checks, ["leftovers.machines", "leftovers.socket", "leftovers.databases"]);
        }
    }
}
