//! Sizes as people read them: three digits that matter, and a unit that says how it counts.
//!
//! Files and downloads are counted in powers of 1000 (`424 MB`), as disks and networks are. The memory of machines is
//! counted in powers of 1024 (`2 GiB`), as it is given to them.

use super::Size;

type Unit = (u64, &'static str);

const DECIMAL: [Unit; 4] = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB")];
const BINARY: [Unit; 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

impl Size {
    /// Rounded, for files and downloads: `31.0 MB`, `424 MB`, `1.02 GB`.
    #[must_use]
    pub fn in_words(self) -> String {
        let (divisor, unit) = unit_of(self.0, DECIMAL);
        format!("{} {unit}", digits(self.0, divisor))
    }

    /// How much of a whole this is, in the unit of the whole: `182 of 424 MB`.
    #[must_use]
    pub fn of_whole(self, whole: Self) -> String {
        let (divisor, unit) = unit_of(whole.0, DECIMAL);
        format!("{} of {} {unit}", digits(self.0, divisor), digits(whole.0, divisor))
    }

    /// As what comes in one second: `38.2 MB/s`.
    #[must_use]
    pub fn per_second(self) -> String {
        format!("{}/s", self.in_words())
    }

    /// Rounded, for the memory of a machine: `2 GiB`, `1.91 GiB`.
    #[must_use]
    pub fn as_memory(self) -> String {
        let (divisor, unit) = unit_of(self.0, BINARY);
        let digits =
            if self.0.is_multiple_of(divisor) { (self.0 / divisor).to_string() } else { digits(self.0, divisor) };
        format!("{digits} {unit}")
    }
}

fn unit_of(count: u64, units: [Unit; 4]) -> Unit {
    // From 999.5 of a unit on, the next one: three digits would read 1000.
    units.into_iter().find(|(divisor, _)| count >= divisor - divisor / 2000).unwrap_or((1, "B"))
}

fn digits(count: u64, divisor: u64) -> String {
    // Only bytes, whose divisor is 1, may be too many for 64 bits, and they are shown as they are.
    let thousandths = u64::try_from(u128::from(count) * 1000 / u128::from(divisor)).unwrap_or(u64::MAX);
    let rounded = |places: u64| (thousandths + 500 / places) / (1000 / places);
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

    fn size(count: u64) -> Size {
        Size::from_bytes(count)
    }

    #[test]
    fn files_have_three_digits_in_powers_of_1000() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (31_000, "31.0 KB"),
            (1_300_000, "1.30 MB"),
            (31_040_000, "31.0 MB"),
            (424_400_000, "424 MB"),
            (999_499_999, "999 MB"),
            (999_600_000, "1.00 GB"),
            (1_024_000_000, "1.02 GB"),
            (9_999_000_000, "10.0 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(size(count).in_words(), text);
        }
        assert_eq!(size(38_200_000).per_second(), "38.2 MB/s");
    }

    #[test]
    fn memory_is_counted_in_powers_of_1024() {
        for (text, words) in [("2G", "2 GiB"), ("512M", "512 MiB"), ("1.5G", "1.50 GiB"), ("2048MB", "1.91 GiB")] {
            assert_eq!(text.parse::<Size>().unwrap().as_memory(), words);
        }
    }

    #[test]
    fn a_part_is_in_the_unit_of_the_whole() {
        for (here, whole, text) in [
            (182_000_000, 424_000_000, "182 of 424 MB"),
            (0, 82_000_000, "0 of 82.0 MB"),
            (500_000, 2_000_000_000, "0.00 of 2.00 GB"),
        ] {
            assert_eq!(size(here).of_whole(size(whole)), text);
        }
    }

    proptest! {
        #[test]
        fn no_size_has_four_digits_left_of_the_point_below_a_petabyte(count in 0_u64..999_000_000_000_000) {
            let words = size(count).in_words();
            prop_assert!(words.split(['.', ' ']).next().is_some_and(|whole| whole.len() <= 3), "{}", words);
        }

        /// What people are shown can be written back, and is the same to three digits.
        #[test]
        fn words_are_sizes_too(count in 1_000_u64..) {
            for words in [size(count).in_words(), size(count).as_memory()] {
                let read = words.parse::<Size>().unwrap().bytes();
                prop_assert!(read.abs_diff(count) <= count / 150, "{} is not {}", words, count);
            }
        }
    }
}
