//! One folder, and the threads that look through it.
//!
//! [`Place::refresh`] starts a thread and watches it. A thread that hangs is replaced, and whatever it touches is left
//! out until it comes back. Nothing ever waits for such a thread: the end of the process is its end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, Notify, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::checked_file::CheckedFile;
use super::super::error::CatalogError;
use super::LocalImage;
use super::known::{Fault, Seen};
use super::memory::Memory;
use super::pass::Pass;
use super::progress::{GivenUp, Next, Worker};
use super::state::{State, View};
use super::turns::Turns;
use crate::files::FileIdentity;
use crate::task;

/// How often a thread at work is looked after, and what it has found is shown.
const TICK: Duration = Duration::from_millis(200);
const RESCAN_EVERY: Duration = Duration::from_secs(30);
/// While a file is being copied here.
const RESCAN_SOON: Duration = Duration::from_secs(5);
/// A file that is not open by then is on a disk or a share that hangs.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// So many files of a folder are opened at the same time, and so many threads can hang there.
const MOST_OPENING: usize = 32;

#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    memory: Memory,
    turns: Turns,
    state: Mutex<State>,
    /// One look at a time.
    looking: Turn<()>,
    /// Somebody wants a look now.
    asked: Notify,
    /// A thread has ended.
    ended: Notify,
    opening: Arc<Semaphore>,
}

impl Place {
    pub(super) fn new(folder: PathBuf, memory: Memory, turns: Turns) -> Self {
        let opening = Arc::new(Semaphore::new(MOST_OPENING));
        let (looking, asked, ended) = (Turn::default(), Notify::new(), Notify::new());
        Self { folder, memory, turns, state: Mutex::default(), looking, asked, ended, opening }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Grows with everything that somebody could see.
    pub(super) fn revision(&self) -> u64 {
        self.state().revision
    }

    pub(super) fn view(&self) -> View {
        self.state().view()
    }

    /// Looks now, every half minute, and when somebody asks for it, until it is dropped. `show` is called whenever there
    /// may be something new to see.
    pub(super) async fn keep_fresh(self: Arc<Self>, show: impl Fn()) {
        loop {
            self.refresh(&show).await;
            let pause = if self.state().waits() { RESCAN_SOON } else { RESCAN_EVERY };
            // The next look begins when somebody asks for it, or after this time.
            let _ = timeout(pause, self.asked.notified()).await;
        }
    }

    /// Makes [`Place::keep_fresh`] look now.
    pub(super) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Looks now, until only what hangs is left. A call during another look waits for its end, and then makes a look of
    /// its own.
    pub(super) async fn refresh(self: &Arc<Self>, show: impl Fn()) {
        let _one_at_a_time = self.looking.lock().await;
        // When this is dropped, because the backend ends, the thread stops before its next piece.
        let token = CancellationToken::new();
        let cancelled_with_this = token.clone().drop_guard();
        self.start(&token);
        loop {
            let next = self.state().watch();
            match next {
                Next::Wait => {}
                Next::Replace => self.start(&token),
                Next::Rest => break,
            }
            show();
            let _ = timeout(TICK, self.ended.notified()).await;
        }
        // A thread that was given up may come back, and then reads its file to the end.
        cancelled_with_this.disarm();
        show();
    }

    /// The file of an image, if it is still the one that was read. A folder that hangs has none.
    pub(super) async fn open(&self, image: &Arc<LocalImage>) -> Option<CheckedFile> {
        if self.hangs(&image.path) {
            return None;
        }
        let opening = timeout(OPEN_WITHIN, self.opening.clone().acquire_owned()).await.ok()?.ok()?;
        let wanted = Arc::clone(image);
        let opened = task::blocking_within(OPEN_WITHIN, move || {
            let _opening = opening;
            CheckedFile::of_folder(&wanted.path, wanted.entry.sha256, &wanted.identity)
        });
        let file = opened.await.and_then(Result::ok).flatten();
        if file.is_none() {
            // It is another file by now, or it hangs. The next look says which.
            self.ask();
        }
        file
    }

    /// Starts a thread that looks through the folder, unless all of it hangs.
    fn start(self: &Arc<Self>, token: &CancellationToken) {
        let Some(pass) = self.state().begin(&self.folder, Instant::now()) else { return };
        let (place, token) = (Arc::clone(self), token.clone());
        if let Err(error) = task::until_the_end("folder", move || place.work(pass, &token)) {
            let path = self.folder.clone();
            self.state().fail(pass.0, CatalogError::Unreadable { path, error }.into());
        }
    }

    /// The work of a thread.
    fn work(&self, pass: (Worker, u64), token: &CancellationToken) {
        if !self.state().remembers {
            let rows = self.memory.load(&self.folder);
            self.state().remember(rows);
        }
        if let Ok(sight) = Pass::new(self, pass, token).run() {
            let gone = self.state().finish(&self.folder, pass, sight);
            self.memory.save(&[], &gone);
        }
        let returned = self.state().end(pass.0);
        if returned {
            tracing::info!(folder = %self.folder.display(), "what hung in a folder with images answers again");
            self.ask();
        }
        self.ended.notify_one();
    }

    pub(super) fn reach(&self, worker: Worker, path: &Path) -> Result<(), GivenUp> {
        self.state().progress.reach(worker, path, Instant::now())
    }

    pub(super) fn hangs(&self, path: &Path) -> bool {
        self.state().progress.hangs(path)
    }

    /// A pass has found this file.
    pub(super) fn see(&self, path: &Path, identity: &FileIdentity, number: u64) -> Seen {
        self.state().see(path, identity, number)
    }

    /// A pass has read this file.
    pub(super) fn learn(&self, path: &Path, identity: FileIdentity, found: Result<LocalImage, Fault>, number: u64) {
        self.state().learn(path, identity, found.map(Arc::new), number);
    }

    /// Keeps what is known of these files for the next start.
    pub(super) fn save(&self, paths: &[PathBuf]) {
        let rows: Vec<_> = {
            let state = self.state();
            paths
                .iter()
                .filter_map(|path| {
                    state.files.get(path).map(|(identity, outcome)| (path.clone(), *identity, outcome.clone()))
                })
                .collect()
        };
        self.memory.save(&rows, &[]);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves at most a file that is read once more.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
