//! What people type for a server: its address and its color.

use pixelrts_shared::address::ShownAddress;
use url::Url;

use super::ServersError;

/// A base address: http or https, with a host, always ending in `/`, so that relative addresses are below it.
/// An address without a scheme, as people type it, is http.
pub fn parse_url(text: &str) -> Result<Url, ServersError> {
    let bad = |why: String| ServersError::BadUrl { text: ShownAddress::new(text), why };
    let trimmed = text.trim();
    let full = if trimmed.contains("://") { trimmed.to_owned() } else { format!("http://{trimmed}") };
    let mut url = Url::parse(&full).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("{} is neither http nor https", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("a name or password does not belong into an address; use `user` and `password`".to_owned()));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// `#` and six hex digits.
#[must_use]
pub fn is_color(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixelrts_shared::Problem;

    #[test]
    fn addresses_other_than_http_are_refused() {
        for text in ["", "ftp://a", "file:///etc", "http://", "http://user:secret@a", "javascript://a"] {
            let error = parse_url(text).unwrap_err();
            assert!(matches!(error, ServersError::BadUrl { .. }), "{text}");
            let said = format!("{error:?} {error}");
            let said = format!("{said} {}", Problem::from(error));
            assert!(!said.contains("secret"), "{said}");
        }
        assert_eq!(parse_url("a:8090/x?y#z").unwrap().as_str(), "http://a:8090/x/");
    }
}
