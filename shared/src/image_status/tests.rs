use serde_json::json;

use super::*;
use crate::ProblemCode;

fn machine(state: &str, stage: &str) -> Machine {
    let stage = Some(stage).filter(|stage| !stage.is_empty());
    serde_json::from_value(json!({
        "id": "m1234567", "key": "00".repeat(32), "name": "Entry", "success": true, "state": state, "stage": stage,
        "memory": "2G", "cpus": 2, "uptime_seconds": 1, "restarts": 0
    }))
    .unwrap()
}

fn download(stage: &str, attempt: u32) -> Download {
    serde_json::from_value(json!({
        "id": "0000000000000000", "key": "00".repeat(32), "stage": stage, "received": 10, "attempt": attempt
    }))
    .unwrap()
}

fn sources(healths: &[&str]) -> Vec<Source> {
    let source = |health: &&str| json!({"server": "a", "name": "A", "id": "e", "health": {"state": health}});
    healths.iter().map(|health| serde_json::from_value(source(health)).unwrap()).collect()
}

/// One row: machine (state, stage), download (stage, attempt), whether the image is here, health of its servers.
type Row<'a> = (Option<(&'a str, &'a str)>, Option<(&'a str, u32)>, bool, &'a [&'a str]);

fn status(row: Row<'_>, change: impl FnOnce(&mut Facts<'_>)) -> Status {
    let (about, loading, here, healths) = row;
    let machine = about.map(|(state, stage)| machine(state, stage));
    let download = loading.map(|(stage, attempt)| download(stage, attempt));
    let offered = is_offered(&sources(healths));
    let (machine, download) = (machine.as_ref(), download.as_ref());
    let (asked, refused, reachable) = (false, None, true);
    let mut facts = Facts { machine, download, asked, refused, here, offered, reachable };
    change(&mut facts);
    decide(&facts).status()
}

#[test]
fn the_first_row_that_fits_decides() {
    use Status::*;
    let (up, down, unknown) = (&["up"][..], &["down", "down"][..], &["unknown"][..]);
    let table: [(Row<'_>, Status); 36] = [
        // A machine that fetches shows its download.
        ((Some(("fetching", "fetching")), Some(("downloading", 1)), false, up), Downloading),
        ((Some(("fetching", "fetching")), Some(("connecting", 2)), false, up), Retrying),
        ((Some(("fetching", "fetching")), Some(("downloading", 2)), false, up), Downloading),
        ((Some(("fetching", "fetching")), Some(("verifying", 2)), false, up), Downloading),
        ((Some(("fetching", "fetching")), Some(("cached", 1)), true, up), Booting),
        ((Some(("fetching", "fetching")), Some(("failed", 1)), false, up), Booting),
        ((Some(("fetching", "fetching")), None, false, down), Booting),
        // It runs from the first byte on the console on.
        ((Some(("starting", "verifying")), None, true, up), Booting),
        ((Some(("starting", "starting")), Some(("downloading", 1)), true, up), Booting),
        ((Some(("running", "loading")), None, true, up), Booting),
        ((Some(("running", "kernel")), None, true, up), Running),
        ((Some(("running", "ready")), Some(("downloading", 1)), false, down), Running),
        ((Some(("paused", "kernel")), None, true, up), Running),
        // One that is stopping stays what it was.
        ((Some(("stopping", "kernel")), None, true, up), Running),
        ((Some(("stopping", "loading")), None, true, up), Booting),
        // A download outranks what has ended.
        ((Some(("stopped", "")), Some(("queued", 1)), false, up), Downloading),
        ((Some(("crashed", "")), Some(("queued", 2)), false, up), Retrying),
        ((None, Some(("queued", 1)), false, up), Downloading),
        ((None, Some(("connecting", 3)), false, down), Retrying),
        ((None, Some(("downloading", 3)), false, down), Downloading),
        // What failed.
        ((Some(("crashed", "")), None, true, up), Error),
        ((Some(("panicked", "")), None, true, up), Error),
        ((Some(("failed", "")), None, false, down), Error),
        ((None, Some(("failed", 1)), false, up), Error),
        ((Some(("stopped", "")), Some(("failed", 1)), false, up), Error),
        ((None, Some(("failed", 1)), true, up), Idle),
        ((None, Some(("cancelled", 2)), false, up), Idle),
        // What cannot be had outranks what has ended.
        ((Some(("stopped", "")), None, false, down), Unavailable),
        ((Some(("stopped", "")), None, true, down), Stopped),
        ((Some(("stopped", "")), None, false, up), Stopped),
        ((None, None, false, down), Unavailable),
        ((None, None, false, &[]), Unavailable),
        ((None, None, false, &["down", "up"]), Idle),
        ((None, None, false, unknown), Idle),
        ((None, None, true, down), Idle),
        ((None, Some(("cached", 1)), true, up), Idle),
    ];
    for (row, expected) in table {
        assert_eq!(status(row, |_| {}), expected, "{row:?}");
    }
}

#[test]
fn a_click_is_answered_at_once_and_a_refusal_is_shown() {
    let problem = Problem::new(ProblemCode::Busy, "what", "why", "fix");
    let here = (None, None, true, &["up"][..]);
    assert_eq!(status(here, |facts| facts.asked = true), Status::Booting);
    let stopped = (Some(("stopped", "")), Some(("failed", 1)), false, &["up"][..]);
    assert_eq!(status(stopped, |facts| facts.asked = true), Status::Booting, "what failed before is forgotten");
    let machine = machine("running", "kernel");
    let facts = Facts {
        machine: None,
        download: None,
        asked: false,
        refused: Some(&problem),
        here: true,
        offered: true,
        reachable: true,
    };
    assert_eq!(decide(&facts), Decided::Error(Some(&problem)));
    assert_eq!(decide(&Facts { machine: Some(&machine), ..facts }), Decided::Running(&machine));
}

#[test]
fn without_the_backend_only_what_is_here_is_not_unavailable() {
    let away = (None, None, false, &["up"][..]);
    let here = (None, None, true, &["up"][..]);
    assert_eq!(status(away, |facts| facts.reachable = false), Status::Unavailable);
    assert_eq!(status(here, |facts| facts.reachable = false), Status::Idle);
}

#[test]
fn an_error_says_why_where_it_is_known() {
    let problem = Problem::new(ProblemCode::MachineCrashed, "what", "why", "fix");
    let crashed = Machine { problem: Some(problem.clone()), ..machine("crashed", "") };
    let facts = Facts {
        machine: Some(&crashed),
        download: None,
        asked: false,
        refused: None,
        here: true,
        offered: false,
        reachable: true,
    };
    assert_eq!(decide(&facts), Decided::Error(Some(&problem)));
    let silent = machine("crashed", "");
    assert_eq!(decide(&Facts { machine: Some(&silent), ..facts }), Decided::Error(None));
}

#[test]
fn the_last_machine_that_lives_counts_else_the_last_one() {
    let list = [machine("stopped", ""), machine("running", "kernel"), machine("starting", ""), machine("crashed", "")];
    let state = |list: &[Machine]| machine_that_counts(list.iter()).map(|machine| machine.state);
    assert_eq!(state(&list), Some(MachineState::Starting));
    assert_eq!(state(&list[..2]), Some(MachineState::Running));
    assert_eq!(state(&[list[3].clone(), list[0].clone()]), Some(MachineState::Stopped));
    assert_eq!(state(&[]), None);
}

#[test]
fn names_are_those_of_the_wire() {
    for status in Status::ALL {
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        assert_eq!(status.word().to_lowercase(), status.name());
    }
}
