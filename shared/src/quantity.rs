//! A decimal number with a unit behind it: the part of the grammar that sizes and durations share.
//!
//! Numbers are exact: no floating point is involved, so that a word means the same everywhere. A fraction is rounded
//! down to whole bytes or milliseconds.

/// More digits behind the point than this cannot change the result of any unit.
const MOST_FRACTION_DIGITS: usize = 18;

/// Why a number cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is not digits, or digits with one point between them.
    Malformed,
    TooLarge,
}

/// A number, its unit, and the text behind them. Blanks before, between and behind are skipped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) number: &'a str,
    /// Empty when there is none.
    pub(crate) unit: &'a str,
    pub(crate) rest: &'a str,
}

/// The first quantity of the text; `None` when it does not begin with a digit.
pub(crate) fn first(text: &str) -> Option<Part<'_>> {
    let (number, rest) = leading(text.trim_start(), |letter| letter.is_ascii_digit() || letter == '.');
    let (unit, rest) = leading(rest.trim_start(), |letter| letter.is_ascii_alphabetic());
    number.starts_with(|letter: char| letter.is_ascii_digit()).then_some(Part { number, unit, rest: rest.trim_start() })
}

fn leading(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

/// `number` times `unit`, rounded down. The smallest unit, 1, has no fractions.
pub(crate) fn scaled(number: &str, unit: u64) -> Result<u64, Refused> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match number.split_once('.') {
        None => (number, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    let is_fraction = |digits: &str| is_digits(digits) && digits.len() <= MOST_FRACTION_DIGITS && unit > 1;
    if !is_digits(whole) || !fraction.is_none_or(is_fraction) {
        return Err(Refused::Malformed);
    }
    let parsed = |digits: &str| digits.parse::<u64>().map(u128::from).map_err(|_| Refused::TooLarge);
    let unit = u128::from(unit);
    let part = match fraction {
        None => 0,
        Some(digits) => parsed(digits)? * unit / 10_u128.pow(u32::try_from(digits.len()).unwrap_or(u32::MAX)),
    };
    u64::try_from(parsed(whole)? * unit + part).map_err(|_| Refused::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quantity_is_taken_apart() {
        assert_eq!(first(" 1.5 GiB x"), Some(Part { number: "1.5", unit: "GiB", rest: "x" }));
        assert_eq!(first("1h30m"), Some(Part { number: "1", unit: "h", rest: "30m" }));
        assert_eq!(first("512"), Some(Part { number: "512", unit: "", rest: "" }));
        for text in ["", "G", "-1", "+1", ".5G", "NaN", "٣G"] {
            assert_eq!(first(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_scaled_exactly_and_rounded_down() {
        for (number, unit, scale) in [("2", 1024, 2048), ("1.5", 1024, 1536), ("0.3", 10, 3), ("0.99", 10, 9)] {
            assert_eq!(scaled(number, unit), Ok(scale), "{number}");
        }
        for number in ["1.", "1.5.5", "", "1.0000000000000000000"] {
            assert_eq!(scaled(number, 1024), Err(Refused::Malformed), "{number}");
        }
        assert_eq!(scaled("1.5", 1), Err(Refused::Malformed), "half a byte");
        for number in ["18446744073709551616", "18446744073709551615", "99999999999999999999999"] {
            assert_eq!(scaled(number, 1024), Err(Refused::TooLarge), "{number}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String, unit in 1_u64..) {
            if let Some(part) = first(&text) {
                let _ = scaled(part.number, unit);
            }
        }
    }
}
