//! How often to ask again when nobody answers.

/// The wait before try `attempt` (from 0), in milliseconds: 0.5 s, doubled up to 8 s.
#[must_use]
pub const fn wait_ms(attempt: u32) -> u32 {
    500 << if attempt < 4 { attempt } else { 4 }
}

#[cfg(target_arch = "wasm32")]
pub mod store;

#[cfg(test)]
mod tests {
    use super::wait_ms;

    #[test]
    fn waits_double_and_stop_growing() {
        assert_eq!([0, 1, 4, 5, u32::MAX].map(wait_ms), [500, 1000, 8000, 8000, 8000]);
    }
}
