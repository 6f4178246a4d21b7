//! `Range` requests (RFC 9110): one range of bytes, the whole file, or a range that does not exist.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// There is no range, or one that may be ignored: several ranges, another unit, or nonsense.
    Whole,
    Bytes(Range<u64>),
    /// The range begins behind the end.
    Outside,
}

/// The part of `size` bytes that a `Range` header requests.
pub(super) fn requested(header: Option<&str>, size: u64) -> Part {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")).and_then(|text| text.split_once('-'))
    else {
        return Part::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        // The last bytes.
        (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Part::Whole,
    };
    if range.start < range.end { Part::Bytes(range) } else { Part::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (header, expected) in [
            (None, Part::Whole),
            (Some("bytes=0-0"), Part::Bytes(0..1)),
            (Some("bytes=2-"), Part::Bytes(2..10)),
            (Some("bytes=2-99"), Part::Bytes(2..10)),
            (Some("bytes=-3"), Part::Bytes(7..10)),
            (Some("bytes=-99"), Part::Bytes(0..10)),
            (Some("bytes=10-"), Part::Outside),
            (Some("bytes=-0"), Part::Outside),
            (Some("bytes=5-2"), Part::Whole),
            (Some("bytes=0-1,3-4"), Part::Whole),
            (Some("items=0-1"), Part::Whole),
            (Some("bytes=-"), Part::Whole),
        ] {
            assert_eq!(requested(header, 10), expected, "{header:?}");
        }
        assert_eq!(requested(Some("bytes=0-"), 0), Part::Outside);
    }

    proptest! {
        #[test]
        fn a_range_is_never_empty_and_never_outside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            if let Part::Bytes(range) = requested(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
