//! Catalogs and what can be wrong with them. A name that does not begin with `cat` gets an honest catalog.
//!
//! | name | what is sent |
//! | --- | --- |
//! | `cathtml` | the first bytes of a web page |
//! | `catspa` | at `api/v1/catalog` a web page, deflated, as applications of one page do; `catalog.json` is honest |
//! | `cats3` | at `api/v1/catalog` 403 with XML, as object stores do for what does not exist; `catalog.json` is honest |
//! | `cathead` | nothing, for ever |
//! | `catdrip` | a byte each second |
//! | `catslow/SECONDS` | an honest catalog, after that time |
//! | `catgz`, `catbom`, `catnull` | the catalog deflated, after a byte order mark, with a null for every field that may be left out |
//! | `catmemint` | the entry's memory as a number |
//! | `catbadentry` | a second entry that lacks everything |
//! | `catetag` | an honest catalog with an ETag, and 304 for those who have it |
//! | `catsize7`, `catmem64t` | lies about the entry: its size, its memory |
//! | `catname`, `catescape` | names of 200,000 characters, and with control characters |
//! | `catthumb` | a picture on the second port |
//! | `cat100m`, `catsevens`, `catdeep`, `catgarbage` | floods: a name of 100 MB, 4 million numbers instead of entries, 200,000 brackets, random bytes |
//! | `catNNN` | this status |
//! | `entries/COUNT/SEED/MILLISECONDS` | after that time, an honest catalog with so many entries; the seed is part of their digests |

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::reply::{After, Reply};
use super::request::Request;
use super::{Offer, lock, mix};

const JSON: &str = "application/json";

pub(super) fn reply(offer: &Offer, request: &Request) -> Reply {
    let (name, numbers) = request.fault_words();
    let parameter = |place: usize| numbers.get(place).copied();
    let entries = if name == "entries" { parameter(0) } else { None };
    let honest = honest(offer, &name, entries.unwrap_or(1), parameter(1).unwrap_or_default());
    let sent = |document: Vec<u8>| Reply::with_body(200, JSON, document);
    let spoiled = |from: &str, to: &str| sent(String::from_utf8_lossy(&honest).replace(from, to).into_bytes());
    let entry = |fields: &str| spoiled("\"url\"", &format!("{fields}, \"url\""));
    let is_first_address = request.plain_path().ends_with("/api/v1/catalog");
    match name.as_str() {
        "cathtml" => Reply::with_body(200, "text/html", "<html"),
        "catspa" if is_first_address => {
            let page = gzip(b"<html>app</html>");
            Reply::with_body(200, "text/html", page).with("Content-Encoding", "gzip")
        }
        "cats3" if is_first_address => {
            Reply::with_body(403, "application/xml", "<Error><Code>AccessDenied</Code></Error>")
        }
        "cathead" => Reply::new(200).after(Duration::MAX),
        "catdrip" => sent(honest).paced(1, Duration::from_secs(1)),
        "catslow" => sent(honest).after(Duration::from_secs(parameter(0).unwrap_or(1))),
        "entries" => sent(honest).after(Duration::from_millis(parameter(2).unwrap_or_default())),
        "catgz" => sent(gzip(&honest)).with("Content-Encoding", "gzip"),
        "catbom" => sent([b"\xef\xbb\xbf", honest.as_slice()].concat()),
        "catnull" => {
            let optional = ["description", "version", "distro", "architecture", "tags", "segments", "memory", "cpus"];
            entry(&optional.map(|field| format!("\"{field}\":null")).join(","))
        }
        "catmemint" => entry("\"memory\":2048"),
        "catmem64t" => entry("\"memory\":\"64T\""),
        "catthumb" => entry(&format!("\"thumbnail\":\"{}/admin?do=delete\"", offer.elsewhere)),
        "catname" => spoiled("\"Five\"", &format!("\"{}\"", "long ".repeat(40_000))),
        "catescape" => spoiled("\"Five\"", "\"Fi\\u001b[31mve\\u202e\\u0000\\n\""),
        "catbadentry" => spoiled("\"entries\":[", "\"entries\":[{\"id\":\"nothing\"},"),
        "catsize7" => spoiled(&format!("\"size\":{}", offer.len()), "\"size\":7"),
        "catetag" if request.header("if-none-match") == Some("\"c1\"") => Reply::new(304).with("ETag", "\"c1\""),
        "catetag" => sent(honest).with("ETag", "\"c1\""),
        "cat100m" => sent(Vec::new())
            .endless("{\"format\":1,\"name\":\"", "a".repeat(65536))
            .with("Content-Length", 100 << 20)
            .then(After::Close),
        "catsevens" => {
            let sevens = vec!["7"; 4_000_000].join(",");
            let head = "{\"format\":1,\"name\":\"s\",\"generated_at\":\"\",\"entries\":[";
            sent(format!("{head}{sevens}]}}").into_bytes())
        }
        "catdeep" => {
            let (open, close) = ("[".repeat(200_000), "]".repeat(200_000));
            sent(format!("{{\"format\":1,\"entries\":{open}{close}}}").into_bytes())
        }
        "catgarbage" => {
            let mut random = mix::Random::new(request.number as u64);
            sent((0..3000).map(|_| random.below(256).to_le_bytes()[0]).collect())
        }
        _ => match name.strip_prefix("cat").and_then(|status| status.parse().ok()) {
            Some(status) => Reply::with_body(status, "text/plain", "no"),
            None => sent(honest),
        },
    }
}

/// An entry with the image's true facts, and others with made-up digests.
fn honest(offer: &Offer, name: &str, count: u64, seed: u64) -> Vec<u8> {
    if let Some(document) = &*lock(&offer.catalog) {
        return document.clone();
    }
    let size = offer.len();
    let five = format!(
        "{{\"id\":\"five\",\"name\":\"Five\",\"size\":{size},\"sha256\":\"{}\",\"url\":\"x.rts.png\"}}",
        offer.sha256
    );
    let more = (1..count).map(|number| {
        let digest = format!("{seed:032x}{number:032x}");
        format!("{{\"id\":\"e{number}\",\"name\":\"Entry {number}\",\"size\":{size},\"sha256\":\"{digest}\"}}")
    });
    let entries: Vec<String> = std::iter::once(five).chain(more).collect();
    let head = format!("{{\"format\":1,\"name\":\"{name}\",\"generated_at\":\"2026-01-01T00:00:00Z\"");
    format!("{head},\"entries\":[{}]}}", entries.join(",")).into_bytes()
}

/// These bytes as gzip.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}
