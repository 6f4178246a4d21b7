//! The fleet of machines, called as the backend calls it, with real machine processes, a real kernel and a real QEMU.

use std::future::{Future, Ready, ready};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pixelrts::machine::{BootOptions, Fetched, Fleet, FleetOptions, Launch};
use pixelrts::task::Scope;
use pixelrts_shared::machine::{BootStage, Machine, MachineState};
use pixelrts_shared::{Digest, MachineId, Problem, ProblemCode};
use pixelrts_tests::{Home, LINUX, binary, old_image, sample};
use tokio::io::AsyncReadExt;

/// Opens a fleet as `pixelrts serve` does.
async fn fleet(base: &Path, scope: &Scope) -> Fleet {
    let options = FleetOptions {
        runtime_dir: base.join("run/machines"),
        program: binary().expect("`cargo xtask test` says where it is"),
        max_machines: 2,
    };
    // The bootstrap phase does this before.
    let private = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&options.runtime_dir);
    private.expect("the run directories can be made");
    pixelrts::machine::sweep(&options.runtime_dir).expect("it is private");
    let fleet = Fleet::open(options, scope).expect("it is private");
    fleet.adopt().await.expect("all machines answer");
    fleet
}

fn launch(cmdline: &str) -> Launch {
    let options = BootOptions {
        memory: pixelrts_shared::Size::from_mebibytes(256),
        cmdline: Some(cmdline.to_owned()),
        ..BootOptions::default()
    };
    Launch { key: Digest::new([7; 32]), name: "hello".to_owned(), options }
}

/// Provides the same file and options however often the fleet asks.
fn from(path: PathBuf, cmdline: &'static str) -> impl Fn(Option<Problem>) -> Ready<Result<Fetched, Problem>> {
    let options = launch(cmdline).options;
    move |_| {
        ready(Ok(Fetched { key: Digest::new([8; 32]), path: path.clone(), expected: None, options: options.clone() }))
    }
}

async fn until(fleet: &Fleet, id: &MachineId, reached: impl Fn(&Machine) -> bool) -> Machine {
    let mut changes = fleet.changes();
    let wait = async {
        loop {
            let machine = fleet.get(id).expect("it is listed");
            if reached(&machine) {
                return machine;
            }
            changes.changed().await.expect("the fleet is there");
        }
    };
    within(wait).await
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), work).await.expect("it takes far too long")
}

fn directories(base: &Path) -> usize {
    std::fs::read_dir(base.join("run/machines")).expect("the fleet keeps its folder").count()
}

/// The guest says something and powers off. The kernel shows its command line, so what is expected is not in it.
const BRIEF: &str =
    r#"console=ttyS0 panic=-1 rdinit=/bin/busybox -- sh -c "echo HELLO-FROM-$((6*7)); exec busybox poweroff -f""#;
/// The guest's shell waits for somebody to type.
const ENDLESS: &str = "console=ttyS0 rdinit=/bin/busybox -- sh";

#[tokio::test]
async fn a_machine_boots_shows_its_console_and_powers_off() -> Result<()> {
    let image = sample(LINUX)?;
    let (home, scope) = (Home::new()?, Scope::new());
    let fleet = fleet(home.path(), &scope).await;
    let id = fleet.launch(launch(BRIEF), from(image, BRIEF)).unwrap();
    until(&fleet, &id, |machine| machine.serial_socket.is_some()).await;
    let mut output = Vec::new();
    within(fleet.serial(&id).await.unwrap().read_to_end(&mut output)).await.unwrap();
    assert!(String::from_utf8_lossy(&output).contains("HELLO-FROM-42"));

    let machine = until(&fleet, &id, |machine| machine.state.is_over()).await;
    assert_eq!((machine.state, machine.success), (MachineState::Stopped, true));
    assert_eq!(machine.ended.as_deref(), Some("powered off by itself"));
    let stages: Vec<_> = machine.stages.iter().map(|stage| stage.name).collect();
    use BootStage::{Fetching, Kernel, Loading, Mounting, Starting, Verifying};
    assert_eq!(stages, [Fetching, Verifying, Mounting, Starting, Loading, Kernel]);
    scope.shutdown(Duration::from_secs(5)).await.unwrap();
    Ok(())
}

