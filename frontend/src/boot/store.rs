//! The backend's defaults and limits for machines, for all views.

use leptos::prelude::*;
use pixelrts_shared::boot_decision::ShellSettings;
use pixelrts_shared::catalog::{Entry, MergedEntry};
use pixelrts_shared::paths;

use super::{Preview, console_device};
use crate::resource::store::Resource;

#[derive(Clone, Copy)]
pub(crate) struct Boot(Resource<ShellSettings>);

impl Boot {
    pub(crate) fn new() -> Self {
        Self(Resource::new(paths::SETTINGS))
    }

    pub(crate) fn expect() -> Self {
        expect_context()
    }

    pub(crate) async fn revalidate(self) {
        self.0.revalidate().await;
    }

    /// `None` until the backend has answered.
    pub(crate) fn preview(self, entry: &MergedEntry) -> Option<Preview> {
        self.0.value().map(|settings| Preview::of(entry, &settings.boot))
    }

    /// The name that the guest gives its console, where it is known.
    pub(crate) fn console_device(self, entry: &Entry) -> Option<String> {
        let settings = self.0.value();
        let default = settings.as_ref().map(|settings| settings.boot.defaults.cmdline.as_str());
        console_device(entry.cmdline.as_deref().or(default)?).map(str::to_owned)
    }

    #[cfg(test)]
    pub(crate) fn set(self, settings: ShellSettings) {
        self.0.set(settings);
    }
}
