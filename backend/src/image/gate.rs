//! Where a computed sum meets the stored one: SHA-256, CRC-32, Adler-32.

/// Whether it is the sum that was promised. Every sum in an image is compared here, so that a fuzzer, which cannot
/// guess one, gets behind it: only a build with `--cfg fuzzing` lets all pass, and the binary refuses to be one.
pub(super) fn same<T: PartialEq>(expected: &T, found: &T) -> bool {
    cfg!(fuzzing) || expected == found
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_shut() {
        assert!(super::same(&[1, 2], &[1, 2]));
        assert!(!super::same(&[1, 2], &[1, 3]));
    }
}
