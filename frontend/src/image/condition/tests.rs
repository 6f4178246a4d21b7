use pixelrts_shared::ProblemCode;
use serde_json::{Value, json};

use super::super::action::Action;
use super::*;

pub(crate) fn entry(cached: bool, sources: &[(&str, &str)]) -> MergedEntry {
    let sources: Vec<Value> = sources
        .iter()
        .map(|(name, state)| json!({"server": name, "name": name, "id": "e", "health": {"state": state}}))
        .collect();
    serde_json::from_value(json!({
        "id": "e", "name": "Entry", "size": 100, "sha256": "00".repeat(32), "segments": [],
        "sources": sources, "cached": cached, "status": "idle"
    }))
    .unwrap()
}

pub(crate) fn machine(state: &str, stage: Option<&str>) -> Machine {
    serde_json::from_value(json!({
        "id": "m1234567", "key": "00".repeat(32), "name": "Entry", "success": true, "state": state, "stage": stage,
        "memory": "2G", "cpus": 2, "uptime_seconds": 1, "restarts": 0
    }))
    .unwrap()
}

pub(crate) fn download(stage: &str, attempt: u32) -> Download {
    serde_json::from_value(json!({
        "id": "0000000000000000", "key": "00".repeat(32), "stage": stage, "received": 10, "total": 100,
        "attempt": attempt, "source": "office"
    }))
    .unwrap()
}

pub(crate) fn refusal() -> Problem {
    Problem::new(ProblemCode::HashMismatch, "what", "why", "fix")
}

fn known(entry: &MergedEntry) -> Known<'_> {
    Known { entry, machine: None, download: None, failure: None, boot_requested: false, reachable: true }
}

#[test]
fn a_machine_is_booting_until_the_kernel_writes() {
    let entry = entry(true, &[]);
    let status = |state, stage| {
        let machine = machine(state, stage);
        Condition::of(Known { machine: Some(&machine), ..known(&entry) }).status()
    };
    assert_eq!(status("starting", Some("mounting")), Status::Booting);
    assert_eq!(status("running", Some("loading")), Status::Booting);
    assert_eq!(status("running", Some("kernel")), Status::Running);
    assert_eq!(status("stopped", None), Status::Stopped);
}

#[test]
fn a_machine_that_fetches_shows_its_download() {
    let (entry, machine) = (entry(false, &[("office", "up")]), machine("fetching", Some("fetching")));
    let with = |download: &Download| {
        Condition::of(Known { machine: Some(&machine), download: Some(download), ..known(&entry) }).status()
    };
    assert_eq!(with(&download("downloading", 1)), Status::Downloading);
    assert_eq!(with(&download("connecting", 2)), Status::Retrying);
    assert_eq!(with(&download("downloading", 2)), Status::Downloading);
    assert_eq!(with(&download("cached", 1)), Status::Booting);
}

#[test]
fn a_click_is_answered_at_once_and_outranks_an_old_problem() {
    let (entry, problem) = (entry(true, &[]), refusal());
    let condition = Condition::of(Known { boot_requested: true, failure: Some(&problem), ..known(&entry) });
    assert_eq!((condition.status(), Action::of(&condition, true)), (Status::Booting, None));
}

#[test]
fn a_failed_download_names_another_server_that_answers() {
    let entry = entry(false, &[("office", "up"), ("lab", "down"), ("north", "unknown")]);
    let failed = Download { problem: Some(refusal()), ..download("failed", 1) };
    let condition = Condition::of(Known { download: Some(&failed), ..known(&entry) });
    assert_eq!(condition.status(), Status::Error);
    assert_eq!(Action::of(&condition, true).map(|action| action.label()), Some("Boot from north".to_owned()));

    let alone = self::entry(false, &[("office", "up")]);
    let condition = Condition::of(Known { download: Some(&failed), ..known(&alone) });
    assert_eq!(Action::of(&condition, true), Some(Action::Retry));
}

#[test]
fn an_old_failure_is_forgotten_once_the_image_is_here() {
    let entry = entry(true, &[]);
    let failed = Download { problem: Some(refusal()), ..download("failed", 1) };
    assert_eq!(Condition::of(Known { download: Some(&failed), ..known(&entry) }), Condition::Idle);
}

#[test]
fn what_no_server_gives_is_unavailable_unless_it_is_here() {
    let gone = entry(false, &[("north", "down")]);
    let condition = Condition::of(known(&gone));
    assert_eq!(condition, Condition::Unavailable("Its only server, north, does not answer.".to_owned()));
    assert_eq!(Action::of(&condition, true), None);
    assert_eq!(Condition::of(known(&entry(true, &[("north", "down")]))), Condition::Idle);
    assert_eq!(Condition::of(known(&entry(false, &[("north", "down"), ("lab", "up")]))), Condition::Idle);
}

#[test]
fn without_the_backend_nothing_offers_a_button() {
    let (here, away) = (entry(true, &[]), entry(false, &[("lab", "up")]));
    let of = |entry| Condition::of(Known { reachable: false, ..known(entry) });
    assert_eq!((of(&here).status(), Action::of(&of(&here), false)), (Status::Idle, None));
    assert_eq!(of(&away).status(), Status::Unavailable);
}

#[test]
fn a_machine_that_failed_without_a_reason_says_what_its_state_says() {
    let entry = entry(true, &[]);
    for (state, code) in [
        ("panicked", ProblemCode::MachinePanicked),
        ("crashed", ProblemCode::MachineCrashed),
        ("failed", ProblemCode::MachineFailed),
    ] {
        let machine = machine(state, None);
        let condition = Condition::of(Known { machine: Some(&machine), ..known(&entry) });
        assert!(matches!(condition, Condition::Error(problem, None) if problem.code == code), "{state}");
    }
}
