//! What a person names an image by: SOURCE on the command line, `source` in the API.

use std::path::{Path, PathBuf};

use super::request_for_url;
use crate::remote::FetchRequest;

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
        if let Some(wanted) = request_for_url(text) {
            return Self::Address(wanted);
        }
        let is_path = !text.contains("://") && (text.contains('/') || text.ends_with(".rts.png"));
        if is_path { Self::Path(text.into()) } else { Self::Key(text.to_owned()) }
    }
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
