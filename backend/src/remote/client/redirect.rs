//! Redirects. The client follows them itself, because each step is judged: where it may lead, what is sent along.

use pixelrts_shared::text::{LongText, Text};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use url::Url;

use crate::remote::address::shown;
use crate::remote::error::Kind;

/// More of them are no detour but a mistake. Browsers follow 20, downloads of large hosts need 3 or 4.
const MOST: usize = 10;

/// The addresses that one request has led to, from the one that was asked for.
#[derive(Debug)]
pub(super) struct Trail(Vec<Url>);

impl Trail {
    pub(super) fn new(first: Url) -> Self {
        Self(vec![first])
    }

    pub(super) fn here(&self) -> &Url {
        self.0.last().expect("a trail begins with an address")
    }

    pub(super) fn redirected(&self) -> bool {
        self.0.len() > 1
    }

    /// Goes on to where the response leads. A secure connection never leads to an insecure one.
    pub(super) fn follow(&mut self, location: Option<&HeaderValue>) -> Result<(), Kind> {
        let refused = |why: String| Err(Kind::Redirect(LongText::new(&why)));
        let here = self.here();
        let Some(location) = location else { return refused("it redirects without saying where".to_owned()) };
        let text = String::from_utf8_lossy(location.as_bytes());
        let Ok(mut next) = here.join(&text) else {
            return refused("it redirects to what is no address".to_owned());
        };
        next.set_fragment(None);
        match (here.scheme(), next.scheme()) {
            ("http", "http" | "https") | ("https", "https") => {}
            ("https", "http") => {
                let to = shown(&next);
                return refused(format!("it redirects from https to {to}, where everybody on the way could change it"));
            }
            (_, other) => {
                return refused(format!("it redirects to an address of the kind {}:", Text::<20>::new(other)));
            }
        }
        if self.0.len() > MOST {
            return refused(format!("it redirects more than {MOST} times"));
        }
        if self.0.contains(&next) {
            return refused(format!("its redirects lead in a circle, back to {}", shown(&next)));
        }
        self.0.push(next);
        Ok(())
    }
}

/// Whether the status sends a GET elsewhere.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(trail: &mut Trail, to: &str) -> Result<(), String> {
        let location = HeaderValue::from_bytes(to.as_bytes()).unwrap();
        trail.follow(Some(&location)).map_err(|kind| kind.to_string())
    }

    #[test]
    fn a_trail_ends_where_it_should() {
        let trail = |url: &str| Trail::new(url.parse().unwrap());
        let mut far = trail("http://a/x");
        for (to, reached) in [("/y?z#f", "http://a/y?z"), ("//b/c", "http://b/c"), ("https://b/", "https://b/")] {
            follow(&mut far, to).unwrap();
            assert_eq!(far.here().as_str(), reached);
        }
        for (to, said) in [
            ("http://b/", "from https to http://b/"),
            ("file:///etc/passwd", "kind file:"),
            ("ftp://b/", "kind ftp:"),
            ("javascript:x", "kind javascript:"),
            ("data:,x", "kind data:"),
            ("https://b:99999/", "no address"),
            ("https://", "no address"),
            ("https://b/", "circle"),
        ] {
            let refused = follow(&mut far, to).unwrap_err();
            assert!(refused.contains(said), "{to}: {refused}");
        }
        assert!(far.follow(None).is_err());
        let mut long = trail("http://a/0");
        let steps = (1..100).take_while(|n| follow(&mut long, &format!("/{n}")).is_ok()).count();
        assert_eq!(steps, MOST);
    }

    #[test]
    fn no_secret_of_an_address_is_said() {
        let mut trail = Trail::new("https://a/x".parse().unwrap());
        for to in ["http://u:hunter2@b/?sig=hunter2", "http://[hunter2/?hunter2", "http://u:hunter2@/"] {
            let refused = follow(&mut trail, to).unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
