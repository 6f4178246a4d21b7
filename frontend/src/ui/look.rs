//! Dark, light, or as the system says. Kept between visits.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::storage;

const KEY: &str = "look";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    fn slug(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Look {
    theme: RwSignal<Theme>,
}

impl Look {
    pub(crate) fn new() -> Self {
        Self { theme: RwSignal::new(Theme::Auto) }
    }

    pub(crate) async fn recall(self) {
        let kept = storage::read(KEY).await;
        if let Some(theme) = Theme::ALL.into_iter().find(|theme| Some(theme.slug()) == kept.as_deref()) {
            self.theme.set(theme);
            self.apply();
        }
    }

    pub(crate) fn theme(self) -> Theme {
        self.theme.get()
    }

    pub(crate) fn label(self) -> String {
        format!("Theme: {}", self.theme.get().word())
    }

    pub(crate) fn choose(self, theme: Theme) {
        self.theme.set(theme);
        self.apply();
        spawn_local(storage::write(KEY, theme.slug()));
    }

    /// To the next theme.
    pub(crate) fn turn(self) {
        let at = Theme::ALL.into_iter().position(|theme| theme == self.theme.get_untracked()).unwrap_or(0);
        self.choose(Theme::ALL[(at + 1) % Theme::ALL.len()]);
    }

    fn apply(self) {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-theme", self.theme.get_untracked().slug());
        }
    }
}
