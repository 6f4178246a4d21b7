//! By what a server tells two versions of a file apart.

use reqwest::header::{
    DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};

/// An ETag, or the time of the last change, as the server wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::remote) struct Validator(HeaderValue);

impl Validator {
    pub(in crate::remote) fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(tag) = headers.get(ETAG) {
            return Some(Self(tag.clone())).filter(Self::is_tag);
        }
        let time = |name: HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok();
        // A file that changed within the second in which it was sent may change once more in that second.
        let settled = time(LAST_MODIFIED)? < time(DATE)?;
        settled.then(|| Self(headers[LAST_MODIFIED].clone()))
    }

    /// From what was kept.
    pub(in crate::remote) fn parse(text: &str) -> Option<Self> {
        HeaderValue::from_str(text).ok().filter(|value| !value.is_empty()).map(Self)
    }

    pub(in crate::remote) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// Equal ones prove that the bytes are equal.
    pub(super) fn is_strong(&self) -> bool {
        !self.0.as_bytes().starts_with(b"W/")
    }

    fn is_tag(&self) -> bool {
        let text = self.as_str();
        text.trim_start_matches("W/").starts_with('"')
    }

    /// For `If-Range`.
    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Asks for the file only if it is another version.
    pub(super) fn unless_same(&self) -> (HeaderName, HeaderValue) {
        (if self.is_tag() { IF_NONE_MATCH } else { IF_MODIFIED_SINCE }, self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_only_when_the_file_can_no_longer_change_in_it() {
        let of = |headers: &[(HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            Validator::of(&headers.collect()).map(|validator| (validator.as_str().to_owned(), validator.is_strong()))
        };
        let (changed, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(of(&[(ETAG, "\"1\""), (LAST_MODIFIED, changed)]), Some(("\"1\"".to_owned(), true)));
        assert_eq!(of(&[(ETAG, "W/\"1\"")]), Some(("W/\"1\"".to_owned(), false)));
        assert_eq!(of(&[(LAST_MODIFIED, changed), (DATE, later)]), Some((changed.to_owned(), true)));
        assert_eq!(of(&[(LAST_MODIFIED, changed), (DATE, changed)]), None);
        for nothing in
            [&[(LAST_MODIFIED, changed)][..], &[(ETAG, "no quotes")], &[(LAST_MODIFIED, "soon"), (DATE, later)], &[]]
        {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
    }
}
