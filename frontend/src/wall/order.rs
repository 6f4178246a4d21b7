//! The order of names, as people count: "70" stands before "550".

/// A text that sorts, byte by byte, in the natural order of the name: letters without their case, numbers by their value.
///
/// It is made once for each image, so that sorting compares bytes only.
#[must_use]
pub fn natural(name: &str) -> Vec<u8> {
    let name = name.to_lowercase();
    let mut key = Vec::with_capacity(name.len() + 4);
    let mut rest = name.as_bytes();
    while let Some(&first) = rest.first() {
        let is_digit = first.is_ascii_digit();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() == is_digit).count();
        let (run, after) = rest.split_at(length);
        if is_digit {
            let zeros = run.iter().take_while(|byte| **byte == b'0').count();
            let number = &run[zeros..];
            // A number with more digits is larger. A zero before them keeps digits where ASCII has them: before letters.
            key.extend([b'0', u8::try_from(number.len()).unwrap_or(u8::MAX)]);
            key.extend_from_slice(number);
        } else {
            key.extend_from_slice(run);
        }
        rest = after;
    }
    key
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stand_as_people_count() {
        let mut names =
            ["Image 550", "image 70", "Alpine 3.20", "Alpine 3.3", "alpine", "9front", "Image 7", "Émile", "10"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(
            names,
            ["9front", "10", "alpine", "Alpine 3.3", "Alpine 3.20", "Image 7", "image 70", "Image 550", "Émile"]
        );
        assert_eq!(natural("Disk 007"), natural("disk 7"));
    }

    proptest! {
        #[test]
        fn numbers_stand_by_their_value(a: u64, b: u64, zeros in 0usize..4, before in "[a-z .-]{0,5}", after in "[a-z .-]{0,5}") {
            let name = |number: u64| natural(&format!("{before}{}{number}{after}", "0".repeat(zeros)));
            prop_assert_eq!(name(a).cmp(&name(b)), a.cmp(&b));
        }

        #[test]
        fn without_digits_it_is_the_order_of_the_letters(a in "[a-z ]{0,8}", b in "[A-Z ]{0,8}") {
            prop_assert_eq!(natural(&a).cmp(&natural(&b)), a.cmp(&b.to_lowercase()));
        }

        #[test]
        fn a_name_stands_before_all_that_only_go_on(name in "\\PC{0,12}", more in "[a-z]{1,5}") {
            let longer = format!("{name}{more}");
            prop_assert!(natural(&name) < natural(&longer));
        }
    }
}
