//! Random numbers of the operating system. Nothing else asks for them.

pub use getrandom::Error;

/// `BYTES` random bytes as hex digits, two for each byte: for names and secrets that nobody can guess.
pub fn hex<const BYTES: usize>() -> Result<String, Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// The number that a retry's jitter is made from (`pixelrts_shared::backoff`). Where the system gives none, the retry
/// waits its whole time.
#[must_use]
pub fn jitter() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_two_hex_digits_and_no_two_names_are_equal() {
        let [one, other] = [hex::<8>().unwrap(), hex::<8>().unwrap()];
        assert_eq!((one.len(), one.bytes().all(|byte| byte.is_ascii_hexdigit())), (16, true));
        assert_ne!(one, other);
    }
}
