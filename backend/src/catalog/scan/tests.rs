//! Real folders with real images.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pixelrts_shared::catalog::Role;
use pixelrts_shared::{Digest, Problem, ProblemCode};

use super::Local;
use crate::cache::hash_file;
use crate::catalog::SCHEMA;
use crate::database::Database;
use crate::image::{Effort, Pack, SegmentFile};

struct World {
    folder: tempfile::TempDir,
    memory: Database,
    local: Local,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("images")).unwrap();
        let memory = Database::in_memory(&SCHEMA).unwrap();
        let local = Self::start(folder.path(), &memory);
        Self { folder, memory, local }
    }

    fn start(folder: &Path, memory: &Database) -> Local {
        Local::new("test".to_owned(), vec![folder.join("images")], memory.clone())
    }

    /// The backend starts again.
    fn restart(&mut self) {
        self.local = Self::start(self.folder.path(), &self.memory);
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join("images").join(name)
    }

    /// An image with this kernel; images with kernels of equal length have equal length.
    fn pack(&self, name: &str, kernel: &str) -> Digest {
        let source = self.folder.path().join("kernel");
        fs::write(&source, kernel).unwrap();
        let pack = Pack {
            segments: vec![SegmentFile { name: "kernel".to_owned(), role: Role::Kernel, path: source }],
            effort: Effort::None,
            ..Pack::default()
        };
        pack.write(&self.path(name), &mut |_, _| {}).unwrap();
        hash_file(&self.path(name)).unwrap().0
    }

    /// The ids of all images, with a few bytes of their digests.
    async fn ids(&self) -> Vec<String> {
        self.local.refresh().await;
        self.local.found().images.iter().map(|image| image.entry.id.to_string()).collect()
    }

    fn problems(&self) -> Vec<Problem> {
        self.local.found().problems.clone()
    }

    /// The bytes under a digest, if there are any.
    async fn bytes(&self, digest: &Digest) -> Option<Vec<u8>> {
        let file = self.local.open(digest).await?;
        Some(file.read(0..file.size()).unwrap())
    }
}

