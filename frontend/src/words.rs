//! Numbers as people read them: three digits that matter, a no-break space before the unit.

const SPACE: char = '\u{a0}';
const UNITS: [(u64, &str); 4] = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];

/// A number of bytes: `31.0 MB`, `424 MB`, `1.02 GB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let (divisor, unit) = unit_of(count);
    format!("{}{SPACE}{unit}", digits(count, divisor))
}

/// How much of a whole is here, in the unit of the whole: `182 of 424 MB`.
#[must_use]
pub fn share(here: u64, whole: u64) -> String {
    let (divisor, unit) = unit_of(whole);
    format!("{} of {}{SPACE}{unit}", digits(here, divisor), digits(whole, divisor))
}

/// Bytes per second: `38.2 MB/s`.
#[must_use]
pub fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// Whole percents, never more than is so: 99.9 is 99.
#[must_use]
pub fn percent(here: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { u64::try_from(u128::from(here) * 100 / u128::from(whole)).unwrap_or(100).min(100) }
}

/// A measured duration in milliseconds: `0.31 s`, `12.4 s`, `2 min 5 s`.
#[must_use]
pub fn measured(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{:02}{SPACE}s", ms / 1000, ms % 1000 / 10),
        10_000..100_000 => format!("{}.{}{SPACE}s", ms / 1000, ms % 1000 / 100),
        _ => format!("{}{SPACE}min {}{SPACE}s", ms / 60_000, ms / 1000 % 60),
    }
}

/// A span in seconds, as said in a sentence: `6 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0..60 => format!("{seconds}{SPACE}s"),
        60..3_600 => format!("{minutes}{SPACE}min"),
        3_600..86_400 => format!("{hours}{SPACE}h {}{SPACE}min", minutes % 60),
        _ => format!("{}{SPACE}d {}{SPACE}h", hours / 24, hours % 24),
    }
}

/// `10,000`
#[must_use]
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 image`, `2 images`
#[must_use]
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{}{SPACE}{}", grouped(count), if count == 1 { one } else { many })
}

/// What is said, with a full stop and with digests cut in the middle.
#[must_use]
pub fn closed(text: &str) -> String {
    let digest = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pieces = text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()).map(|piece| {
        let word = piece.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        if digest(word) { format!("{}…{}{}", &word[..8], &word[58..], &piece[64..]) } else { piece.to_owned() }
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

fn unit_of(count: u64) -> (u64, &'static str) {
    // From 999.5 of a unit on, the next one: three digits would read 1000.
    UNITS.into_iter().find(|(divisor, _)| count >= divisor - divisor / 2000).unwrap_or((1, "B"))
}

fn digits(count: u64, divisor: u64) -> String {
    let thousandths = u128::from(count) * 1000 / u128::from(divisor);
    let rounded = |places: u128| (thousandths + 500 / places) / (1000 / places);
    match thousandths {
        _ if divisor == 1 || count == 0 => count.to_string(),
        0..9_995 => format!("{}.{:02}", rounded(100) / 100, rounded(100) % 100),
        9_995..99_950 => format!("{}.{}", rounded(10) / 10, rounded(10) % 10),
        _ => rounded(1).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> String {
        text.replace(SPACE, " ")
    }

    #[test]
    fn bytes_have_three_digits() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_300_000, "1.30 MB"),
            (31_040_000, "31.0 MB"),
            (424_400_000, "424 MB"),
            (999_499_999, "999 MB"),
            (999_600_000, "1.00 GB"),
            (1_024_000_000, "1.02 GB"),
            (9_999_000_000, "10.0 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(plain(&bytes(count)), text);
        }
    }

    #[test]
    fn a_share_is_in_the_unit_of_the_whole() {
        assert_eq!(plain(&share(182_000_000, 424_000_000)), "182 of 424 MB");
        assert_eq!(plain(&share(0, 82_000_000)), "0 of 82.0 MB");
        assert_eq!(plain(&share(500_000, 2_000_000_000)), "0.00 of 2.00 GB");
        assert_eq!(plain(&rate(38_200_000)), "38.2 MB/s");
    }

    #[test]
    fn spans_and_measurements_read_well() {
        for (seconds, text) in [(6, "6 s"), (725, "12 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")] {
            assert_eq!(plain(&span(seconds)), text);
        }
        for (ms, text) in [(310, "0.31 s"), (2_640, "2.64 s"), (12_450, "12.4 s"), (125_000, "2 min 5 s")] {
            assert_eq!(plain(&measured(ms)), text);
        }
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
    fn thousands_are_grouped() {
        assert_eq!([grouped(0), grouped(999), grouped(1000), grouped(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(plain(&counted(1, "image", "images")), "1 image");
        assert_eq!(plain(&counted(2, "image", "images")), "2 images");
    }

    proptest! {
        #[test]
        fn a_percent_never_promises_more_than_is_here(here: u64, whole in 1u64..) {
            let here = here.min(whole);
            prop_assert_eq!(percent(here, whole) == 100, here == whole);
        }

        #[test]
        fn no_count_is_shown_with_four_digits_left_of_the_point_below_a_petabyte(count in 0u64..999_000_000_000_000) {
            prop_assert!(bytes(count).split(['.', SPACE]).next().is_some_and(|whole| whole.len() <= 3));
        }
    }
}
