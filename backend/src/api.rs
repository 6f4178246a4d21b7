//! The HTTP adapter: all routes are on this screen, each resource has a file, and guards are layers around all of them.
//!
//! A handler consists of extractors, at most one call of the domain, and a typed response. Role `catalog` has only the
//! public routes. Role `shell` has all of them, behind the guards of [`guard`].

mod cache;
mod catalog;
mod catalog_documents;
mod catalog_page;
mod connection;
mod doctor;
mod downloads;
mod encoding;
mod etag;
mod event_log;
mod events;
mod extract;
pub mod guard;
mod health;
mod images;
mod import;
mod layout;
mod machines;
mod middleware;
mod ndjson;
mod range;
mod remote_fetch;
mod responses;
mod servers;
mod settings;
mod shell;
mod state;
mod thumbnails;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post, put};
use pixelrts_shared::paths;

pub use catalog_documents::{OwnCatalog, WholeView};
pub use connection::Connections;
pub use event_log::Events;
pub use guard::Guard;
pub use state::{Public, Shell};

/// The largest body. Bodies are settings and requests, never images.
const BODY_LIMIT: usize = 256 << 10;

/// Role `catalog`: what anybody may read.
pub fn catalog_router(public: Arc<Public>, guard: Guard) -> Router {
    let routes = public_routes()
        .route("/", get(catalog_page::page))
        .route(paths::HEALTH, get(health::public))
        .route(paths::THUMBNAIL, get(thumbnails::local));
    layered(routes.with_state(public), guard)
}

/// Role `shell`: everything.
pub fn shell_router(state: Shell, guard: Guard) -> Router {
    let routes = public_routes()
        .route(paths::HEALTH, get(health::shell))
        .route(paths::THUMBNAIL, get(thumbnails::any))
        .route(paths::SERVERS, get(servers::list).post(servers::add))
        .route(paths::SERVERS_CHECK, post(servers::check))
        .route(paths::SERVER, patch(servers::change).delete(servers::remove))
        .route(paths::SERVER_CHECK, post(servers::check_listed))
        .route(paths::CATALOG_REMOTE, get(catalog::merged))
        .route(paths::CATALOG_REFRESH, post(catalog::refresh))
        .route(paths::CATALOG_LAYOUT, post(layout::place).delete(layout::forget))
        .route(paths::CATALOG_LAYOUT_BATCH, post(layout::place_all))
        .route(paths::CATALOG_IMPORT, get(import::check).put(import::import))
        .route(paths::ENTRY, get(catalog::entry))
        .route(paths::ENTRY_FAVORITE, put(layout::like).delete(layout::unlike))
        .route(paths::ENTRY_STATUS, get(catalog::status))
        .route(paths::REMOTE_CATALOG, get(catalog::of_server))
        .route(paths::REMOTE_FETCH, get(remote_fetch::fetch))
        .route(paths::DOWNLOADS, get(downloads::list).post(downloads::start))
        .route(paths::DOWNLOADS_STREAM, get(downloads::stream_all))
        .route(paths::DOWNLOAD, delete(downloads::cancel))
        .route(paths::DOWNLOAD_STREAM, get(downloads::stream_one))
        .route(paths::CACHE, get(cache::list).delete(cache::clear))
        .route(paths::CACHE_GC, post(cache::gc))
        .route(paths::CACHED, delete(cache::remove))
        .route(paths::CACHED_PIN, put(cache::pin).delete(cache::unpin))
        .route(paths::ENTRY_BOOT, post(machines::boot_entry))
        .route(paths::ENTRY_STOP, post(machines::stop_entry))
        .route(paths::BOOT, post(machines::boot_source))
        .route(paths::MACHINES, get(machines::list))
        .route(paths::MACHINE, get(machines::get).delete(machines::forget))
        .route(paths::MACHINE_STOP, post(machines::stop))
        .route(paths::MACHINE_SERIAL, get(machines::serial))
        .route(paths::SETTINGS, get(settings::settings))
        .route(paths::DOCTOR, get(doctor::diagnosis))
        .route(paths::EVENTS, get(events::stream));
    layered(routes.fallback(shell::asset).with_state(state), guard)
}

fn public_routes<S: Clone + Send + Sync + 'static>() -> Router<S>
where
    Arc<Public>: FromRef<S>,
{
    Router::new()
        .route(paths::CATALOG, get(catalog::own))
        .route(paths::IMAGE, get(images::image))
        .fallback(responses::no_route)
}

/// From the outside in: the middleware gives every response its id, headers and shape, then come the guards, then the
/// routes.
fn layered(routes: Router, guard: Guard) -> Router {
    routes
        .method_not_allowed_fallback(responses::no_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(guard, guard::check))
        .layer(from_fn_with_state(middleware::Capacity::default(), middleware::wrap))
}

#[cfg(test)]
mod tests;
