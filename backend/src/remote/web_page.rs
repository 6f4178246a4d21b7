//! Recognizes a web page where something else should be: a login of the network, an error page with status 200, a
//! site that answers everything with its start page. Its title tells a person what it is.

use pixelrts_shared::text::Text;

/// Whether bytes begin a web page.
pub(super) fn is_web_page(first: &[u8]) -> bool {
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let begins = |tag: &[u8]| text.get(1..=tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    let tags = ["!doctype html", "html", "head", "title", "meta", "script", "body", "center", "div", "h1", "p>", "p "];
    text.first() == Some(&b'<') && tags.iter().any(|tag| begins(tag.as_bytes()))
}

/// The title of a web page, as far as the bytes that are here show it.
pub(super) fn title(page: &[u8]) -> Option<Text> {
    let text = String::from_utf8_lossy(page);
    let lower = text.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let begin = open + lower[open..].find('>')? + 1;
    let end = lower[begin..].find('<').map_or(text.len(), |end| begin + end);
    Some(Text::new(&unescaped(&text[begin..end]))).filter(|title| !title.is_empty())
}

/// The few entities that titles have.
fn unescaped(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    known.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_is_known_by_its_beginning_and_named_by_its_title() {
        for page in ["<!DOCTYPE html><html>", "\u{feff}\n <HTML lang=en>", "<html>login</html>", "<p>hello", "<center>"]
        {
            assert!(is_web_page(page.as_bytes()), "{page}");
        }
        for other in ["", "<", "{}", "<Error><Code>AccessDenied</Code></Error>", "\u{89}PNG"] {
            assert!(!is_web_page(other.as_bytes()), "{other}");
        }
        let named = |page: &str| title(page.as_bytes()).map(String::from);
        assert_eq!(named("<html><TITLE id=x>Log in &amp; pay\u{1b}[2J</title>").as_deref(), Some("Log in & pay[2J"));
        assert_eq!(named("<title>cut off").as_deref(), Some("cut off"));
        assert_eq!(named("<title> </title>"), None);
        assert_eq!(named("<html>"), None);
    }

    proptest! {
        #[test]
        fn no_page_panics(page in prop::collection::vec(any::<u8>(), 0..200), tail in ".{0,20}") {
            let page = [&b"<html><title"[..], &page, tail.as_bytes()].concat();
            title(&page);
        }
    }
}
