//! Every path of the API once: the router and the shell's client both use these.
//!
//! Constants are routes as the router takes them; functions fill in the names.

use crate::{Digest, DownloadId, MachineId, ServerId};

pub const HEALTH: &str = "/api/v1/health";
pub const SERVERS: &str = "/api/v1/servers";
pub const SERVERS_CHECK: &str = "/api/v1/servers/check";
pub const SERVER: &str = "/api/v1/servers/{id}";
pub const SERVER_CHECK: &str = "/api/v1/servers/{id}/check";
pub const CATALOG: &str = "/api/v1/catalog";
pub const CATALOG_REMOTE: &str = "/api/v1/catalog/remote";
pub const CATALOG_REFRESH: &str = "/api/v1/catalog/refresh";
/// Where people put images on the wall.
pub const CATALOG_LAYOUT: &str = "/api/v1/catalog/layout";
pub const CATALOG_LAYOUT_BATCH: &str = "/api/v1/catalog/layout/batch";
/// Puts an image into the folder of the local catalog.
pub const CATALOG_IMPORT: &str = "/api/v1/catalog/import";
pub const ENTRY: &str = "/api/v1/catalog/{key}";
pub const ENTRY_BOOT: &str = "/api/v1/catalog/{key}/boot";
pub const ENTRY_FAVORITE: &str = "/api/v1/catalog/{key}/favorite";
pub const ENTRY_STATUS: &str = "/api/v1/catalog/{key}/status";
pub const ENTRY_STOP: &str = "/api/v1/catalog/{key}/stop";
pub const REMOTE_CATALOG: &str = "/api/v1/remote/catalog";
pub const REMOTE_FETCH: &str = "/api/v1/remote/fetch";
pub const DOWNLOADS: &str = "/api/v1/downloads";
pub const DOWNLOADS_STREAM: &str = "/api/v1/downloads/stream";
pub const DOWNLOAD: &str = "/api/v1/downloads/{id}";
pub const DOWNLOAD_STREAM: &str = "/api/v1/downloads/{id}/stream";
/// Any source but a file: an address, a digest, an id, `id@server`.
pub const BOOT: &str = "/api/v1/boot";
pub const MACHINES: &str = "/api/v1/machines";
pub const MACHINE: &str = "/api/v1/machines/{mid}";
pub const MACHINE_STOP: &str = "/api/v1/machines/{mid}/stop";
pub const MACHINE_SERIAL: &str = "/api/v1/machines/{mid}/serial";
/// The images that are kept on the backend's computer.
pub const CACHE: &str = "/api/v1/cache";
pub const CACHE_GC: &str = "/api/v1/cache/gc";
/// `{key}` is a digest or the beginning of one, an id, or a name.
pub const CACHED: &str = "/api/v1/cache/{key}";
pub const CACHED_PIN: &str = "/api/v1/cache/{key}/pin";
/// `{file}` is `{sha256}.rts.png`.
pub const IMAGE: &str = "/api/v1/images/{file}";
/// `{file}` is `{sha256}.png`.
pub const THUMBNAIL: &str = "/api/v1/thumbnails/{file}";
/// What is right and wrong with the backend's computer.
pub const DOCTOR: &str = "/api/v1/doctor";
/// What the shell needs to know of the backend before it boots anything: defaults and limits.
pub const SETTINGS: &str = "/api/v1/settings";
/// Server-sent events: servers, entries, machines.
pub const EVENTS: &str = "/api/v1/events";

#[must_use]
pub fn server(id: &ServerId) -> String {
    format!("{SERVERS}/{id}")
}

#[must_use]
pub fn server_check(id: &ServerId) -> String {
    format!("{SERVERS}/{id}/check")
}

#[must_use]
pub fn entry_boot(key: &Digest) -> String {
    format!("{CATALOG}/{key}/boot")
}

#[must_use]
pub fn entry_stop(key: &Digest) -> String {
    format!("{CATALOG}/{key}/stop")
}

#[must_use]
pub fn entry_favorite(key: &Digest) -> String {
    format!("{CATALOG}/{key}/favorite")
}

#[must_use]
pub fn cached(digest: &Digest) -> String {
    format!("{CACHE}/{digest}")
}

#[must_use]
pub fn cached_pin(digest: &Digest) -> String {
    format!("{CACHE}/{digest}/pin")
}

#[must_use]
pub fn download(id: &DownloadId) -> String {
    format!("{DOWNLOADS}/{id}")
}

#[must_use]
pub fn download_stream(id: &DownloadId) -> String {
    format!("{DOWNLOADS}/{id}/stream")
}

#[must_use]
pub fn machine(id: &MachineId) -> String {
    format!("{MACHINES}/{id}")
}

#[must_use]
pub fn machine_stop(id: &MachineId) -> String {
    format!("{MACHINES}/{id}/stop")
}

#[must_use]
pub fn machine_serial(id: &MachineId) -> String {
    format!("{MACHINES}/{id}/serial")
}

#[must_use]
pub fn image(sha256: &Digest) -> String {
    format!("/api/v1/images/{sha256}.rts.png")
}

/// `server`: the server whose thumbnail it is, while the image itself is not cached.
#[must_use]
pub fn thumbnail(sha256: &Digest, server: Option<&ServerId>) -> String {
    match server {
        Some(server) if !server.is_local() => format!("/api/v1/thumbnails/{sha256}.png?server={server}"),
        _ => format!("/api/v1/thumbnails/{sha256}.png"),
    }
}

#[cfg(test)]
mod tests {
    /// The constants of this file, read from its source: there is no list to forget one in.
    #[test]
    fn every_path_is_in_the_api_document() {
        let document = include_str!("../../docs/API.md");
        let constants = include_str!("paths.rs").lines().filter_map(|line| {
            line.strip_prefix("pub const ")?.split_once("= \"").map(|(_, path)| path.trim_end_matches("\";"))
        });
        let missing: Vec<_> = constants.clone().filter(|path| !document.contains(path)).collect();
        assert!(constants.count() > 20, "the constants are found");
        assert!(missing.is_empty(), "docs/API.md lacks {missing:?}");
    }
}
