//! What may be shown of an address, and the credentials that people write into one.

use std::borrow::Cow;

use pixelrts_shared::address::ShownAddress;
use pixelrts_shared::catalog::Entry;
use pixelrts_shared::text::Text;
use url::Url;

/// An address without its secrets.
#[must_use]
pub fn shown(url: &Url) -> ShownAddress {
    let more = url.query().is_some() || url.fragment().is_some();
    ShownAddress::of_parts(&format!("{}://{}{}", url.scheme(), host_of(url), url.path()), more)
}

/// The host, with the port where it is not the usual one.
#[must_use]
pub fn host_of(url: &Url) -> Text {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}").into(),
        None => host.into(),
    }
}

/// An entry for others: a signature or a token in its addresses is for the backend alone, which fetches what is there.
#[must_use]
pub fn without_secrets(entry: Cow<'_, Entry>) -> Cow<'_, Entry> {
    let may_hold_one = |address: &&String| address.contains(['?', '#', '@']);
    if [&entry.url, &entry.thumbnail].into_iter().flatten().all(|address| !may_hold_one(&address)) {
        return entry;
    }
    let shown = |address: Option<String>| match address.as_ref().filter(may_hold_one) {
        Some(address) => Some(ShownAddress::new(address).to_string()),
        None => address,
    };
    let entry = entry.into_owned();
    Cow::Owned(Entry { url: shown(entry.url), thumbnail: shown(entry.thumbnail), ..entry })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_of_an_address_is_shown() {
        let url: Url = "http://alice:hunter2@h:1/a@b/x.rts.png?sig=hunter2#hunter2".parse().unwrap();
        assert_eq!(shown(&url).as_str(), "http://h:1/a@b/x.rts.png?…");
        assert_eq!(host_of(&url), "h:1");
        let entry =
            r#"{"id":"a","name":"A","size":1,"sha256":"SHA","url":"x.rts.png?sig=hunter2","thumbnail":"/t.png"}"#;
        let entry: Entry = serde_json::from_str(&entry.replace("SHA", &"0".repeat(64))).unwrap();
        let entry = without_secrets(Cow::Owned(entry));
        assert_eq!((entry.url.as_deref(), entry.thumbnail.as_deref()), (Some("x.rts.png?…"), Some("/t.png")));
    }
}
