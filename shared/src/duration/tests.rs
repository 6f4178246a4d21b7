use super::*;
use proptest::prelude::*;

fn millis(text: &str) -> Option<u64> {
    text.parse().map(Span::millis).ok()
}

#[test]
fn every_unit_means_what_it_says() {
    for (text, expected) in [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("5min", 300_000),
        ("2h", 7_200_000),
        ("7d", 604_800_000),
        ("1week", 604_800_000),
        ("1.5h", 5_400_000),
        ("1h 30m", 5_400_000),
        ("1h30m", 5_400_000),
        ("30 S", 30_000),
        ("0", 0),
        ("0ms", 0),
    ] {
        assert_eq!(millis(text), Some(expected), "{text}");
    }
}

#[test]
fn what_is_not_a_duration_is_refused_with_what_to_write() {
    for (text, said) in [
        ("30", "30 has no unit: write 30s or 30m"),
        ("soon", "\"soon\" is not a duration: write it as 250ms, 30s, 5m, 2h or 7d"),
        ("101 weeks 5", "\"101 weeks 5\" is not a duration: write it as 250ms, 30s, 5m, 2h or 7d"),
        ("1000000d", "\"1000000d\" is longer than 100 years"),
    ] {
        assert_eq!(text.parse::<Span>().unwrap_err().to_string(), said);
    }
    for text in ["", "d", "-1s", "+1s", "NaN", "1us", "1ns", "0.5ms", "1month", "3M", "1y", "1h30", "1h -30m", "1s,2s"]
    {
        assert!(matches!(text.parse::<Span>(), Err(SpanError::Unreadable { .. })), "{text}");
    }
    let long = "9".repeat(100_000);
    for text in ["36500d 1ms", "99999999999999999999s", &format!("{long}d"), &"1d".repeat(40_000)] {
        assert!(matches!(text.parse::<Span>(), Err(SpanError::TooLong { .. })), "{text:.30}");
    }
}

#[test]
fn it_is_written_in_the_largest_unit_that_divides_it() {
    for text in ["7d", "30s", "5m", "250ms", "36h", "0ms", "14d", "90m"] {
        assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
    }
    assert_eq!(serde_json::to_string(&Span::from_secs(300)).unwrap(), "\"5m\"");
    let refused = serde_json::from_str::<Span>("30").unwrap_err().to_string();
    assert!(refused.contains("write 30s or 30m"), "{refused}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_span(ms in 0..=LONGEST) {
        for ms in [ms, ms / 1_000 * 1_000, ms / 3_600_000 * 3_600_000] {
            let span = Span::from_millis(ms);
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            let json = serde_json::to_string(&span).unwrap();
            prop_assert_eq!(serde_json::from_str::<Span>(&json).unwrap(), span);
            prop_assert_eq!(Span::from(Duration::from(span)), span);
        }
    }

    #[test]
    fn no_text_panics(text: String, number in "[0-9.]{0,40}", unit in "[a-zA-Z ]{0,4}") {
        let _ = text.parse::<Span>();
        let _ = format!("{number}{unit}{number}{unit}").parse::<Span>();
    }
}
