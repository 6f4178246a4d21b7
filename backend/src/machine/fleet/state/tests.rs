//! The state machine against a world that performs its effects, and in which anything else happens in any order.

use super::super::super::{BootOptions, Spec};
use super::*;
use pixelrts_shared::machine::MachineState;
use pixelrts_shared::{Digest, ProblemCode};
use proptest::prelude::*;
use std::time::Duration;

fn machine(state: MachineState, code: Option<ProblemCode>) -> Box<Machine> {
    let options = BootOptions::default();
    let spec =
        Spec { key: Digest::new([7; 32]), name: "test".to_owned(), image: "/image".into(), expected: None, options };
    Box::new(Machine { state, problem: code.map(problem), ..spec.machine("abcdefgh".parse().unwrap()) })
}

fn problem(code: ProblemCode) -> Problem {
    Problem::new(code, "what", "why", "fix")
}

/// What may happen next, where it is possible.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Happens {
    ImageArrives,
    ImageFails,
    ProcessAnswers,
    ProcessFails,
    ProcessIsAlive,
    ProcessReports,
    ProcessReportsWrongBytes,
    ProcessReportsTheEnd,
    ConnectionBreaks,
    ProcessEnds,
    SomebodyStops,
    TimePasses,
}

fn happenings() -> impl Strategy<Value = Vec<Happens>> {
    use Happens::*;
    let one = prop_oneof![
        2 => Just(ImageArrives),
        1 => Just(ImageFails),
        3 => Just(ProcessAnswers),
        1 => Just(ProcessFails),
        2 => Just(ProcessIsAlive),
        2 => Just(ProcessReports),
        2 => Just(ProcessReportsWrongBytes),
        1 => Just(ProcessReportsTheEnd),
        1 => Just(ConnectionBreaks),
        2 => Just(ProcessEnds),
        1 => Just(SomebodyStops),
        2 => Just(TimePasses),
    ];
    prop::collection::vec(one, 0..60)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Process {
    None,
    /// It has not answered yet.
    New,
    Connected,
    /// The fleet only waits for its end.
    Awaited,
}

struct World {
    state: State,
    now: Instant,
    process: Process,
    killed: bool,
    starts: usize,
    /// The problems that the image was requested with.
    requests: Vec<Option<Problem>>,
    published: Vec<Change>,
}

impl World {
    fn launched() -> Self {
        let now = Instant::now();
        let (state, effects) = State::launched(now);
        let mut world =
            Self { state, now, process: Process::None, killed: false, starts: 0, requests: vec![], published: vec![] };
        world.perform(effects);
        world
    }

    fn adopted() -> Self {
        let mut world = Self::launched();
        world.requests.clear();
        (world.state, world.process) = (State::adopted(world.now), Process::Connected);
        world
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::RequestImage(problem) => self.requests.push(problem),
                Effect::Start(_) => {
                    assert_eq!(self.process, Process::None, "there is never a second process");
                    (self.process, self.killed) = (Process::New, false);
                    self.starts += 1;
                }
                Effect::SendStop => assert_eq!(self.process, Process::Connected),
                Effect::Kill => self.killed = true,
                Effect::AwaitEnd => {
                    assert_ne!(self.process, Process::None);
                    self.process = Process::Awaited;
                }
                Effect::Publish(change) => {
                    assert!(!self.is_published(), "nothing is published after the end: {change:?}");
                    self.published.push(change);
                }
            }
        }
    }

    /// The end of the machine.
    fn is_published(&self) -> bool {
        self.published.last().is_some_and(Change::is_last)
    }

    fn step(&mut self, event: Event) {
        let (state, effects) = self.state.clone().step(event, self.now);
        self.state = state;
        self.perform(effects);
        let has_process = self.process != Process::None;
        match self.state {
            State::Fetching { .. } | State::Over => assert!(!has_process),
            _ => assert!(has_process),
        }
        // Only these may wait for ever: for the image, for a process that hangs, and for the kernel.
        let may_wait = match &self.state {
            State::Fetching { .. } | State::Silent { .. } | State::Over => true,
            State::Ending { patience, .. } => *patience == Patience::Stuck,
            _ => false,
        };
        assert_eq!(self.state.deadline().is_none(), may_wait);
        assert!(self.state.deadline().is_none_or(|deadline| deadline > self.now), "every deadline is answered");
        assert_eq!(self.state == State::Over, self.is_published() && !has_process);
    }

    /// Lets it happen, if it can.
    fn happen(&mut self, what: Happens) {
        use MachineState::{Failed, Running, Stopped};
        let (fetching, process) = (matches!(self.state, State::Fetching { .. }), self.process);
        let image = Fetched {
            key: Digest::new([8; 32]),
            path: "/image".into(),
            expected: None,
            options: BootOptions::default(),
        };
        let event = match what {
            Happens::ImageArrives if fetching => Event::Image(Ok(image)),
            Happens::ImageFails if fetching => Event::Image(Err(problem(ProblemCode::NetworkRefused))),
            Happens::ProcessAnswers if process == Process::New => {
                self.process = Process::Connected;
                Event::Started(Ok(()))
            }
            Happens::ProcessFails if process == Process::New => {
                Event::Started(Err(problem(ProblemCode::MachineFailed)))
            }
            Happens::ProcessIsAlive if process == Process::Connected => Event::Alive,
            Happens::ProcessReports if process == Process::Connected => Event::Reported(machine(Running, None)),
            Happens::ProcessReportsWrongBytes if process == Process::Connected => {
                Event::Reported(machine(Failed, Some(ProblemCode::HashMismatch)))
            }
            Happens::ProcessReportsTheEnd if process == Process::Connected => Event::Reported(machine(Stopped, None)),
            Happens::ConnectionBreaks if process == Process::Connected => Event::Disconnected,
            Happens::ProcessEnds if process == Process::Awaited => {
                self.process = Process::None;
                Event::Ended { log: "last words".to_owned() }
            }
            Happens::SomebodyStops => Event::StopRequested,
            Happens::TimePasses => match self.state.deadline() {
                Some(deadline) => {
                    self.now = deadline;
                    Event::DeadlinePassed
                }
                None => return,
            },
            _ => return,
        };
        self.step(event);
    }
}