/// Gives a file the times of another one, as `touch -r` does.
fn touch_as(path: &Path, of: &Path) {
    let modified = fs::metadata(of).unwrap().modified().unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// The system counts the time of changes in steps of some milliseconds.
fn later() {
    std::thread::sleep(Duration::from_millis(20));
}

#[tokio::test]
async fn images_that_swap_their_names_are_never_sent_under_each_others_digest() {
    let world = World::new();
    let (a, b) = (world.pack("a.rts.png", "one"), world.pack("b.rts.png", "two"));
    touch_as(&world.path("b.rts.png"), &world.path("a.rts.png"));
    assert_eq!(world.ids().await, ["a", "b"]);
    let (bytes_of_a, bytes_of_b) = (world.bytes(&a).await.unwrap(), world.bytes(&b).await.unwrap());
    assert!(bytes_of_a.len() == bytes_of_b.len() && bytes_of_a != bytes_of_b);

    for in_place in [false, true] {
        later();
        let (path_a, path_b, aside) = (world.path("a.rts.png"), world.path("b.rts.png"), world.path("aside"));
        if in_place {
            let (in_a, in_b) = (fs::read(&path_a).unwrap(), fs::read(&path_b).unwrap());
            fs::copy(&path_a, &aside).unwrap();
            touch_as(&aside, &path_a);
            fs::write(&path_a, in_b).unwrap();
            fs::write(&path_b, in_a).unwrap();
            touch_as(&path_a, &aside);
            touch_as(&path_b, &aside);
        } else {
            fs::rename(&path_a, &aside).unwrap();
            fs::rename(&path_b, &path_a).unwrap();
            fs::rename(&aside, &path_b).unwrap();
        }
        assert_eq!(world.bytes(&a).await, None, "what it is now is not known yet");
        assert_eq!(world.bytes(&b).await, None);
        world.local.refresh().await;
        assert_eq!(world.bytes(&a).await.unwrap(), bytes_of_a);
        assert_eq!(world.bytes(&b).await.unwrap(), bytes_of_b);
        let place = |digest| world.local.get(digest).unwrap().path.clone();
        let expected = if in_place { (path_a, path_b) } else { (path_b, path_a) };
        assert_eq!((place(&a), place(&b)), expected);
    }
}

#[tokio::test]
async fn another_copy_of_an_image_takes_its_place() {
    let world = World::new();
    let digest = world.pack("a.rts.png", "one");
    fs::create_dir(world.path("sub")).unwrap();
    fs::copy(world.path("a.rts.png"), world.path("sub/copy.rts.png")).unwrap();
    assert_eq!(world.ids().await, ["a"], "one entry for one digest");
    let bytes = world.bytes(&digest).await.unwrap();
    fs::write(world.path("a.rts.png"), "other").unwrap();
    assert_eq!(world.bytes(&digest).await, Some(bytes));
}

#[tokio::test]
async fn what_was_found_is_remembered_and_read_no_more() {
    let mut world = World::new();
    world.pack("a.rts.png", "one");
    fs::write(world.path("b.rts.png"), "not a picture").unwrap();
    assert_eq!(world.ids().await, ["a"]);
    assert_eq!(world.problems()[0].code, ProblemCode::NotAnImage);
    let set = |statement: &str| world.memory.with(|sql| sql.execute(statement, ())).unwrap();
    assert_eq!(set("UPDATE files SET entry = replace(entry, '\"id\":\"a\"', '\"id\":\"known\"')"), 2);
    assert_eq!(set("UPDATE files SET problem = replace(problem, 'This file is', 'It is known that this is')"), 2);
    world.restart();
    assert_eq!(world.ids().await, ["known"]);
    assert!(world.problems()[0].what.starts_with("It is known"), "{:?}", world.problems());

    later();
    touch_as(&world.path("a.rts.png"), &world.path("b.rts.png"));
    touch_as(&world.path("b.rts.png"), &world.path("a.rts.png"));
    assert_eq!(world.ids().await, ["a"], "it was touched");
    assert!(world.problems()[0].what.starts_with("This file is"));
    fs::remove_file(world.path("a.rts.png")).unwrap();
    assert!(world.ids().await.is_empty());
    let count = world.memory.with(|sql| sql.query_row("SELECT count(*) FROM files", (), |row| row.get::<_, u32>(0)));
    assert_eq!(count.unwrap(), 1);
}

#[tokio::test]
async fn what_cannot_be_an_image_is_named_with_its_path_and_hides_nothing() {
    let world = World::new();
    world.pack("good.rts.png", "one");
    let name = OsStr::from_bytes(b"latin\xe9.rts.png");
    fs::copy(world.path("good.rts.png"), world.path(name)).unwrap();
    nix::unistd::mkfifo(&world.path("pipe.rts.png"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/nowhere", world.path("link.rts.png")).unwrap();
    fs::write(world.path("clear\x1b[2J.rts.png"), "not a picture").unwrap();
    // These are nobody's mistakes.
    fs::write(world.path(".hidden.rts.png"), "not a picture").unwrap();
    fs::write(world.path("notes.txt"), "not a picture").unwrap();
    fs::create_dir(world.path("folder.rts.png")).unwrap();
    std::os::unix::fs::symlink("/nowhere", world.path("elsewhere")).unwrap();

    assert_eq!(world.ids().await, ["good"]);
    let problems = world.problems();
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for (name, reason) in [
        ("latin\u{fffd}.rts.png", "not valid UTF-8"),
        ("pipe.rts.png", "pipe"),
        ("link.rts.png", "No such file"),
        ("clear\u{fffd}[2J.rts.png", "not a PNG file"),
    ] {
        let about: Vec<_> = said.iter().filter(|text| text.contains(name)).collect();
        assert!(about.len() == 1 && about[0].contains(reason), "{name}: {said:#?}");
    }
    assert_eq!(problems.len(), 4, "{said:#?}");
}

#[tokio::test]
async fn only_the_first_problems_are_shown_and_the_others_counted() {
    let world = World::new();
    for number in 0..120 {
        fs::write(world.path(format!("{number:03}.rts.png")), "not a picture").unwrap();
    }
    world.local.refresh().await;
    let problems = world.problems();
    assert_eq!(problems.len(), super::state::MOST_PROBLEMS + 1);
    assert!(problems[0].context.as_ref().unwrap().ends_with("/000.rts.png"));
    assert_eq!(problems.last().unwrap().what, "70 more files or folders cannot be used.");
}

#[tokio::test]
async fn a_file_that_is_no_image_is_not_read_to_its_end() {
    let world = World::new();
    let path = world.path("zeros.rts.png");
    let file = File::create(&path).unwrap();
    // Hashing it would take an hour.
    file.set_len(4 << 40).unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(60);
    file.set_modified(old).unwrap();
    fs::write(world.path("text.rts.png"), "x".repeat(100)).unwrap();
    tokio::time::timeout(Duration::from_secs(30), world.local.refresh()).await.unwrap();
    assert_eq!(world.problems()[0].code, ProblemCode::NotAnImage);
}

#[tokio::test]
async fn a_file_that_is_being_copied_here_makes_no_noise() {
    let world = World::new();
    world.pack("whole", "one");
    let bytes = fs::read(world.path("whole")).unwrap();
    let path = world.path("a.rts.png");
    for end in [0, 5, 1_000, bytes.len() - 1] {
        later();
        fs::write(&path, &bytes[..end]).unwrap();
        assert!(world.ids().await.is_empty());
        assert_eq!(world.problems(), [], "{end}");
    }
    later();
    fs::write(&path, &bytes).unwrap();
    assert_eq!(world.ids().await, ["a"]);
}

#[tokio::test]
async fn a_folder_that_was_there_is_missed_and_one_that_never_was_is_not() {
    let world = World::new();
    let nowhere = Local::new("test".to_owned(), vec![world.path("nowhere")], world.memory.clone());
    nowhere.refresh().await;
    assert!(nowhere.found().is_settled() && nowhere.found().problems.is_empty());

    world.pack("a.rts.png", "one");
    assert_eq!(world.ids().await, ["a"]);
    let (images, away) = (world.folder.path().join("images"), world.folder.path().join("away"));
    fs::rename(&images, &away).unwrap();
    assert!(world.ids().await.is_empty());
    assert_eq!(world.problems()[0].code, ProblemCode::FileNotFound);
    fs::rename(&away, &images).unwrap();
    assert_eq!(world.ids().await, ["a"]);
    assert_eq!(world.problems(), []);
}

#[tokio::test]
async fn what_was_found_stays_the_same_while_nothing_changes() {
    let world = World::new();
    world.pack("a.rts.png", "one");
    fs::write(world.path("b.rts.png"), "not a picture").unwrap();
    world.local.refresh().await;
    let mut changes = world.local.changes();
    changes.mark_unchanged();
    world.local.refresh().await;
    world.local.refresh().await;
    assert!(!changes.has_changed().unwrap());
}
