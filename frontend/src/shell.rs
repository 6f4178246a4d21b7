//! All state of the page: made once, before anything is painted, and alive as long as the page.
//!
//! This is the only place that knows all stores. It wires those together that must not know each other, and provides
//! each of them to the views: `Catalog::expect()` is the catalog.

use futures_util::future::{join, join4, select};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use pixelrts_shared::MachineId;

use crate::appearance::store::Appearance;
use crate::boot::store::Boot;
use crate::cache::store::Cache;
use crate::catalog::store::Catalog;
use crate::clock::Clock;
use crate::downloads::store::Downloads;
use crate::downloads::stream;
use crate::events::Feeds;
use crate::failures::store::Failures;
use crate::image::store::Images;
use crate::layout::store::Layout;
use crate::link::store::Link;
use crate::machines::store::Machines;
use crate::offline::store::Offline;
use crate::rest::Rest;
use crate::servers::store::Servers;
use crate::wall::store::Wall;
use crate::windows::store::Windows;

/// The first paint waits this long for what the browser remembers.
const MEMORY_MS: u32 = 500;

#[derive(Clone, Copy)]
pub(crate) struct Shell {
    pub(crate) appearance: Appearance,
    pub(crate) clock: Clock,
    pub(crate) link: Link,
    pub(crate) catalog: Catalog,
    pub(crate) boot: Boot,
    pub(crate) cache: Cache,
    pub(crate) servers: Servers,
    pub(crate) downloads: Downloads,
    pub(crate) machines: Machines,
    pub(crate) windows: Windows,
    pub(crate) images: Images,
    pub(crate) wall: Wall,
    pub(crate) layout: Layout,
    pub(crate) rest: Rest,
    pub(crate) offline: Offline,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let (link, catalog, windows, failures) = (Link::new(), Catalog::new(), Windows::new(), Failures::new());
        let rest = Rest::new();
        let open_console = Callback::new(move |id: MachineId| windows.open(id));
        let on_arrival = Callback::new(move |()| spawn_local(catalog.revalidate()));
        let machines = Machines::new(failures, open_console);
        let downloads = Downloads::new(failures, on_arrival);
        let boot = Boot::new();
        let images = Images { link, catalog, boot, downloads, machines, failures, open_console };
        Self {
            appearance: Appearance::new(),
            clock: Clock::start(),
            link,
            catalog,
            boot,
            cache: Cache::new(on_arrival),
            servers: Servers::new(),
            downloads,
            machines,
            windows,
            images,
            wall: Wall::new(images),
            layout: Layout::new(),
            rest,
            offline: Offline::new(link, rest),
        }
    }

    /// Gives views what they expect.
    pub(crate) fn provide(self) {
        provide_context(self.appearance);
        provide_context(self.clock);
        provide_context(self.link);
        provide_context(self.catalog);
        provide_context(self.boot);
        provide_context(self.cache);
        provide_context(self.servers);
        provide_context(self.downloads);
        provide_context(self.machines);
        provide_context(self.windows);
        provide_context(self.images);
        provide_context(self.wall);
        provide_context(self.layout);
        provide_context(self.rest);
        provide_context(self.offline);
    }

    /// Reads what the browser remembers of the last visit: the first paint shows it.
    pub(crate) async fn recall(self) {
        let known = join4(self.appearance.recall(), self.catalog.recall(), self.servers.recall(), self.boot.recall());
        let memory = join(known, self.wall.recall());
        select(Box::pin(memory), TimeoutFuture::new(MEMORY_MS)).await;
    }

    /// Follows the backend for as long as the page is open.
    pub(crate) fn follow(self) {
        let Self { link, machines, servers, catalog, boot, downloads, .. } = self;
        spawn_local(Feeds { link, machines, servers, catalog, boot }.follow());
        spawn_local(stream::follow(downloads));
    }
}
