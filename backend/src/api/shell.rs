//! The shell's own files, which are embedded when the binary is built.
//!
//! Files with a hash in their name never change. The page itself is requested again each time. Where a compressed copy
//! of a file exists (Brotli), it is sent to browsers that accept it. A binary without a shell shows a page that explains
//! how to build it.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

use super::responses;
use super::{encoding, etag};

#[derive(RustEmbed)]
#[folder = "../frontend/dist"]
#[allow_missing = true]
struct Files;

const PAGE: &str = "index.html";

/// The service worker, which keeps the shell's files in the browser.
const WORKER: &str = "worker.js";

/// What a binary without a service worker sends in its place: it ends the worker that an earlier binary left in the
/// browser. A reply that says that there is none would leave it there for good.
const END_OF_WORKER: &str = "\
    self.addEventListener(\"install\", () => self.skipWaiting());\n\
    self.addEventListener(\"activate\", (event) => event.waitUntil((async () => {\n\
      for (const name of await caches.keys()) await caches.delete(name);\n\
      await self.registration.unregister();\n\
    })()));\n";

const NO_SHELL: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>PixelRTS</title>\
    <h1>The shell is not built</h1>\
    <p>This binary was built without it. The API works. To build both into one binary:</p>\
    <pre>cargo xtask build</pre></html>";

/// Handles every path that is not a route.
pub(super) async fn asset(method: Method, uri: Uri, request_headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") || !matches!(method, Method::GET | Method::HEAD) {
        return responses::no_route(uri).await.into_response();
    }
    let name = if path.is_empty() { PAGE } else { path };
    let Some(file) = Files::get(name) else {
        return match name {
            PAGE => {
                let headers = [
                    (CONTENT_TYPE, "text/html; charset=utf-8"),
                    (CACHE_CONTROL, "no-store"),
                    (CONTENT_SECURITY_POLICY, POLICY.as_str()),
                ];
                (headers, NO_SHELL).into_response()
            }
            WORKER => {
                let headers = [(CONTENT_TYPE, "text/javascript"), (CACHE_CONTROL, "no-cache")];
                (headers, END_OF_WORKER).into_response()
            }
            _ => responses::no_route(uri).await.into_response(),
        };
    };
    reply(name, &file, &request_headers)
}

fn reply(name: &str, file: &EmbeddedFile, request_headers: &HeaderMap) -> Response {
    let brotli = encoding::accepts(request_headers, "br").then(|| Files::get(&format!("{name}.br"))).flatten();
    let etag =
        format!("\"{}{}\"", hex::encode(&file.metadata.sha256_hash()[..16]), if brotli.is_some() { "-br" } else { "" });
    let mut headers = HeaderMap::new();
    let mut insert = |name, text: &str| headers.insert(name, HeaderValue::from_str(text).expect("plain text"));
    insert(ETAG, &etag);
    insert(VARY, "accept-encoding");
    insert(CACHE_CONTROL, if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" });
    if etag::matches(request_headers, &etag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    insert(CONTENT_TYPE, file.metadata.mimetype());
    if name.ends_with(".html") {
        insert(CONTENT_SECURITY_POLICY, &POLICY);
    } else if name == WORKER {
        // It fetches the shell's files, and does nothing else.
        insert(CONTENT_SECURITY_POLICY, "default-src 'none'; connect-src 'self'");
    }
    if brotli.is_some() {
        insert(CONTENT_ENCODING, "br");
    }
    let body = brotli.map_or_else(|| file.data.clone(), |file| file.data);
    (headers, body.into_owned()).into_response()
}

/// The bundler puts a hash of 8 or more hex digits behind a `-` in the name: `shell-0123456789abcdef.js`.
fn is_hashed(name: &str) -> bool {
    let stem = name.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or_default();
    let hash = stem.trim_end_matches("_bg").rsplit('-').next().unwrap_or_default();
    hash.len() >= 8 && hash.len() < stem.len() && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Allows only our own scripts to run, and the page's inline scripts by their hash. Styles may be inline, because the
/// terminal (xterm.js) creates its style sheet at run time.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let page = Files::get(PAGE).map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap_or_default();
    let hashes: String = inline_scripts(&page)
        .map(|script| format!(" 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(script))))
        .collect();
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{hashes}; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; \
         worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The text of every script that is in the page itself.
fn inline_scripts(page: &str) -> impl Iterator<Item = &str> {
    page.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (script, _) = rest.split_once("</script>")?;
        (!attributes.contains("src=")).then_some(script)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_immutable() {
        for name in
            ["pixelrts-shell-1a2b3c4d5e6f7a8b.js", "a-1a2b3c4d5e6f7a8b_bg.wasm", "snippets/x-12345678abcdef00.js"]
        {
            assert!(is_hashed(name), "{name}");
        }
        for name in ["index.html", "favicon.svg", "deadbeef00.js", "xterm-addon-fit.js"] {
            assert!(!is_hashed(name), "{name}");
        }
    }

    #[tokio::test]
    async fn the_worker_is_asked_for_again_each_time_and_never_just_missing() {
        // With or without a shell in this binary: a browser that has a worker must get another one in its place.
        let reply = asset(Method::GET, Uri::from_static("/worker.js"), HeaderMap::new()).await;
        assert_eq!(reply.status(), StatusCode::OK);
        assert_eq!(reply.headers()[CACHE_CONTROL], "no-cache");
        assert!(reply.headers()[CONTENT_TYPE].to_str().is_ok_and(|kind| kind.starts_with("text/javascript")));
    }

    #[test]
    fn scripts_in_the_page_are_found_and_those_with_a_source_are_not() {
        let page = "<script type=\"module\">\nimport a\n</script><script src=\"/x.js\"></script><script>b</script>";
        assert_eq!(inline_scripts(page).collect::<Vec<_>>(), ["\nimport a\n", "b"]);
    }
}
