//! Numbers and texts as the page writes them. Sizes and spans are those of `pixelrts-shared`, with spaces that no line
//! breaks at.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pixelrts_shared::duration::Span;
use pixelrts_shared::size::Size;
use pixelrts_shared::text;

pub use pixelrts_shared::text::grouped;

const SPACE: &str = "\u{a0}";

/// A number of bytes: `31.0 MB`, `424 MB`, `1.02 GB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    unbroken(&Size::from_bytes(count).in_words())
}

/// How much of a whole is here, in the unit of the whole: `182 of 424 MB`.
#[must_use]
pub fn share(here: u64, whole: u64) -> String {
    unbroken(&Size::from_bytes(here).of_whole(Size::from_bytes(whole)))
}

/// Bytes per second: `38.2 MB/s`.
#[must_use]
pub fn rate(bytes_per_second: u64) -> String {
    unbroken(&Size::from_bytes(bytes_per_second).per_second())
}

/// The memory of a machine: `2 GiB`.
#[must_use]
pub fn memory(size: Size) -> String {
    unbroken(&size.as_memory())
}

/// Whole percents, rounded down: 99.9 is 99.
#[must_use]
pub fn percent(here: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { u64::try_from(u128::from(here) * 100 / u128::from(whole)).unwrap_or(100).min(100) }
}

/// A measured duration in milliseconds: `0.31 s`, `12.4 s`, `2 min 5 s`.
#[must_use]
pub fn measured(ms: u64) -> String {
    unbroken(&Span::from_millis(ms).measured())
}

/// A span in seconds, as in a sentence: `6 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    unbroken(&Span::from_secs(seconds).in_words())
}

/// A span that is only an estimate: as [`span`], or `more than a day`.
#[must_use]
pub fn estimate(seconds: u64) -> String {
    unbroken(&Span::from_secs(seconds).estimated())
}

/// `1 image`, `2 images`
#[must_use]
pub fn counted(count: usize, one: &str, many: &str) -> String {
    // The first space is the one behind the number.
    text::counted(count, one, many).replacen(' ', SPACE, 1)
}

/// A digest, cut in the middle: `73799068…d1df67`.
#[must_use]
pub fn shortened(digest: &str) -> String {
    format!("{}…{}", &digest[..8], &digest[58..])
}

/// A text with a full stop at its end and with its digests cut in the middle.
#[must_use]
pub fn closed(text: &str) -> String {
    let digest = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pieces = text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()).map(|piece| {
        let word = piece.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        if digest(word) { shortened(word) + &piece[64..] } else { piece.to_owned() }
    });
    let mut said: String = pieces.collect();
    if !said.is_empty() && !said.ends_with(['.', '`']) {
        said.push('.');
    }
    said
}

/// A fragment as a sentence: [`closed`], and with a capital unless it begins with an address.
#[must_use]
pub fn sentence(text: &str) -> String {
    let mut said = closed(text);
    let first = said.split(' ').next().unwrap_or_default();
    if !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_lowercase() || b",;:.'".contains(&byte)) {
        said[..1].make_ascii_uppercase();
    }
    said
}

/// A value in the query of an address: everything but letters, digits and four marks is written as its bytes.
#[must_use]
pub fn in_query(value: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(value, PLAIN).to_string()
}

fn unbroken(text: &str) -> String {
    text.replace(' ', SPACE)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_line_breaks_between_a_number_and_its_unit() {
        let texts = [
            bytes(31_040_000),
            share(1, 2_000),
            rate(38_200_000),
            memory(Size::from_gibibytes(2)),
            measured(125_000),
            span(12_000),
        ];
        let plain = ["31.0 MB", "0.00 of 2.00 KB", "38.2 MB/s", "2 GiB", "2 min 5 s", "3 h 20 min"];
        assert_eq!(texts, plain.map(|text| text.replace(' ', SPACE)));
    }

    #[test]
    fn sentences_begin_and_end_as_such_and_digests_are_short() {
        let digest = "73799068116dae9914861ea1ca6f7c680e71ecf8cf45bd049dea0450a7d1df67";
        for (text, said) in [
            (format!("the SHA-256 is {digest}, not {digest}"), "The SHA-256 is 73799068…d1df67, not 73799068…d1df67."),
            (format!("http://a/{digest}.png is not there"), "http://a/73799068…d1df67.png is not there."),
            ("127.0.0.1:80 does not answer.".to_owned(), "127.0.0.1:80 does not answer."),
            ("check: `pixelrts verify`".to_owned(), "Check: `pixelrts verify`"),
            ("élan".to_owned(), "élan."),
            (String::new(), ""),
        ] {
            assert_eq!(sentence(&text), said);
        }
    }

    #[test]
    fn a_value_in_an_address_is_written_as_its_bytes() {
        assert_eq!(in_query("a b&c=%é~"), "a%20b%26c%3D%25%C3%A9~");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([grouped(0), grouped(999), grouped(1000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "image", "images"), "1\u{a0}image");
        assert_eq!(counted(2, "image", "images"), "2\u{a0}images");
    }

    proptest! {
        #[test]
        fn a_percentage_is_100_only_when_all_is_here(here: u64, whole in 1u64..) {
            let here = here.min(whole);
            prop_assert_eq!(percent(here, whole) == 100, here == whole);
        }
    }
}
