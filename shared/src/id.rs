//! Names of things. Each has its own type, so that one is never taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is no id of this kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    pub kind: &'static str,
    pub rule: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.kind, self.rule)
    }
}

impl std::error::Error for InvalidId {}

fn slug(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')) && !text.starts_with('.')
}

fn alphanumeric(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $lengths:pat, $test:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                if matches!(text.len(), $lengths) && $test(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidId { kind: $kind, rule: $rule })
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// An entry's name on its server. Not unique across servers: the digest is the identity.
    EntryId, "an entry's id", 1..=64, slug, "1 to 64 of a-z 0-9 . _ -, not starting with a dot"
}
id! {
    /// A catalog server's name in this backend; [`ServerId::LOCAL`] is the backend itself.
    ServerId, "a server's id", 1..=64, slug, "1 to 64 of a-z 0-9 . _ -, not starting with a dot"
}
id! {
    /// A machine. Short, because it is part of socket paths, which have 108 bytes.
    MachineId, "a machine's id", 8..=12, alphanumeric, "8 to 12 of a-z 0-9"
}
id! {
    /// A download: the first 16 hex digits of the image's SHA-256, so two requests for one image share it.
    DownloadId, "a download's id", 16..=16, alphanumeric, "16 of a-z 0-9"
}

impl ServerId {
    /// The images of this backend's own folders.
    pub const LOCAL: &'static str = "local";

    #[must_use]
    pub fn local() -> Self {
        Self(Self::LOCAL.to_owned())
    }

    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0 == Self::LOCAL
    }
}

impl From<crate::Digest> for DownloadId {
    fn from(digest: crate::Digest) -> Self {
        Self(digest.to_string()[..16].to_owned())
    }
}

impl EntryId {
    /// An id made from any text, such as the name of a file: letters that are not allowed become `-`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(nearest_slug(name, "image"))
    }
}

impl ServerId {
    /// An id made from any text, such as the host name of a server.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(nearest_slug(name, "server"))
    }
}

fn nearest_slug(name: &str, fallback: &str) -> String {
    let mut slug = String::new();
    for letter in name.to_lowercase().chars() {
        match letter {
            'a'..='z' | '0'..='9' | '_' | '.' => slug.push(letter),
            _ if slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    let slug: String = slug.trim_matches(['-', '.']).chars().take(64).collect();
    if slug.is_empty() { fallback.to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_name_becomes_a_valid_id(name: String) {
            let id = EntryId::from_name(&name);
            prop_assert_eq!(id.as_str().parse::<EntryId>(), Ok(id.clone()));
        }
    }

    #[test]
    fn paths_and_other_letters_are_refused() {
        for text in ["", "..", ".hidden", "a/b", "A", "a b", "é", &"a".repeat(65)] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
        assert!("debian-12.7_cloud".parse::<EntryId>().is_ok());
        assert!("m7k2p9qa".parse::<MachineId>().is_ok());
        assert!("m7k2p9q".parse::<MachineId>().is_err());
    }

    #[test]
    fn names_keep_what_they_can() {
        assert_eq!(EntryId::from_name("Debian Cloud (6.1)").as_str(), "debian-cloud-6.1");
        assert_eq!(EntryId::from_name("…").as_str(), "image");
        assert_eq!(ServerId::from_name("127.0.0.1:8090").as_str(), "127.0.0.1-8090");
    }
}
