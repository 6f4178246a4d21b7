//! What of the page is open, for all views.

use leptos::prelude::*;

use super::{Dialog, Open, Page};

/// Each part has a memo of its own: opening the tray must not paint the wall again.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    open: RwSignal<Open>,
    page: Memo<Page>,
    details: Memo<bool>,
    tray: Memo<bool>,
    dialog: Memo<Option<Dialog>>,
}

impl Layout {
    pub(crate) fn new() -> Self {
        let open = RwSignal::new(Open::default());
        Self {
            open,
            page: Memo::new(move |_| open.get().page),
            details: Memo::new(move |_| open.get().details),
            tray: Memo::new(move |_| open.get().tray),
            dialog: Memo::new(move |_| open.get().dialog),
        }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) fn page(self) -> Page {
        self.page.get()
    }

    pub(crate) fn shows_details(self) -> bool {
        self.details.get()
    }

    pub(crate) fn shows_tray(self) -> bool {
        self.tray.get()
    }

    pub(crate) fn dialog(self) -> Option<Dialog> {
        self.dialog.get()
    }

    pub(crate) fn update(self, change: impl FnOnce(&mut Open)) {
        self.open.update(change);
    }

    pub(crate) fn open_dialog(self, dialog: Dialog) {
        self.update(|open| open.dialog = Some(dialog));
    }

    pub(crate) fn close_dialog(self) {
        self.update(|open| open.dialog = None);
    }
}
