//! An address as people, logs and other programs may see it.
//!
//! An address may hold secrets: a user with a password before its host, a signature or a token in its query. Only who
//! sends the request needs them. Everybody else gets a [`ShownAddress`], which has none, so that no secret can be
//! printed by mistake.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// Scheme, host, port and path. What was left out is marked by `…`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShownAddress(Text<300>);

impl ShownAddress {
    /// Of a text that is meant as an address, also of one that is none. A password may hold any letters, so everything
    /// between the scheme and the last `@` is left out; where `?` or `#` may belong to a password too, only the scheme
    /// is shown.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => (scheme, rest),
            _ => ("", text),
        };
        let place = match (rest.rfind('@'), rest.find(['?', '#'])) {
            (None, None) => rest.to_owned(),
            (None, Some(end)) => format!("{}?…", &rest[..end]),
            (Some(at), None) => format!("…{}", &rest[at..]),
            (Some(at), Some(end)) if at < end => format!("…{}?…", &rest[at..end]),
            (Some(_), Some(_)) => "…".to_owned(),
        };
        let separator = if scheme.is_empty() { "" } else { "://" };
        Self(Text::new(&format!("{scheme}{separator}{place}")))
    }

    /// Of the parts that hold no secret, as in `http://host:1/path`. `more` says that something was left out behind it.
    #[must_use]
    pub fn of_parts(place: &str, more: bool) -> Self {
        Self(Text::new(&format!("{place}{}", if more { "?…" } else { "" })))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for ShownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ShownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A value that was given for a setting, as it may be repeated to people: not more than 60 characters and the mark of the
/// cut, and nothing that may be a password.
#[must_use]
pub fn shown(text: &str) -> String {
    let is_address = text.contains("://") || text.contains('@');
    let short = if is_address { Text::<61>::new(ShownAddress::new(text).as_str()) } else { Text::new(text) };
    short.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_shown_of_an_address_has_no_secret_and_an_end() {
        for (text, expected) in [
            ("http://a:1/b", "http://a:1/b"),
            ("http://a:1/b?", "http://a:1/b?…"),
            ("http://a:1/b?sig=hunter2", "http://a:1/b?…"),
            ("http://a:1/b#hunter2", "http://a:1/b?…"),
            ("http://u:hunter2@h", "http://…@h"),
            ("http://u:hunter2/@x@h/b", "http://…@h/b"),
            ("http://u@h/b?hunter2", "http://…@h/b?…"),
            ("http://u:hun?ter2@h/b", "http://…"),
            ("http://h/b?sig=a@hunter2", "http://…"),
            ("u:hunter2@h", "…@h"),
            ("u:hunter2://@h", "…@h"),
        ] {
            assert_eq!(ShownAddress::new(text).as_str(), expected);
        }
        let long = format!("http://u:{}hunter2@h", "x".repeat(400));
        assert_eq!(ShownAddress::new(&long).as_str(), "http://…@h");
        assert_eq!(shown(&"ü".repeat(99)).chars().count(), 61);
        assert!(!shown(&long).contains("xx"));
    }

    proptest! {
        #[test]
        fn no_password_and_no_query_is_shown(
            user in "[a-z]{0,5}", host in "[a-z]{1,5}", path in "(/[a-z]{0,5}){0,3}", odd in "[@:/?#%A-Z]{0,3}",
        ) {
            for text in [
                format!("http://{user}:HUNTER{odd}HUNTER@{host}{path}"),
                format!("http://{host}{path}?a=HUNTER{odd}HUNTER"),
                format!("http://{user}:HUNTER@{host}{path}?a=HUNTER{odd}"),
                format!("{user}:HUNTER{odd}HUNTER@{host}{path}#HUNTER"),
            ] {
                let shown = ShownAddress::new(&text);
                prop_assert!(!shown.as_str().contains("HUNTER"), "{text}: {shown}");
                prop_assert_eq!(ShownAddress::new(shown.as_str()), shown);
            }
        }
    }
}
