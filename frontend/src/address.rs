//! The address of what the page shows, as it stands behind the `#`: `#/images?show=running&q=alpine`.
//!
//! A browser never sends this part. So an address that is opened cold asks for the same page as any other, and neither
//! the backend nor a service worker has to know the views. What an address says may be old or made up: everything in it
//! that means nothing is passed over.

use percent_encoding::percent_decode_str;
use pixelrts_shared::Digest;

use crate::layout::Page;
use crate::wall::filter::Tab;
use crate::words;

pub mod title;

#[cfg(target_arch = "wasm32")]
pub(crate) mod store;

/// A longer search is not kept in an address.
const LONGEST: usize = 200;

/// What the page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub page: Page,
    pub tab: Tab,
    pub search: String,
    /// The image whose details are open.
    pub details: Option<Digest>,
}

impl Address {
    /// Everything that cannot be read is as when the page is opened for the first time.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('#').unwrap_or(text);
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let slug = path.trim_matches('/');
        let page = Page::ALL.into_iter().find(|page| page.slug() == slug).unwrap_or_default();
        let mut address = Self { page, ..Self::default() };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "show" => address.tab = Tab::ALL.into_iter().find(|tab| tab.slug() == value).unwrap_or_default(),
                "q" => address.search = short(decoded(value)),
                "image" => address.details = value.parse().ok(),
                _ => {}
            }
        }
        address
    }

    #[must_use]
    pub fn format(&self) -> String {
        let show = (self.tab != Tab::default()).then(|| format!("show={}", self.tab.slug()));
        let search = short(self.search.clone());
        let search = (!search.is_empty()).then(|| format!("q={}", words::in_query(&search)));
        let image = self.details.map(|key| format!("image={key}"));
        let query: Vec<_> = [show, search, image].into_iter().flatten().collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("#/{}{mark}{}", self.page.slug(), query.join("&"))
    }

    /// A text that is typed is one step of the history and not one for each letter.
    #[must_use]
    pub fn replaces(&self, before: &Self) -> bool {
        !self.search.is_empty()
            && !before.search.is_empty()
            && *before == Self { search: before.search.clone(), ..self.clone() }
    }
}

fn short(text: String) -> String {
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).collect() }
}

/// A `+` is a space, as forms write it. A `%` without two hex digits behind it stands for itself.
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Digest {
        "7f".repeat(32).parse().expect("64 digits are a digest")
    }

    #[test]
    fn addresses_are_words() {
        for (text, address) in [
            ("#/images", Address::default()),
            ("#/servers", Address { page: Page::Servers, ..Address::default() }),
            (
                "#/images?show=running&q=a%20%26%20%C3%A9",
                Address { tab: Tab::Running, search: "a & é".to_owned(), ..Address::default() },
            ),
            (&format!("#/images?image={}", key()), Address { details: Some(key()), ..Address::default() }),
        ] {
            assert_eq!(address.format(), text);
            assert_eq!(Address::parse(text), address);
        }
    }

    #[test]
    fn what_means_nothing_is_passed_over() {
        for text in ["", "#", "#/", "#/nowhere?x", "#/images?image=7f&show=all&show=x", "#?=&&q", "/images"] {
            assert_eq!(Address::parse(text), Address::default(), "{text}");
        }
        assert_eq!(Address::parse("#/images?q=50%+%zz%f").search, "50% %zz%f");
    }

    #[test]
    fn typing_on_is_no_new_step() {
        let searched = |text: &str| Address { search: text.to_owned(), ..Address::default() };
        assert!(searched("al").replaces(&searched("a")));
        assert!(!searched("a").replaces(&Address::default()) && !Address::default().replaces(&searched("a")));
        assert!(!Address { page: Page::Settings, ..searched("al") }.replaces(&searched("a")));
    }

    proptest! {
        #[test]
        fn every_address_is_read_as_it_was_written(
            page in 0..Page::ALL.len(), tab in 0..Tab::ALL.len(), search in ".{0,200}", details: Option<[u8; 32]>,
        ) {
            let details = details.map(Digest::from);
            let address = Address { page: Page::ALL[page], tab: Tab::ALL[tab], search: short(search), details };
            let text = address.format();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
            prop_assert_eq!(Address::parse(&text), address);
        }

        #[test]
        fn any_text_is_an_address_that_stays_the_same(text in ".{0,300}") {
            let address = Address::parse(&text);
            prop_assert_eq!(Address::parse(&address.format()), address);
        }
    }
}
