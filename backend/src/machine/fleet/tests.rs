//! The fleet without QEMU: what happens before there is a process, and with processes of an earlier backend.

use super::super::control;
use super::super::run_dir::sweep;
use super::members::MAX_ENDED;
use super::*;
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;

use pixelrts_shared::ProblemCode;
use pixelrts_shared::machine::Net;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

struct World {
    _base: tempfile::TempDir,
    machines: PathBuf,
    scope: Scope,
}

impl World {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let machines = base.path().join("pixelrts/machines");
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&machines).unwrap();
        Self { machines, _base: base, scope: Scope::new() }
    }

    async fn fleet(&self, program: &str) -> Fleet {
        let options = FleetOptions { runtime_dir: self.machines.clone(), program: program.into(), max_machines: 1 };
        let fleet = Fleet::open(options, &self.scope).unwrap();
        fleet.adopt().await.unwrap();
        fleet
    }

    fn directories(&self) -> usize {
        std::fs::read_dir(&self.machines).map_or(0, Iterator::count)
    }
}

fn launch() -> Launch {
    let options = BootOptions { memory: pixelrts_shared::Size::from_mebibytes(64), ..BootOptions::default() };
    Launch { key: Digest::new([7; 32]), name: "test".to_owned(), options }
}

async fn ended(fleet: &Fleet, id: &MachineId) -> Machine {
    let mut changes = fleet.changes();
    loop {
        let machine = fleet.get(id).unwrap();
        if machine.state.is_over() {
            return machine;
        }
        timeout(Duration::from_secs(20), changes.changed()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_cannot_run_is_refused_at_once() {
    let world = World::new();
    let fleet = world.fleet("/bin/false").await;
    let options = BootOptions { net: Net::Internet, ..launch().options };
    let refused = fleet.launch(Launch { options, ..launch() }, |_| std::future::pending()).unwrap_err();
    assert_eq!(refused.code, ProblemCode::DependencyMissing);

    fleet.launch(launch(), |_| std::future::pending()).unwrap();
    let refused = fleet.launch(launch(), |_| std::future::pending()).unwrap_err();
    assert_eq!(refused.code, ProblemCode::TooManyMachines);
    assert_eq!((fleet.list().len(), world.directories()), (1, 1));
}

#[tokio::test]
async fn a_machine_is_fetching_until_the_image_is_there_and_may_be_stopped_before() {
    let world = World::new();
    let fleet = world.fleet("/bin/false").await;
    let id = fleet.launch(launch(), |_| std::future::pending()).unwrap();
    let machine = fleet.get(&id).unwrap();
    assert_eq!((machine.state, machine.stage), (MachineState::Fetching, Some(BootStage::Fetching)));
    assert_eq!(fleet.serial(&id).await.unwrap_err().code, ProblemCode::NotReady);
    fleet.stop(&id).await.unwrap();
    assert_eq!(fleet.get(&id).unwrap().state, MachineState::Stopped);
    fleet.remove(&id).await.unwrap();
    assert_eq!(fleet.get(&id).ok(), None);
    assert_eq!(fleet.stop(&id).await.unwrap_err().code, ProblemCode::MachineNotFound);
}

#[tokio::test]
async fn a_problem_of_the_image_is_the_machines_problem() {
    let world = World::new();
    let fleet = world.fleet("/bin/false").await;
    let problem = Problem::new(ProblemCode::NetworkRefused, "what", "why", "fix");
    let failed = problem.clone();
    let id = fleet.launch(launch(), move |_| std::future::ready(Err(failed.clone()))).unwrap();
    let machine = ended(&fleet, &id).await;
    assert_eq!((machine.state, machine.problem), (MachineState::Failed, Some(problem)));
}

#[tokio::test]
async fn a_process_that_dies_early_leaves_its_log_and_nothing_else() {
    let world = World::new();
    let program = world._base.path().join("program");
    std::fs::write(&program, "#!/bin/sh\necho \"cannot $*\" >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let fleet = world.fleet(program.to_str().unwrap()).await;
    let id = fleet
        .launch(launch(), |_| async {
            Ok(Fetched { key: Digest::new([8; 32]), path: "/image".into(), expected: None, options: launch().options })
        })
        .unwrap();
    let machine = ended(&fleet, &id).await;
    let problem = machine.problem.unwrap();
    assert_eq!((machine.state, problem.code), (MachineState::Failed, ProblemCode::MachineCrashed));
    assert_eq!(machine.key, Digest::new([8; 32]));
    assert!(problem.context.unwrap().starts_with("cannot machine --dir /"));
    world.scope.shutdown(Duration::from_secs(5)).await.unwrap();
    fleet.detach().await;
    assert_eq!(world.directories(), 0);
}

#[tokio::test]
async fn ended_machines_are_kept_up_to_a_limit() {
    let world = World::new();
    let fleet = world.fleet("/bin/false").await;
    let mut ids = Vec::new();
    for _ in 0..=MAX_ENDED {
        let id = fleet.launch(launch(), |_| std::future::pending()).unwrap();
        fleet.stop(&id).await.unwrap();
        ids.push(id);
    }
    assert_eq!(fleet.list().len(), MAX_ENDED);
    assert_eq!(fleet.get(&ids[0]).ok(), None);
    assert!(fleet.get(&ids[MAX_ENDED]).is_ok());
}

/// The control socket and the run directory of a machine process, without its machine.
#[tokio::test]
async fn a_living_machine_is_adopted_and_the_directory_of_a_dead_one_removed() {
    let world = World::new();
    drop(RunDir::create(&world.machines).unwrap());
    assert_eq!(sweep(&world.machines).unwrap(), 1);
    let dir = RunDir::create(&world.machines).unwrap();
    let options = launch().options;
    let spec =
        Spec { key: Digest::new([7; 32]), name: "other".to_owned(), image: PathBuf::new(), expected: None, options };
    let (publish, state) = watch::channel(spec.machine(dir.id().clone()));
    let (stop, mut stops) = mpsc::channel(4);
    let listener = UnixListener::bind(dir.control_socket()).unwrap();
    let process = Scope::new();
    process.spawn(control::serve(listener, state, stop, watch::Sender::new(0), process.clone()));

    let fleet = world.fleet("/bin/false").await;
    assert_eq!(world.directories(), 1);
    assert_eq!(fleet.get(dir.id()).unwrap().name, "other");
    let stopping = process.spawn(async move {
        stops.recv().await;
        publish.send_modify(|machine| machine.state = MachineState::Stopped);
        publish
    });
    fleet.stop(dir.id()).await.unwrap();
    assert_eq!(fleet.get(dir.id()).unwrap().state, MachineState::Stopped);
    drop(stopping.await);
}