proptest! {
    /// The world checks after each step that there is at most one process, that nothing is published after the end, and
    /// that every state that could wait for ever has a deadline ahead.
    #[test]
    fn no_sequence_of_events_breaks_a_rule(adopted: bool, events in happenings()) {
        let mut world = if adopted { World::adopted() } else { World::launched() };
        for event in events {
            world.happen(event);
        }
        let requests = world.requests.len();
        let expected = if adopted { 0..=0 } else { 1..=2 };
        prop_assert!(expected.contains(&requests), "{} requests", requests);
        prop_assert!(world.starts <= requests);
    }

    #[test]
    fn a_stop_ends_every_machine_whose_process_dies_when_it_is_killed(adopted: bool, events in happenings()) {
        let mut world = if adopted { World::adopted() } else { World::launched() };
        for event in events {
            world.happen(event);
        }
        world.happen(Happens::SomebodyStops);
        for _ in 0..3 {
            world.happen(if world.killed { Happens::ProcessEnds } else { Happens::TimePasses });
        }
        prop_assert_eq!(world.state, State::Over);
    }

    /// It gives signs of life all the time, and does nothing else.
    #[test]
    fn a_process_that_ignores_a_stop_is_killed_in_time(pauses in prop::collection::vec(1_u64..6, 20)) {
        let mut world = World::adopted();
        world.happen(Happens::SomebodyStops);
        let stopped_at = world.now;
        for pause in pauses {
            let next = world.now + Duration::from_secs(pause);
            match world.state.deadline() {
                Some(deadline) if deadline <= next => world.happen(Happens::TimePasses),
                _ => {
                    world.now = next;
                    world.happen(Happens::ProcessIsAlive);
                }
            }
            if world.killed {
                break;
            }
        }
        prop_assert!(world.killed);
        prop_assert_eq!(world.now - stopped_at, STOP_WITHIN);
    }

    /// Also events that cannot come any more.
    #[test]
    fn the_end_is_the_end(index in 0_usize..8) {
        let image = Fetched { key: Digest::new([8; 32]), path: "/image".into(), expected: None, options: BootOptions::default() };
        let event = [
            Event::Image(Ok(image)),
            Event::Started(Ok(())),
            Event::Alive,
            Event::Reported(machine(MachineState::Running, None)),
            Event::Disconnected,
            Event::Ended { log: String::new() },
            Event::StopRequested,
            Event::DeadlinePassed,
        ][index].clone();
        prop_assert_eq!(State::Over.step(event, Instant::now()), (State::Over, vec![]));
    }
}

fn after(world: World, events: &[Happens]) -> World {
    events.iter().fold(world, |mut world, event| {
        world.happen(*event);
        world
    })
}

fn last(world: &World) -> (MachineState, Result<&'static str, ProblemCode>) {
    match world.published.last() {
        Some(Change::Over(end)) => (end.state, end.how.clone().map_err(|problem| problem.code)),
        other => panic!("the end is not published by the fleet: {other:?}"),
    }
}

