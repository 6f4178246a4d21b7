use super::super::{BootOptions, Spec};
use super::*;
use pixelrts_shared::machine::AccelKind;
use pixelrts_shared::{Digest, ProblemCode};
use proptest::prelude::*;
use std::time::Duration;

fn life() -> Life {
    let options = BootOptions::default();
    let spec =
        Spec { key: Digest::new([7; 32]), name: "test".to_owned(), image: "/image".into(), expected: None, options };
    Life::new(spec.machine("abcdefgh".parse().unwrap()), Instant::now())
}

fn after(events: &[Event]) -> Machine {
    let (mut life, now) = (life(), Instant::now());
    for event in events {
        life.apply(event.clone(), now);
    }
    life.machine(now)
}

fn qemu_ended() -> Event {
    Event::QemuEnded { how: "exit status: 0".to_owned(), output: "qemu: a message".to_owned() }
}

fn shutdown(guest: bool, reason: &str) -> Event {
    Event::Shutdown(Shutdown { guest, reason: reason.to_owned() })
}

fn panicked() -> Event {
    Event::Panicked { line: "Kernel panic - not syncing: test".to_owned() }
}

#[test]
fn every_way_to_end_has_its_own_name() {
    use MachineState::{Crashed, Failed, Panicked, Stopped};
    let running = Event::Answered;
    for (events, state, code) in [
        (vec![running.clone(), shutdown(true, "guest-shutdown"), qemu_ended()], Stopped, None),
        (vec![running.clone(), shutdown(true, "guest-reset"), qemu_ended()], Stopped, None),
        (vec![running.clone(), Event::StopRequested, shutdown(false, "host-qmp-quit"), qemu_ended()], Stopped, None),
        (vec![Event::StopRequested, qemu_ended()], Stopped, None),
        (vec![running.clone(), qemu_ended()], Crashed, Some(ProblemCode::MachineCrashed)),
        (
            vec![running.clone(), shutdown(false, "host-signal"), qemu_ended()],
            Crashed,
            Some(ProblemCode::MachineCrashed),
        ),
        (vec![qemu_ended()], Failed, Some(ProblemCode::MachineFailed)),
        (vec![running.clone(), panicked(), qemu_ended()], Panicked, Some(ProblemCode::MachinePanicked)),
        // With `panic=-1` the guest reboots immediately after its panic.
        (
            vec![running.clone(), panicked(), shutdown(true, "guest-reset"), qemu_ended()],
            Panicked,
            Some(ProblemCode::MachinePanicked),
        ),
        (vec![running, shutdown(true, "guest-panic"), qemu_ended()], Panicked, Some(ProblemCode::MachinePanicked)),
    ] {
        let machine = after(&events);
        assert_eq!((machine.state, machine.problem.as_ref().map(|p| p.code)), (state, code), "{events:?}");
        assert_eq!(machine.ended.is_some(), state == Stopped, "{events:?}");
    }
}

#[test]
fn stages_are_timed_and_never_go_back() {
    let (mut life, start) = (life(), Instant::now());
    let at = |ms| start + Duration::from_millis(ms);
    life.stage_since = start;
    life.apply(Event::Entered(BootStage::Verifying), at(0));
    life.apply(Event::Entered(BootStage::Starting), at(30));
    life.apply(Event::Entered(BootStage::Kernel), at(70));
    // The control socket answered after the first output.
    life.apply(Event::Entered(BootStage::Loading), at(80));
    assert_eq!(life.machine(at(80)).stage, Some(BootStage::Kernel));
    life.apply(qemu_ended(), at(2080));
    let machine = life.machine(at(2080));
    let expected = [(BootStage::Verifying, 30), (BootStage::Starting, 40), (BootStage::Kernel, 2010)];
    assert_eq!(machine.stages, expected.map(|(name, ms)| StageTime { name, ms }));
    assert_eq!(machine.stage, None);
}

#[test]
fn the_power_button_is_for_a_kernel_that_runs() {
    let (mut life, now) = (life(), Instant::now());
    life.apply(Event::Answered, now);
    life.apply(Event::Entered(BootStage::Loading), now);
    life.apply(Event::StopRequested, now);
    assert!(!life.kernel_runs());
    life.apply(Event::Entered(BootStage::Kernel), now);
    assert!(life.kernel_runs());
}

fn any_event() -> impl Strategy<Value = Event> {
    let accel = Accel { used: AccelKind::Tcg, reason: "test".to_owned() };
    prop_oneof![
        Just(Event::Entered(BootStage::Verifying)),
        Just(Event::Entered(BootStage::Loading)),
        Just(Event::Entered(BootStage::Kernel)),
        Just(Event::Started { pid: 7, accel, serial_socket: "s".to_owned() }),
        Just(Event::Answered),
        Just(Event::Paused),
        Just(Event::Resumed),
        Just(panicked()),
        Just(Event::StopRequested),
        Just(shutdown(true, "guest-shutdown")),
        Just(shutdown(false, "host-signal")),
        Just(qemu_ended()),
        Just(Event::Failed(MachineError::NoKernel.into())),
    ]
}

proptest! {
    #[test]
    fn every_sequence_of_events_ends_once_and_with_a_reason(events in prop::collection::vec(any_event(), 0..20)) {
        let (mut life, now) = (life(), Instant::now());
        let mut last = None;
        for event in events.into_iter().chain([qemu_ended()]) {
            life.apply(event, now);
            let machine = life.machine(now);
            if let Some(last) = last {
                prop_assert_eq!(&machine, &last);
            }
            last = machine.state.is_over().then_some(machine).filter(|_| life.state == State::Over);
        }
        let machine = last.unwrap();
        prop_assert!(machine.stage.is_none());
        prop_assert_ne!(machine.problem.is_some(), machine.ended.is_some());
        prop_assert!(machine.stages.is_sorted_by_key(|stage| stage.name));
    }
}