#[tokio::test]
async fn machines_outlive_the_backend_and_the_next_one_stops_them() -> Result<()> {
    let image = sample(LINUX)?;
    let (home, scope) = (Home::new()?, Scope::new());
    let first = fleet(home.path(), &scope).await;
    let id = first.launch(launch(ENDLESS), from(image, ENDLESS)).unwrap();
    let before = until(&first, &id, |machine| machine.stage == Some(BootStage::Kernel)).await;
    within(first.detach()).await;

    let second = fleet(home.path(), &scope).await;
    let adopted = second.get(&id).unwrap();
    assert_eq!((adopted.pid, adopted.state), (before.pid, MachineState::Running));
    assert!(within(second.serial(&id).await.unwrap().read_u8()).await.is_ok());
    within(second.stop(&id)).await.unwrap();
    assert_eq!(second.get(&id).unwrap().ended.as_deref(), Some("stopped on request"));
    assert!(!Path::new(&format!("/proc/{}/fd/0", before.pid.unwrap())).exists());
    Ok(())
}

/// The machine process of QEMU's process `qemu`.
fn parent(qemu: u32) -> Pid {
    let status = std::fs::read_to_string(format!("/proc/{qemu}/status")).expect("QEMU runs");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a process has a parent");
    Pid::from_raw(parent.trim().parse().expect("it is a number"))
}

/// Whether QEMU has ended. The kernel may still be cleaning up, but then the process has no open files any more.
fn is_gone(qemu: u32) -> bool {
    std::fs::read_link(format!("/proc/{qemu}/fd/0")).is_err()
}

#[tokio::test]
async fn a_machine_process_that_hangs_is_noticed_and_can_still_be_stopped() -> Result<()> {
    let image = sample(LINUX)?;
    let (home, scope) = (Home::new()?, Scope::new());
    let fleet = fleet(home.path(), &scope).await;
    let id = fleet.launch(launch(ENDLESS), from(image, ENDLESS)).unwrap();
    let qemu = until(&fleet, &id, |machine| machine.stage == Some(BootStage::Kernel)).await.pid.unwrap();
    let process = parent(qemu);
    kill(process, Signal::SIGSTOP).unwrap();
    let machine = until(&fleet, &id, |machine| machine.problem.is_some()).await;
    assert_eq!(machine.state, MachineState::Running);
    assert_eq!(machine.problem.unwrap().code, ProblemCode::MachineSilent);
    kill(process, Signal::SIGCONT).unwrap();
    until(&fleet, &id, |machine| machine.problem.is_none()).await;

    kill(process, Signal::SIGSTOP).unwrap();
    within(fleet.stop(&id)).await.unwrap();
    let machine = fleet.get(&id).unwrap();
    assert_eq!(machine.state, MachineState::Stopped);
    assert_eq!(machine.ended.as_deref(), Some("killed on request, because it did not stop"));
    assert!(is_gone(qemu));
    within(fleet.detach()).await;
    assert_eq!(directories(home.path()), 0);
    Ok(())
}

#[tokio::test]
async fn an_image_with_wrong_bytes_is_requested_a_second_time() -> Result<()> {
    let good = sample(LINUX)?;
    let (home, scope) = (Home::new()?, Scope::new());
    let fleet = fleet(home.path(), &scope).await;
    let damaged = old_image("bad_data_hash");
    let image = move |wrong: Option<Problem>| {
        assert!(wrong.as_ref().is_none_or(|problem| problem.code == ProblemCode::HashMismatch), "{wrong:?}");
        from(if wrong.is_none() { damaged.clone() } else { good.clone() }, BRIEF)(wrong)
    };
    let id = fleet.launch(launch(BRIEF), image).unwrap();
    let machine = until(&fleet, &id, |machine| machine.state.is_over()).await;
    assert_eq!((machine.state, machine.success, machine.problem), (MachineState::Stopped, true, None));
    within(fleet.detach()).await;
    Ok(())
}

#[tokio::test]
async fn a_killed_machine_process_takes_everything_with_it() -> Result<()> {
    let image = sample(LINUX)?;
    let (home, scope) = (Home::new()?, Scope::new());
    let fleet = fleet(home.path(), &scope).await;
    let id = fleet.launch(launch(ENDLESS), from(image, ENDLESS)).unwrap();
    let machine = until(&fleet, &id, |machine| machine.stage == Some(BootStage::Kernel)).await;
    let qemu = machine.pid.unwrap();
    kill(parent(qemu), Signal::SIGKILL).unwrap();

    let machine = until(&fleet, &id, |machine| machine.state.is_over()).await;
    assert_eq!(machine.state, MachineState::Crashed);
    assert_eq!(machine.problem.unwrap().code, ProblemCode::MachineCrashed);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(home.path().to_str().unwrap()));
    assert!(is_gone(qemu));
    within(fleet.detach()).await;
    assert_eq!(directories(home.path()), 0);
    Ok(())
}