#[test]
fn every_end_that_a_process_cannot_report_has_its_own_name() {
    use Happens::*;
    use MachineState::{Crashed, Failed, Stopped};
    for (events, state, how) in [
        (vec![SomebodyStops], Stopped, Ok("stopped on request")),
        (vec![ImageArrives, SomebodyStops, ProcessEnds], Stopped, Ok("stopped on request")),
        (vec![ImageFails], Failed, Err(ProblemCode::NetworkRefused)),
        (vec![ImageArrives, ProcessFails, ProcessEnds], Failed, Err(ProblemCode::MachineFailed)),
        (vec![ImageArrives, TimePasses, ProcessEnds], Failed, Err(ProblemCode::MachineFailed)),
        (vec![ImageArrives, ProcessAnswers, ConnectionBreaks, ProcessEnds], Crashed, Err(ProblemCode::MachineCrashed)),
        (
            vec![ImageArrives, ProcessAnswers, SomebodyStops, ConnectionBreaks, ProcessEnds],
            Stopped,
            Ok("stopped on request; its process did not report how"),
        ),
        (
            vec![ImageArrives, ProcessAnswers, SomebodyStops, TimePasses, ProcessEnds],
            Stopped,
            Ok("killed on request, because it did not stop"),
        ),
    ] {
        let world = after(World::launched(), &events);
        assert_eq!(last(&world), (state, how), "{events:?}");
        assert_eq!(world.state, State::Over, "{events:?}");
    }
}

#[test]
fn a_silent_process_is_killed_at_once_when_it_is_to_stop() {
    use Happens::*;
    let world = after(World::adopted(), &[TimePasses]);
    assert!(matches!(world.state, State::Silent { .. }));
    assert_eq!(world.published, [Change::Silent]);
    let (state, effects) = world.state.step(Event::StopRequested, world.now);
    assert_eq!(effects, [Effect::Kill, Effect::AwaitEnd]);
    assert!(matches!(state, State::Ending { .. }));

    // It falls silent before the time of its own ladder is over.
    let world = after(World::adopted(), &[SomebodyStops, TimePasses]);
    assert!(world.killed);
    assert!(world.state.deadline() < Some(world.now + STOP_WITHIN));
}

#[test]
fn a_process_that_reports_again_is_no_longer_shown_as_silent() {
    use Happens::*;
    let world = after(World::adopted(), &[TimePasses, ProcessIsAlive]);
    assert_eq!(world.published, [Change::Silent, Change::Heard]);
    assert!(matches!(world.state, State::Following { .. }));
}

#[test]
fn wrong_bytes_lead_to_one_more_request_with_the_problem_once_the_first_process_has_ended() {
    use Happens::*;
    let started = [ImageArrives, ProcessAnswers, ProcessReportsWrongBytes];
    let world = after(World::launched(), &started);
    assert_eq!(world.requests, [None]);
    let world = after(world, &[ProcessEnds]);
    assert_eq!(world.requests, [None, Some(problem(ProblemCode::HashMismatch))]);
    assert_eq!(world.published.last(), Some(&Change::FetchesAgain));

    // What the second process finds is the end.
    let world = after(world, &started);
    assert!(world.is_published());
    assert_eq!(after(world, &[ProcessEnds]).requests.len(), 2);

    // A stop meanwhile means that nobody wants the second start.
    let world = after(World::launched(), &[&started[..], &[SomebodyStops, ProcessEnds]].concat());
    assert_eq!(last(&world), (MachineState::Stopped, Ok("stopped on request")));
    assert_eq!(world.requests.len(), 1);
}

#[test]
fn a_process_that_survives_its_kill_is_shown_and_the_machine_is_not_over() {
    use Happens::*;
    let world = after(World::adopted(), &[TimePasses, SomebodyStops, TimePasses]);
    assert_eq!(world.published.last(), Some(&Change::Stuck));
    let world = after(world, &[TimePasses, SomebodyStops, ProcessEnds]);
    assert_eq!(last(&world).0, MachineState::Stopped);
}

#[test]
fn a_process_that_stays_after_its_machine_is_over_is_killed() {
    use Happens::*;
    let world = after(World::adopted(), &[ProcessReportsTheEnd]);
    assert!(world.is_published() && !world.killed);
    let world = after(world, &[TimePasses]);
    assert!(world.killed);
    assert_eq!(after(world, &[ProcessEnds]).state, State::Over);
}
