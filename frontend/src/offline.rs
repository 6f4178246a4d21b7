//! The page without its backend: a service worker (`frontend/worker.js`) keeps the shell's own files, so that the page
//! opens when the backend is stopped. What changes about that is said in one notice at a time.

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;
#[cfg(target_arch = "wasm32")]
pub(crate) mod view;

/// What a notice says, and what can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A new version is complete and waits.
    Ready,
    /// Another tab has gone over to a new version, and this one is still the old.
    Replaced,
    /// A part that is loaded after the first paint could not be loaded.
    PartMissing,
    /// The address does not let the page do everything.
    Limited,
}

impl Notice {
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Ready => "A new version is ready.",
            Self::Replaced => "Another tab has loaded a new version.",
            Self::PartMissing => "A part of this page could not be loaded.",
            Self::Limited => "Some things do not work at this address.",
        }
    }

    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Ready => "Machines and downloads continue while the page reloads.",
            Self::Replaced => "This tab is still the old one. Machines and downloads continue while it reloads.",
            Self::PartMissing => {
                "The backend does not answer, or it was updated after this page was opened. The page tries again by itself; if that does not help, reload it."
            }
            Self::Limited => {
                "Browsers let a page use the clipboard, notify you and open without its backend only at an https address or at 127.0.0.1. Here, paste with the keyboard, and keep the backend running."
            }
        }
    }

    /// The word on its button.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Ready | Self::Replaced | Self::PartMissing => "Reload",
            Self::Limited => "Understood",
        }
    }
}

/// What is known about the page's files and its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// A new version waits to be used.
    pub ready: bool,
    /// This tab is older than the worker.
    pub replaced: bool,
    /// The address is limited, and nobody has been told yet.
    pub limited: bool,
}

impl Standing {
    /// The one notice to show. A new version comes first: it may be the very reason why a part is missing.
    #[must_use]
    pub fn notice(self, part_missing: bool) -> Option<Notice> {
        [
            (self.ready, Notice::Ready),
            (self.replaced, Notice::Replaced),
            (part_missing, Notice::PartMissing),
            (self.limited, Notice::Limited),
        ]
        .into_iter()
        .find_map(|(is, notice)| is.then_some(notice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_notice_is_shown_and_a_new_version_comes_first() {
        let none = Standing::default();
        assert_eq!((none.notice(false), none.notice(true)), (None, Some(Notice::PartMissing)));
        let all = Standing { ready: true, replaced: true, limited: true };
        let order = [
            all.notice(true),
            Standing { ready: false, ..all }.notice(true),
            Standing { limited: true, ..none }.notice(true),
            Standing { limited: true, ..none }.notice(false),
        ];
        let expected = [Notice::Ready, Notice::Replaced, Notice::PartMissing, Notice::Limited];
        assert_eq!(order, expected.map(Some));
    }

    #[test]
    fn every_notice_is_made_of_sentences_and_can_be_answered() {
        for notice in [Notice::Ready, Notice::Replaced, Notice::PartMissing, Notice::Limited] {
            assert!(notice.what().ends_with('.') && notice.why().ends_with('.') && !notice.action().is_empty());
        }
    }
}
