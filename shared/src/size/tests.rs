use super::*;
use proptest::prelude::*;

fn bytes(text: &str) -> Option<u64> {
    text.parse().map(Size::bytes).ok()
}

#[test]
fn every_unit_means_what_it_says() {
    for (text, expected) in [
        ("512M", 512 << 20),
        ("512MiB", 512 << 20),
        ("2GiB", 2 << 30),
        ("2G", 2 << 30),
        ("2048MB", 2_048_000_000),
        ("1KB", 1_000),
        ("1K", 1_024),
        ("1T", 1 << 40),
        ("3TB", 3_000_000_000_000),
        ("7B", 7),
        ("0", 0),
        ("0B", 0),
    ] {
        assert_eq!(bytes(text), Some(expected), "{text}");
    }
}

#[test]
fn case_blanks_and_fractions_are_as_people_write_them() {
    for (text, same) in [
        ("1.5G", "1536M"),
        ("0.5GiB", "512M"),
        ("2.5 GB", "2500MB"),
        ("512m", "512M"),
        ("2gib", "2G"),
        ("2 GiB", "2G"),
        (" 2\u{a0}GB ", "2GB"),
        ("2kB", "2KB"),
    ] {
        assert_eq!(bytes(text), bytes(same), "{text}");
        assert!(bytes(text).is_some(), "{text}");
    }
}

#[test]
fn a_number_alone_is_refused_with_the_word_to_write() {
    for (text, said) in [
        ("512", "512 has no unit: write 512M or 512MiB"),
        ("1.5", "1.5 has no unit: write 1.5M or 1.5MiB"),
        ("12 parsecs", "\"12 parsecs\" is not a size: write it as 512M, 1.5G or 2GiB"),
        ("99999999T", "\"99999999T\" is more than a size can be"),
    ] {
        assert_eq!(text.parse::<Size>().unwrap_err().to_string(), said);
    }
}

#[test]
fn hostile_texts_are_refused() {
    let long = "9".repeat(100_000);
    for text in [
        "",
        "G",
        "-1G",
        "+1G",
        "NaN",
        "inf",
        "1e3M",
        "0x10M",
        "1,5G",
        "1.5.5G",
        "1.G",
        ".5G",
        "2G,slots=4",
        "1.5B",
        "٣G",
    ] {
        assert!(matches!(text.parse::<Size>(), Err(SizeError::Unreadable { .. })), "{text}");
    }
    for text in ["18446744073709551616B", "16777216T", &format!("{long}G")] {
        assert!(matches!(text.parse::<Size>(), Err(SizeError::TooLarge { .. })), "{text:.30}");
    }
    assert!(long.parse::<Size>().unwrap_err().to_string().len() < 300);
}

#[test]
fn the_shortest_exact_word_is_written() {
    for text in ["2G", "1536M", "2048MB", "1GB", "1T", "7B", "0B", "20G", "1000K", "1KB", "18446744073709551615B"] {
        assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
    }
    assert_eq!(format!("{:>5}|", Size::from_gibibytes(2)), "   2G|");
}

#[test]
fn in_json_it_is_a_text_and_a_number_is_refused() {
    assert_eq!(serde_json::to_string(&Size::from_mebibytes(512)).unwrap(), "\"512M\"");
    assert_eq!(serde_json::from_str::<Size>("\"2GiB\"").unwrap(), Size::from_gibibytes(2));
    let refused = serde_json::from_str::<Size>("512").unwrap_err().to_string();
    assert!(refused.contains("write 512M or 512MiB"), "{refused}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_size(bytes: u64, shift in 0_u32..40) {
        for bytes in [bytes, bytes >> shift << shift, bytes / 1_000_000 * 1_000_000] {
            let size = Size::from_bytes(bytes);
            prop_assert_eq!(size.to_string().parse::<Size>(), Ok(size));
            let json = serde_json::to_string(&size).unwrap();
            prop_assert_eq!(serde_json::from_str::<Size>(&json).unwrap(), size);
        }
    }

    #[test]
    fn no_text_panics(text: String, number in "[0-9.]{0,40}", unit in "[a-zA-Z ]{0,4}") {
        let _ = text.parse::<Size>();
        let _ = format!("{number}{unit}").parse::<Size>();
    }
}
