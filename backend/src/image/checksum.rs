//! The comparison of a computed checksum (SHA-256, CRC-32, Adler-32) with the stored one.

/// Whether the two checksums are equal. Every checksum in an image is compared here, because a fuzzer cannot guess one:
/// in a build with `--cfg fuzzing`, and only there, all of them match, so that the fuzzer reaches the code behind the
/// check. The binary does not compile like that.
pub(super) fn matches<T: PartialEq>(expected: &T, found: &T) -> bool {
    cfg!(fuzzing) || expected == found
}

#[cfg(test)]
mod tests {
    #[test]
    fn different_checksums_do_not_match() {
        assert!(super::matches(&[1, 2], &[1, 2]));
        assert!(!super::matches(&[1, 2], &[1, 3]));
    }
}
