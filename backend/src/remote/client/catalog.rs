//! The catalog of a server: `{base}/api/v1/catalog`, or `{base}/catalog.json`, which any web server can serve.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use pixelrts_shared::Digest;
use pixelrts_shared::catalog::{Catalog, Entry};
use pixelrts_shared::text::Text;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::{Client, Endpoint};
use crate::remote::address::shown;
use crate::remote::error::Kind;
use crate::remote::{RemoteError, web_page};

/// For a whole catalog.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Enough for 50,000 entries of 160 bytes. A server that sends more means harm.
const LIMIT: usize = 8 << 20;

/// A catalog that can be used.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub catalog: Catalog,
    /// As it was sent.
    pub document: String,
    /// Until the whole catalog was there.
    pub latency: Duration,
    /// Entries that were left out, with the reason.
    pub left_out: Vec<String>,
}

impl Client {
    /// The catalog of a server.
    pub async fn catalog(&self, server: &Endpoint) -> Result<Fetched, RemoteError> {
        let started = Instant::now();
        let both = async {
            match self.catalog_at(server, "api/v1/catalog").await {
                Ok(found) => Ok(found),
                // The server cannot be reached, so its other address cannot be reached either.
                Err(error) if !leads_on(&error.kind) => Err(error),
                Err(first) => self.catalog_at(server, "catalog.json").await.map_err(|second| match second.kind {
                    // Of the two failures, a broken catalog says more than a missing one.
                    Kind::NotFound(_) | Kind::Gone(_) => first,
                    _ => second,
                }),
            }
        };
        let fetched = tokio::time::timeout(TIMEOUT, both).await;
        let (catalog, document, left_out) =
            fetched.map_err(|_| RemoteError::new(&server.name, Kind::Timeout(TIMEOUT)))??;
        Ok(Fetched { catalog, document, latency: started.elapsed(), left_out })
    }

    async fn catalog_at(&self, server: &Endpoint, path: &str) -> Result<(Catalog, String, Vec<String>), RemoteError> {
        let bad = |why: String| RemoteError::new(&server.name, Kind::BadCatalog(why.into()));
        let url = server.base.join(path).map_err(|error| bad(error.to_string()))?;
        let json = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let response = self.get(server, &url, json).await?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let says_page = kind.starts_with("text/html");
        let body = self.body(server, response, LIMIT).await?;
        if says_page || web_page::is_web_page(&body) {
            let page = Kind::WebPage { address: shown(&url), title: web_page::title(&body) };
            return Err(RemoteError::new(&server.name, page));
        }
        let document = String::from_utf8(body).map_err(|_| bad("it is no UTF-8 text".to_owned()))?;
        let (catalog, left_out) = read_catalog(&document).map_err(bad)?;
        Ok((catalog, document, left_out))
    }
}

/// Whether the other address of a catalog may have what this one has not. A server that cannot be reached has neither.
fn leads_on(kind: &Kind) -> bool {
    matches!(kind, Kind::NotFound(_) | Kind::Gone(_) | Kind::Status(_) | Kind::BadCatalog(_) | Kind::WebPage { .. })
}

/// Reads a catalog entry by entry, so that a bad entry is left out and the others stay.
pub(in crate::remote) fn read_catalog(document: &str) -> Result<(Catalog, Vec<String>), String> {
    #[derive(serde::Deserialize)]
    struct Loose {
        format: u32,
        #[serde(default)]
        name: Text,
        #[serde(default)]
        generated_at: Text,
        entries: Vec<serde_json::Value>,
    }
    let loose: Loose = serde_json::from_str(document).map_err(|error| format!("it is no catalog: {error}"))?;
    if loose.format != Catalog::FORMAT {
        return Err(format!("its format is {}, this version reads {}", loose.format, Catalog::FORMAT));
    }
    let mut left_out = Vec::new();
    let mut seen = HashSet::<Digest>::new();
    let mut entries = Vec::new();
    for value in loose.entries {
        let id = value["id"].as_str().unwrap_or("?").chars().take(64).collect::<String>();
        match serde_json::from_value::<Entry>(value) {
            Ok(entry) if seen.insert(entry.sha256) => entries.push(entry),
            Ok(_) => left_out.push(format!("{id}: listed twice")),
            Err(error) => left_out.push(format!("{id}: {error}")),
        }
    }
    Ok((Catalog { format: loose.format, name: loose.name, generated_at: loose.generated_at, entries }, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_entry_costs_that_entry_only() {
        let good = format!(r#"{{"id":"a","name":"A","size":1,"sha256":"{}"}}"#, "0".repeat(64));
        let document = format!(
            r#"{{"format":1,"name":"x","entries":[{good},{good},{{"id":"b","name":"B","size":1}},{{"id":"../c"}},7]}}"#
        );
        let (catalog, left_out) = read_catalog(&document).unwrap();
        assert_eq!(catalog.entries.len(), 1);
        assert_eq!(left_out.len(), 4);
        assert!(left_out[1].contains("sha256"), "{left_out:?}");
    }

    #[test]
    fn other_documents_are_refused() {
        for document in ["", "[]", "{}", r#"{"format":2,"entries":[]}"#, r#"{"format":1}"#, "<html>"] {
            assert!(read_catalog(document).is_err(), "{document}");
        }
    }
}
