//! Files that are sent now, or were a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use pixelrts_shared::Digest;
use tokio::sync::Notify;

use super::{CheckedFile, Opened};

/// A client asks for the next part of an image soon after it has got one. Until then the file stays open.
const STAYS_OPEN: Duration = Duration::from_secs(2);
/// Files that nobody reads and that are open all the same.
const MOST_OPEN: usize = 32;

/// Files that are being sent, by their digest: whoever wants one of them too gets the same descriptor. So many clients of
/// one image need one descriptor, and the next part of it needs no search. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FilesInUse(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    files: Mutex<HashMap<Digest, InUse>>,
    used: Notify,
}

#[derive(Debug)]
struct InUse {
    file: Weak<Opened>,
    stays_open: Option<(Arc<Opened>, Instant)>,
}

impl FilesInUse {
    /// A file that is in use, still what was checked, and not removed.
    pub(in crate::catalog) fn get(&self, digest: &Digest) -> Option<CheckedFile> {
        let file = self.files().get(digest)?.file.upgrade().map(CheckedFile)?;
        file.0.is_still_there().then(|| {
            self.add(&file);
            file
        })
    }

    pub(in crate::catalog) fn add(&self, file: &CheckedFile) {
        let mut files = self.files();
        let open = files.values().filter(|file| file.stays_open.is_some()).count();
        let in_use = files.entry(file.0.digest).or_insert_with(|| InUse { file: Weak::new(), stays_open: None });
        in_use.file = Arc::downgrade(&file.0);
        if in_use.stays_open.is_some() || open < MOST_OPEN {
            in_use.stays_open = Some((file.0.clone(), Instant::now()));
        }
        drop(files);
        self.0.used.notify_one();
    }

    /// Closes files that nobody has asked for since a moment, for as long as the backend runs.
    pub async fn close_unused(self) {
        loop {
            self.0.used.notified().await;
            while self.close_those_before(Instant::now().checked_sub(STAYS_OPEN)) {
                tokio::time::sleep(STAYS_OPEN).await;
            }
        }
    }

    /// True when some files stay open.
    pub(super) fn close_those_before(&self, then: Option<Instant>) -> bool {
        let mut files = self.files();
        for file in files.values_mut() {
            file.stays_open.take_if(|(_, used)| then.is_some_and(|then| *used < then));
        }
        files.retain(|_, file| file.file.strong_count() > 0);
        files.values().any(|file| file.stays_open.is_some())
    }

    fn files(&self) -> MutexGuard<'_, HashMap<Digest, InUse>> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
