//! The fleet with real machine processes, a real kernel and a real QEMU.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pixelrts::machine::{BootOptions, Fleet, Launch, Settings};
use pixelrts::task::Scope;
use pixelrts_shared::machine::{BootStage, Machine, MachineState};
use pixelrts_shared::{Digest, MachineId, ProblemCode};
use tokio::io::AsyncReadExt;

/// A kernel and an initrd that prints HELLO-FROM-GUEST and powers off.
fn image() -> Option<PathBuf> {
    let file = "shared/fixtures/kernel_initrd.rts.png";
    let given = std::env::var_os("PIXELRTS_FIXTURES").map(|folder| PathBuf::from(folder).join("kernel_initrd.rts.png"));
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join(file));
    let found = given.into_iter().chain(near).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: there is no {file} above {}", env!("CARGO_MANIFEST_DIR"));
    }
    found
}

/// As `pixelrts serve` opens it.
async fn fleet(base: &Path, scope: &Scope) -> Fleet {
    let settings = Settings {
        runtime_dir: base.join("run/machines"),
        program: env!("CARGO_BIN_EXE_pixelrts").into(),
        max_machines: 2,
    };
    Fleet::open(settings, scope).await.expect("the run directories can be made")
}

fn launch(cmdline: &str) -> Launch {
    let options =
        BootOptions { memory: "256M".to_owned(), cmdline: Some(cmdline.to_owned()), ..BootOptions::default() };
    Launch { key: Digest::new([7; 32]), name: "hello".to_owned(), options }
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
    std::fs::read_dir(base.join("run/machines")).map_or(0, Iterator::count)
}

/// A shell that waits for somebody to type.
const ENDLESS: &str = "console=ttyS0 rdinit=/bin/busybox -- sh";

#[tokio::test]
async fn a_machine_boots_shows_its_console_and_powers_off() {
    let Some(image) = image() else { return };
    let (base, scope) = (tempfile::tempdir().unwrap(), Scope::new());
    let fleet = fleet(base.path(), &scope).await;
    let id = fleet.launch(launch("console=ttyS0 panic=-1"), async { Ok(image) }).unwrap();
    until(&fleet, &id, |machine| machine.serial_socket.is_some()).await;
    let mut output = Vec::new();
    within(fleet.serial(&id).await.unwrap().read_to_end(&mut output)).await.unwrap();
    assert!(String::from_utf8_lossy(&output).contains("HELLO-FROM-GUEST"));

    let machine = until(&fleet, &id, |machine| machine.state.is_over()).await;
    assert_eq!((machine.state, machine.success), (MachineState::Stopped, true));
    assert_eq!(machine.ended.as_deref(), Some("powered off by itself"));
    let stages: Vec<_> = machine.stages.iter().map(|stage| stage.name).collect();
    use BootStage::{Fetching, Kernel, Loading, Mounting, Starting, Verifying};
    assert_eq!(stages, [Fetching, Verifying, Mounting, Starting, Loading, Kernel]);
    scope.shutdown(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn machines_outlive_the_backend_and_the_next_one_stops_them() {
    let Some(image) = image() else { return };
    let (base, scope) = (tempfile::tempdir().unwrap(), Scope::new());
    let first = fleet(base.path(), &scope).await;
    let id = first.launch(launch(ENDLESS), async { Ok(image) }).unwrap();
    let before = until(&first, &id, |machine| machine.stage == Some(BootStage::Kernel)).await;
    within(first.detach()).await;

    let second = fleet(base.path(), &scope).await;
    let adopted = second.get(&id).unwrap();
    assert_eq!((adopted.pid, adopted.state), (before.pid, MachineState::Running));
    assert!(within(second.serial(&id).await.unwrap().read_u8()).await.is_ok());
    within(second.stop(&id)).await.unwrap();
    assert_eq!(second.get(&id).unwrap().ended.as_deref(), Some("stopped on request"));
    assert!(!Path::new(&format!("/proc/{}/fd/0", before.pid.unwrap())).exists());
}

#[tokio::test]
async fn a_killed_machine_process_takes_everything_with_it() {
    let Some(image) = image() else { return };
    let (base, scope) = (tempfile::tempdir().unwrap(), Scope::new());
    let fleet = fleet(base.path(), &scope).await;
    let id = fleet.launch(launch(ENDLESS), async { Ok(image) }).unwrap();
    let machine = until(&fleet, &id, |machine| machine.stage == Some(BootStage::Kernel)).await;
    let qemu = machine.pid.unwrap();
    let status = std::fs::read_to_string(format!("/proc/{qemu}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned();
    assert!(std::process::Command::new("kill").args(["-9", &parent]).status().unwrap().success());

    let machine = until(&fleet, &id, |machine| machine.state.is_over()).await;
    assert_eq!(machine.state, MachineState::Crashed);
    assert_eq!(machine.problem.unwrap().code, ProblemCode::MachineCrashed);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(base.path().to_str().unwrap()));
    within(fleet.detach()).await;
    drop(fleet);
    drop(self::fleet(base.path(), &scope).await);
    assert_eq!(directories(base.path()), 0);
    // QEMU's end may still be under way in the kernel; what is left of it holds nothing.
    assert!(std::fs::read_link(format!("/proc/{qemu}/fd/0")).is_err());
}
