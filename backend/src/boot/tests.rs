//! Boots of real image files, up to the moment at which a machine's process would start.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pixelrts_shared::boot_decision::{BootNote, ImageWishes, Wish, Wisher};
use pixelrts_shared::catalog::Role;
use pixelrts_shared::machine::{BootRequest, Machine, Net};
use pixelrts_shared::{MachineId, Problem, ProblemCode, Size};
use tokio::sync::watch;

use super::{BootService, Ended, Supply, check_request, foreground};
use crate::cache::{self, Cached, Store, hash_file};
use crate::catalog::{self, CheckedFile, ImageFile, Library, Local, Personal};
use crate::database::Database;
use crate::image::{Effort, Metadata, Pack, SegmentFile};
use crate::machine::{BootBridge, BootOptions, Fleet, FleetOptions, Spec};
use crate::paths::Paths;
use crate::policy::module::Module;
use crate::task::Scope;

/// A computer with a folder of images and a cache, without a network.
struct World {
    folder: tempfile::TempDir,
    store: Store,
    scope: Scope,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::below(folder.path());
        std::fs::create_dir_all(paths.images()).unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        let store = Store::new(&paths, Database::in_memory(&cache::SCHEMA).unwrap());
        Self { folder, store, scope: Scope::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An image in the folder, which asks for this.
    fn pack(&self, name: &str, memory: &str, cpus: &str, net: &str) -> PathBuf {
        let kernel = self.path("kernel");
        std::fs::write(&kernel, name).unwrap();
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let pack = Pack {
            metadata: Metadata { memory: said(memory), cpus: said(cpus), net: said(net), ..Metadata::default() },
            segments: vec![SegmentFile { name: "kernel".to_owned(), role: Role::Kernel, path: kernel }],
            ..Pack::default()
        };
        let path = self.path("images").join(format!("{name}.rts.png"));
        pack.write(&path, &mut |_, _| {}).unwrap();
        path
    }

    async fn library(&self) -> Library {
        let index = Database::in_memory(&catalog::SCHEMA).unwrap();
        let local = Local::new("test".to_owned(), vec![self.path("images")], index);
        local.refresh().await;
        let reason = Problem::new(ProblemCode::NotReady, "There is no network.", "It is a test.", "Leave it.");
        Library::new(local, self.store.clone(), Module::register("servers", Err(reason)), Personal::default())
    }

    /// A service whose machines are processes that keep what they were started with and end.
    async fn service(&self, defaults: BootOptions) -> (BootService, Fleet) {
        let program = self.path("program");
        let script = format!("#!/bin/sh\ncp \"$3/spec.json\" {}\nexit 1\n", self.path("spec.json").display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let runtime_dir = self.path("r/machines");
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&runtime_dir).unwrap();
        let fleet = Fleet::open(FleetOptions { runtime_dir, program, max_machines: 1 }, &self.scope).unwrap();
        let machines = Module::register("machines", Ok(fleet.clone()));
        (BootService::new(self.library().await, machines, watch::channel(defaults).1), fleet)
    }

    /// What a machine of the entry was started with, and the machine as the API shows it.
    async fn started(
        &self,
        (service, fleet): &(BootService, Fleet),
        key: &str,
        request: BootRequest,
    ) -> (Spec, Machine) {
        let id: MachineId = service.boot(key, request).await.unwrap();
        let mut changes = fleet.changes();
        let machine = loop {
            let machine = fleet.get(&id).unwrap();
            if machine.state.is_over() {
                break machine;
            }
            tokio::time::timeout(Duration::from_secs(30), changes.changed()).await.unwrap().unwrap();
        };
        let spec = std::fs::read(self.path("spec.json")).unwrap();
        (serde_json::from_slice(&spec).unwrap(), machine)
    }

    /// The image in the cache, under its digest.
    fn cache(&self, file: &Path) -> Cached {
        let (digest, size) = hash_file(file).unwrap();
        let path = Paths::below(self.folder.path()).images().join(format!("{digest}.rts.png"));
        std::fs::copy(file, &path).unwrap();
        Cached { digest, path, size }
    }
}

fn defaults() -> BootOptions {
    BootOptions { memory: Size::from_mebibytes(256), cpus: 1, ..BootOptions::default() }
}

fn wrong_bytes() -> Problem {
    Problem::new(ProblemCode::HashMismatch, "Wrong bytes.", "The hash differs.", "Look.")
}

#[tokio::test]
async fn the_service_boots_an_entry_with_what_its_image_asks_for() {
    let world = World::new();
    world.pack("small", "64M", "1", "none");
    let service = world.service(defaults()).await;
    let (spec, machine) = world.started(&service, "small", BootRequest::default()).await;
    assert_eq!((spec.options.memory, spec.options.cpus, spec.options.net), (Size::from_mebibytes(64), 1, Net::None));
    assert_eq!((machine.memory, machine.cpus, machine.notes), (Size::from_mebibytes(64), 1, vec![]));
    let request =
        BootRequest { memory: Some(Size::from_mebibytes(96)), net: Some(Net::Restricted), ..BootRequest::default() };
    let (spec, _) = world.started(&service, "small", request).await;
    assert_eq!((spec.options.memory, spec.options.net), (Size::from_mebibytes(96), Net::Restricted));
}

#[tokio::test]
async fn the_service_says_where_an_image_does_not_get_what_it_asks_for() {
    let world = World::new();
    world.pack("greedy", "9999T", "64000", "internet");
    world.pack("odd", "lots", "many", "wifi");
    let service = world.service(defaults()).await;
    let limits = service.0.settings().limits;
    let (spec, machine) = world.started(&service, "greedy", BootRequest::default()).await;
    assert_eq!(spec.options.net, Net::Restricted);
    assert_eq!((machine.memory, machine.cpus), (limits.memory, limits.cpus.min(64)));
    let unraised =
        BootNote::NetNotRaised { by: Wisher::Image, asked: Net::Internet, used: Net::Restricted }.to_string();
    assert!(machine.notes.len() == 3 && machine.notes.contains(&unraised), "{:?}", machine.notes);
    let (_, machine) = world.started(&service, "odd", BootRequest::default()).await;
    assert_eq!((machine.memory, machine.cpus, machine.notes.len()), (Size::from_mebibytes(256), 1, 3));
}

#[tokio::test]
async fn a_file_that_no_catalog_lists_is_asked_itself() {
    let world = World::new();
    let path = world.pack("alone", "64M", "1", "none");
    let file = ImageFile::named(path, "alone".to_owned());
    let obtain = || std::future::ready(Ok(file.clone()));
    let supply = Supply::new(BootRequest::default(), defaults(), world.store.clone(), obtain);
    let (_, options) = supply.image(None).await.unwrap();
    assert_eq!((options.memory, options.cpus, options.net), (Size::from_mebibytes(64), 1, Net::None));
    assert_eq!(supply.image(Some(wrong_bytes())).await.unwrap_err(), wrong_bytes(), "there is no other copy");
}

#[tokio::test]
async fn a_catalog_fills_in_what_the_image_leaves_open_and_never_refuses_a_boot() {
    let world = World::new();
    let path = world.pack("modest", "64M", "", "");
    let said = |said| Wish::of(Some(said), Wisher::Catalog);
    let wishes = ImageWishes { memory: said("64T"), cpus: said("64000"), net: said("none") };
    let mut file = ImageFile::named(path, "modest".to_owned());
    file.wishes = wishes;
    let obtain = || std::future::ready(Ok(file.clone()));
    let supply = Supply::new(BootRequest::default(), defaults(), world.store.clone(), obtain);
    let (_, options) = supply.image(None).await.unwrap();
    assert_eq!((options.memory, options.cpus, options.net), (Size::from_mebibytes(64), 1, Net::None));
    assert_eq!(options.notes.len(), 1, "{:?}", options.notes);
}

#[tokio::test]
async fn a_damaged_file_of_the_cache_is_replaced_and_a_sound_one_is_not() {
    let world = World::new();
    let good = world.pack("image", "", "", "");
    let file = world.cache(&good);
    let obtained = AtomicUsize::new(0);
    let obtain = || {
        obtained.fetch_add(1, Ordering::Relaxed);
        if !file.path.exists() {
            std::fs::copy(&good, &file.path).unwrap();
        }
        cached(&file)
    };
    let supply = Supply::new(BootRequest::default(), defaults(), world.store.clone(), obtain);
    supply.image(None).await.unwrap();
    assert_eq!(supply.image(Some(wrong_bytes())).await.unwrap_err(), wrong_bytes(), "its digest is right");
    assert_eq!(obtained.load(Ordering::Relaxed), 1);

    let mut bytes = std::fs::read(&file.path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file.path, bytes).unwrap();
    supply.image(Some(wrong_bytes())).await.unwrap();
    assert_eq!(obtained.load(Ordering::Relaxed), 2);
    assert_eq!(std::fs::read(&file.path).unwrap(), std::fs::read(&good).unwrap());
}

#[tokio::test]
async fn a_damaged_file_that_nobody_can_replace_is_gone_and_the_problem_says_so() {
    let world = World::new();
    let file = world.cache(&world.pack("image", "", "", ""));
    let obtain = || {
        let gone = Problem::new(ProblemCode::NetworkRefused, "No server answers.", "Refused.", "Wait.");
        async { if file.path.exists() { cached(&file).await } else { Err(gone) } }
    };
    let supply = Supply::new(BootRequest::default(), defaults(), world.store.clone(), obtain);
    supply.image(None).await.unwrap();
    std::fs::write(&file.path, "damaged").unwrap();
    let problem = supply.image(Some(wrong_bytes())).await.unwrap_err();
    assert_eq!(problem.code, ProblemCode::HashMismatch);
    assert!(problem.fix.contains("was removed") && problem.context.unwrap().contains("No server answers."));
    assert!(!file.path.exists());
}

/// The image in the cache, as it is now.
async fn cached(file: &Cached) -> Result<ImageFile, Problem> {
    Ok(ImageFile::checked(CheckedFile::of_cache(file.clone()).await?, "cached".to_owned()))
}

/// An image in the cache with a wrong byte in its kernel, and the file that it was copied from, with another one.
fn damaged(world: &World) -> (Cached, PathBuf) {
    let kernel = world.path("kernel");
    std::fs::write(
        &kernel,
        (0..600_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect::<Vec<_>>(),
    )
    .unwrap();
    let pack = Pack {
        segments: vec![SegmentFile { name: "kernel".to_owned(), role: Role::Kernel, path: kernel }],
        effort: Effort::None,
        ..Pack::default()
    };
    let path = world.path("other.rts.png");
    pack.write(&path, &mut |_, _| {}).unwrap();
    let file = world.cache(&path);
    for (path, place) in [(&file.path, 1_000_000), (&path, 1_100_000)] {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[place] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    (file, path)
}

/// Boots the damaged image in this process. Gives how it ended, and how often the image was obtained and booted.
async fn boot_damaged(stop_requested: bool) -> (Ended, usize, usize) {
    let world = World::new();
    let (file, other) = damaged(&world);
    let obtained = AtomicUsize::new(0);
    let obtain = || {
        if obtained.fetch_add(1, Ordering::Relaxed) > 0 {
            std::fs::copy(&other, &file.path).unwrap();
        }
        cached(&file)
    };
    let supply = Supply::new(BootRequest::default(), defaults(), world.store.clone(), obtain);
    let first = supply.image(None).await.unwrap();
    let machines = world.path("r/machines");
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&machines).unwrap();
    let mut attempts = 0;
    let follow = async |bridge: BootBridge| {
        attempts += 1;
        (bridge.ended().await, stop_requested)
    };
    let ended = foreground(&supply, first, machines.clone(), &world.scope, follow).await.unwrap();
    assert_eq!(std::fs::read_dir(machines).unwrap().count(), 0, "the run directory is gone");
    (ended, obtained.load(Ordering::Relaxed), attempts)
}

#[tokio::test]
async fn a_machine_in_the_foreground_boots_a_replacement_once() {
    let (ended, obtained, attempts) = boot_damaged(false).await;
    assert_eq!((obtained, attempts), (2, 2));
    assert_eq!(ended.machine.problem.unwrap().code, ProblemCode::StripMismatch);
}

#[tokio::test]
async fn a_machine_that_was_to_stop_is_not_booted_again() {
    let (ended, obtained, attempts) = boot_damaged(true).await;
    assert_eq!((obtained, attempts, ended.stop_requested), (1, 1, true));
}

#[test]
fn what_a_person_asks_for_is_refused_before_anything_is_fetched() {
    let request = |memory: Option<&str>, cpus, net| BootRequest {
        memory: memory.map(|text| text.parse().unwrap()),
        cpus,
        net,
        ..BootRequest::default()
    };
    check_request(&request(None, None, None)).unwrap();
    check_request(&request(Some("64M"), Some(64), Some(Net::None))).unwrap();
    for refused in [
        request(Some("9999T"), None, None),
        request(Some("1M"), None, None),
        request(None, Some(0), None),
        request(None, Some(65), None),
    ] {
        assert_eq!(check_request(&refused).unwrap_err().code, ProblemCode::Usage, "{refused:?}");
    }
}
