//! One folder, and the threads that look through it.
//!
//! [`Place::refresh`] starts a thread and watches it. A thread that hangs is replaced, and whatever it touches is left
//! out until it comes back. Nothing ever waits for such a thread: the end of the process is its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, Notify, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::checked_file::CheckedFile;
use super::super::error::CatalogError;
use super::super::turns::Turns;
use super::LocalImage;
use super::folder::Folder;
use super::memory::Memory;
use super::pass::Pass;
use super::progress::{Next, Worker};
use super::state::View;
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
    folder: Folder,
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
        Self { folder: Folder::new(folder, memory, turns), looking, asked, ended, opening }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Grows with everything that somebody could see.
    pub(super) fn revision(&self) -> u64 {
        self.folder.state().revision
    }

    pub(super) fn view(&self) -> View {
        self.folder.state().view()
    }

    /// Looks now, every half minute, and when somebody asks for it, until it is dropped. `show` is called whenever there
    /// may be something new to see.
    pub(super) async fn keep_fresh(self: Arc<Self>, show: impl Fn()) {
        loop {
            self.refresh(&show).await;
            let pause = if self.folder.state().waits() { RESCAN_SOON } else { RESCAN_EVERY };
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
            let next = self.folder.state().watch();
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
        if self.folder.hangs(&image.path) {
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
        let Some(pass) = self.folder.state().begin(self.folder.path(), Instant::now()) else { return };
        let (place, token) = (Arc::clone(self), token.clone());
        if let Err(error) = task::until_the_end("folder", move || place.work(pass, &token)) {
            let path = self.folder.path().to_owned();
            self.folder.state().fail(pass.0, CatalogError::Unreadable { path, error }.into());
        }
    }

    /// The work of a thread.
    fn work(&self, pass: (Worker, u64), token: &CancellationToken) {
        self.folder.remember();
        if let Ok(sight) = Pass::new(&self.folder, pass, token).run() {
            self.folder.finish(pass, sight);
        }
        let returned = self.folder.state().end(pass.0);
        if returned {
            tracing::info!(folder = %self.folder.path().display(), "what hung in a folder with images answers again");
            self.ask();
        }
        self.ended.notify_one();
    }
}
