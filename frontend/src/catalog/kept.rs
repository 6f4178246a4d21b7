//! What the browser keeps of the catalog, and what is to be written into it when several pages of one browser write.
//!
//! What is stored is always what the backend had at one revision. A page knows which entries differ between the
//! revisions that it has seen, so it writes only those when one of these revisions is stored, and everything otherwise.
//! A newer revision is never replaced by an older one.

use std::collections::HashSet;

use pixelrts_shared::Digest;

use super::held::Held;

/// One change of what is stored, all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub revision: String,
    /// Everything that is stored is removed first.
    pub clear: bool,
    pub put: Vec<Digest>,
    pub remove: Vec<Digest>,
}

/// The difference between what is stored and what is held.
#[derive(Debug, Default)]
pub struct Unwritten {
    span: Option<Span>,
    /// What is stored at any revision of the span differs from what is held in no other entries than these.
    touched: HashSet<Digest>,
    /// The part of `touched` that is being written.
    leaving: HashSet<Digest>,
    /// The revision that was stored when this page last looked.
    seen: Option<String>,
    /// Since a write was planned, everything is read again.
    leapt: bool,
}

/// Revisions of one life of the backend.
#[derive(Clone, Debug)]
struct Span {
    epoch: String,
    first: u64,
    last: u64,
    /// Each change since the last revision is known, so that the span grows with the next one.
    grows: bool,
}

impl Unwritten {
    /// This revision is stored; `held`: and it is what the page has now.
    pub fn recalled(&mut self, revision: &str, held: bool) {
        self.seen = Some(revision.to_owned());
        if held {
            self.span = Some(Span::at(revision));
        }
    }

    pub fn touch(&mut self, key: Digest) {
        self.touched.insert(key);
    }

    /// Everything is read again. What changes meanwhile and changes back is not told then.
    pub fn leap(&mut self) {
        self.leapt = true;
        if let Some(span) = &mut self.span {
            span.grows = false;
        }
    }

    /// What is held is now what the backend has at this revision.
    pub fn arrive(&mut self, revision: &str) {
        let (epoch, number) = parts(revision);
        if let Some(span) = self.span.as_mut().filter(|span| span.grows && span.epoch == epoch) {
            span.last = span.last.max(number);
        }
    }

    pub fn plan(&mut self, stored: Option<&str>, revision: &str, held: &Held) -> Option<Write> {
        let before = std::mem::replace(&mut self.seen, stored.map(str::to_owned));
        let everything =
            Write { revision: revision.to_owned(), clear: true, put: held.keys().to_vec(), remove: Vec::new() };
        let (stored_epoch, stored_number) = match stored {
            Some(stored) => parts(stored),
            None => return Some(self.leave(everything)),
        };
        let (epoch, number) = parts(revision);
        if stored_epoch == epoch && stored_number >= number {
            return None;
        }
        let known = self
            .span
            .as_ref()
            .is_some_and(|span| span.epoch == stored_epoch && (span.first..=span.last).contains(&stored_number));
        if known {
            let (put, remove) = self.touched.iter().copied().partition(|key| held.line(key).is_some());
            return Some(self.leave(Write { revision: revision.to_owned(), clear: false, put, remove }));
        }
        // Which of two lives of the backend is the later one cannot be told. Somebody who has written meanwhile has
        // asked later.
        (stored_epoch == epoch || stored == before.as_deref()).then(|| self.leave(everything))
    }

    fn leave(&mut self, write: Write) -> Write {
        self.leaving.extend(self.touched.drain());
        self.leapt = false;
        write
    }

    /// The revision that was written, or `None` when nothing was.
    pub fn written(&mut self, revision: Option<&str>) {
        let leaving = std::mem::take(&mut self.leaving);
        match revision {
            Some(revision) => {
                self.span = Some(Span { grows: !self.leapt, ..Span::at(revision) });
                self.seen = Some(revision.to_owned());
            }
            None => self.touched.extend(leaving),
        }
    }
}

impl Span {
    fn at(revision: &str) -> Self {
        let (epoch, number) = parts(revision);
        Self { epoch: epoch.to_owned(), first: number, last: number, grows: true }
    }
}

/// Which life of the backend, and the number of the change in it.
fn parts(revision: &str) -> (&str, u64) {
    let counted = revision.rsplit_once('-').and_then(|(epoch, number)| Some((epoch, number.parse().ok()?)));
    counted.unwrap_or((revision, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Held {
        Held::default()
    }

    fn key(byte: u8) -> Digest {
        Digest::new([byte; 32])
    }

    #[test]
    fn only_what_differs_is_written_where_the_revision_is_known() {
        let mut unwritten = Unwritten::default();
        unwritten.recalled("e-5", true);
        unwritten.touch(key(1));
        unwritten.arrive("e-7");
        let write = |stored: Option<&str>, unwritten: &mut Unwritten| unwritten.plan(stored, "e-7", &held());
        let changes = Write { revision: "e-7".to_owned(), clear: false, put: Vec::new(), remove: vec![key(1)] };
        assert_eq!(write(Some("e-6"), &mut unwritten).as_ref(), Some(&changes), "another page was faster");
        unwritten.written(None);
        assert_eq!(write(Some("e-5"), &mut unwritten), Some(changes), "the first write failed");
        unwritten.written(None);
        assert!(write(Some("e-4"), &mut unwritten).is_some_and(|write| write.clear), "e-4 was never seen");
        assert!(write(None, &mut unwritten).is_some_and(|write| write.clear), "the browser has removed it");
    }

    #[test]
    fn a_newer_revision_stays() {
        let mut unwritten = Unwritten::default();
        unwritten.recalled("e-5", true);
        assert_eq!(unwritten.plan(Some("e-8"), "e-7", &held()), None);
        assert_eq!(unwritten.plan(Some("e-7"), "e-7", &held()), None);
        assert!(unwritten.plan(Some("e-6"), "e-7", &held()).is_some());
    }

    #[test]
    fn after_a_restart_of_the_backend_what_another_page_wrote_meanwhile_stays() {
        let mut unwritten = Unwritten::default();
        unwritten.recalled("old-5", true);
        unwritten.leap();
        assert_eq!(unwritten.plan(Some("other-1"), "new-1", &held()), None);
        assert!(unwritten.plan(Some("other-1"), "new-2", &held()).is_some_and(|write| write.clear));
    }

    /// The number counts, not its digits; and what is no number is only the same or another one.
    #[test]
    fn revisions_are_compared_by_their_number() {
        assert_eq!((parts("a-b-12"), parts("odd"), parts("odd-x")), (("a-b", 12), ("odd", 0), ("odd-x", 0)));
    }
}
