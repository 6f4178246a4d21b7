//! The backend's defaults and limits for machines, and what people chose for each image, for all views.

use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::boot_decision::{BootSettings, ShellSettings};
use pixelrts_shared::catalog::{Entry, MergedEntry};
use pixelrts_shared::machine::BootRequest;
use pixelrts_shared::{Digest, paths};

use super::options::{Draft, Refusals, Remembered};
use super::{Preview, console_device};
use crate::resource::store::Resource;
use crate::storage;

/// Where the browser keeps what people chose.
const CHOSEN: &str = "boot-options";

#[derive(Clone, Copy)]
pub(crate) struct Boot {
    settings: Resource<ShellSettings>,
    chosen: RwSignal<Remembered>,
}

impl Boot {
    pub(crate) fn new() -> Self {
        Self { settings: Resource::new(paths::SETTINGS), chosen: RwSignal::new(Remembered::default()) }
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    /// Reads what was chosen in earlier visits.
    pub(crate) async fn recall(self) {
        if let Some(text) = storage::read(CHOSEN).await {
            self.chosen.set(Remembered::read(&text));
        }
    }

    pub(crate) async fn revalidate(self) {
        self.settings.revalidate().await;
    }

    /// `None` until the backend has answered.
    pub(crate) fn settings(self) -> Option<BootSettings> {
        self.settings.value().map(|settings| settings.boot.clone())
    }

    /// What is sent to boot an image.
    pub(crate) fn request(self, key: &Digest) -> BootRequest {
        self.chosen.with(|chosen| chosen.get(key).cloned()).unwrap_or_default()
    }

    /// What a machine gets; `None` until the backend has answered.
    pub(crate) fn preview(self, entry: &MergedEntry) -> Option<Preview> {
        self.settings().map(|settings| Preview::of(&self.request(&entry.entry.sha256), entry, &settings))
    }

    /// Remembers what is chosen from now on, unless something in it cannot be used.
    pub(crate) fn choose(self, key: Digest, draft: &Draft) -> Result<(), Refusals> {
        let Some(settings) = untrack(|| self.settings()) else { return Ok(()) };
        let request = draft.request(&settings.limits)?;
        let written = self.chosen.try_maybe_update(|chosen| {
            let changed = chosen.set(key, request);
            (changed, changed.then(|| chosen.written()))
        });
        if let Some(Some(text)) = written {
            spawn_local(async move { storage::write(CHOSEN, &text).await });
        }
        Ok(())
    }

    /// The name that the guest gives its console, where it is known.
    pub(crate) fn console_device(self, entry: &Entry) -> Option<String> {
        let settings = self.settings.value();
        let default = settings.as_ref().map(|settings| settings.boot.defaults.cmdline.as_str());
        console_device(entry.cmdline.as_deref().or(default)?).map(str::to_owned)
    }

    #[cfg(test)]
    pub(crate) fn set(self, settings: ShellSettings) {
        self.settings.set(settings);
    }
}
