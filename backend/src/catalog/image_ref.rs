//! What a person names an image by: SOURCE on the command line, `source` in the API.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pixelrts_shared::{Digest, ServerId};
use sha2::Digest as _;
use url::Url;

use super::check_image;
use crate::cache::Promise;
use crate::remote::client::Endpoint;
use crate::remote::{FetchRequest, Mirror};

/// A name of an image, by its form alone.
#[derive(Clone, Debug)]
pub enum ImageRef {
    /// It can be nothing else than a path of this computer.
    Path(PathBuf),
    /// An http or https address.
    Address(FetchRequest),
    /// The SHA-256 of an entry, its id, or `id@server`. On the command line it may be the name of a file, too.
    Key(String),
}

impl ImageRef {
    #[must_use]
    pub fn parse(text: &str) -> Self {
        // An address of a file is another way to write its path.
        if let Some(path) = Url::parse(text).ok().filter(|url| url.scheme() == "file" && text.contains(":/")) {
            return path.to_file_path().map_or_else(|()| Self::Key(text.to_owned()), Self::Path);
        }
        if let Some(wanted) = request_for_url(text) {
            return Self::Address(wanted);
        }
        let is_path = !text.contains("://") && (text.contains('/') || text.ends_with(".rts.png"));
        if is_path { Self::Path(text.into()) } else { Self::Key(text.to_owned()) }
    }
}

/// An image at an http or https address, without a catalog that promises its digest: what comes must be an image.
/// `None` when the text is no such address.
fn request_for_url(source: &str) -> Option<FetchRequest> {
    let url = Url::parse(source).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let key = Digest::new(sha2::Sha256::digest(unsigned(&url).as_str()).into());
    let (endpoint, url) = Endpoint::of_address(url);
    let server = ServerId::from_name(&endpoint.name);
    let mirrors = vec![Mirror { server, endpoint, url, size: None }];
    Some(FetchRequest { key, promise: Promise::Checked(check_image), mirrors, listed: Vec::new() })
}

/// The parameters with which object stores sign an address, in lower case.
const SIGNATURES: &[&str] = &[
    "awsaccesskeyid",
    "expires",
    "googleaccessid",
    "key-pair-id",
    "policy",
    "se",
    "security-token",
    "sig",
    "signature",
    "ske",
    "skoid",
    "sks",
    "skt",
    "sktid",
    "skv",
    "sp",
    "spr",
    "sr",
    "st",
    "sv",
];

/// The address without who asks and without a signature, which is another one each time: what is left names the file.
fn unsigned(url: &Url) -> Url {
    let mut plain = url.clone();
    // It fails only where there is no host.
    let _ = (plain.set_username(""), plain.set_password(None));
    plain.set_fragment(None);
    let is_signed = url.query_pairs().any(|(name, _)| is_signature(&name) && name.to_lowercase().contains("sig"));
    if is_signed {
        let kept: Vec<_> = url.query_pairs().filter(|(name, _)| !is_signature(name)).collect();
        plain.set_query(None);
        if !kept.is_empty() {
            plain.query_pairs_mut().extend_pairs(kept);
        }
    }
    plain
}

fn is_signature(name: &str) -> bool {
    let name = name.to_lowercase();
    name.starts_with("x-amz-") || name.starts_with("x-goog-") || SIGNATURES.contains(&name.as_str())
}

/// What an image is called when nothing but its place is known: the last part, without what belongs to the address or
/// to the format.
#[must_use]
pub fn name_of_place(place: &str) -> &str {
    let path = place.split(['?', '#']).next().unwrap_or(place);
    // Before the host there may be a password.
    let path = path.split_once("://").map_or(path, |(_, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        rest[..end].rfind('@').map_or(rest, |at| &rest[at + 1..])
    });
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).trim_end_matches(".rts.png")
}

/// Whether a file with this name is listed where a folder is offered.
#[must_use]
pub fn is_image_name(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".rts.png") && !name.as_bytes().starts_with(b".")
}

/// What the file at a path is called.
#[must_use]
pub fn name_of_file(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("image").trim_end_matches(".rts.png")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_name_says_what_it_is() {
        for (text, expected) in [
            ("debian.rts.png", "path"),
            ("./debian", "path"),
            ("images/debian", "path"),
            ("http://host/debian.rts.png", "address"),
            ("HTTPS://host/x", "address"),
            ("debian-12", "key"),
            ("debian-12@office", "key"),
            ("ftp://host/x", "key"),
            ("file:///images/debian.rts.png", "path"),
            ("file://host/x", "key"),
            ("file:x", "key"),
        ] {
            let found = match ImageRef::parse(text) {
                ImageRef::Path(_) => "path",
                ImageRef::Address(_) => "address",
                ImageRef::Key(_) => "key",
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn another_signature_is_the_same_file_and_another_query_is_not() {
        let plain = |text: &str| unsigned(&text.parse().unwrap()).to_string();
        for signed in [
            "https://h/a.rts.png?X-Amz-Date=1&X-Amz-Signature=2",
            "https://u:p@h/a.rts.png?Expires=1&Signature=x&Key-Pair-Id=y#z",
            "https://h/a.rts.png?sv=2020&sr=b&sig=abc%3D&se=2026",
        ] {
            assert_eq!(plain(signed), "https://h/a.rts.png", "{signed}");
        }
        assert_eq!(plain("https://h/get?id=7&sig=x"), "https://h/get?id=7");
        assert_eq!(plain("https://h/get?sp=7&expires=1"), "https://h/get?sp=7&expires=1", "nothing signs it");
    }

    #[test]
    fn a_place_gives_a_name() {
        assert_eq!(name_of_place("https://host/images/debian.rts.png?x=/y#z"), "debian");
        assert_eq!(name_of_place("https://host/images/debian.rts.png?x=1"), "debian");
        assert_eq!(name_of_place("https://alice:hunter2@host:1/?hunter2"), "host:1");
        assert_eq!(name_of_place("https://alice:hunter2@host"), "host");
        assert_eq!(name_of_place("https://alice:hunter2@host/images/a@b.rts.png"), "a@b");
        assert_eq!(name_of_place(&"0".repeat(64)), "0".repeat(64));
        assert_eq!(name_of_file(Path::new("/a/debian.rts.png")), "debian");
        assert_eq!(name_of_file(Path::new("/")), "image");
    }
}
