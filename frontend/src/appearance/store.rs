//! The theme of this page, kept between visits.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Theme;
use crate::storage;

const KEY: &str = "look";

#[derive(Clone, Copy)]
pub(crate) struct Appearance(RwSignal<Theme>);

impl Appearance {
    pub(crate) fn new() -> Self {
        Self(RwSignal::new(Theme::default()))
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    /// Applies the theme that an earlier visit chose.
    pub(crate) async fn recall(self) {
        if let Some(theme) = storage::read(KEY).await.as_deref().and_then(Theme::from_slug) {
            self.apply(theme);
        }
    }

    pub(crate) fn theme(self) -> Theme {
        self.0.get()
    }

    pub(crate) fn choose(self, theme: Theme) {
        self.apply(theme);
        spawn_local(storage::write(KEY, theme.slug()));
    }

    pub(crate) fn choose_next(self) {
        self.choose(self.0.get_untracked().next());
    }

    fn apply(self, theme: Theme) {
        self.0.set(theme);
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-theme", theme.slug());
        }
    }
}
