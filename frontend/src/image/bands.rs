//! The segments of an image from its first byte to its last, as a CSS gradient with hard stops in the colors of roles.

use std::fmt::Write;

use pixelrts_shared::catalog::{Entry, Role};

/// `None` for an image that does not say what is in it. Smaller than a hundredth, a band could not be seen.
#[must_use]
pub fn gradient(entry: &Entry) -> Option<String> {
    let total: u128 = entry.segments.iter().map(|segment| u128::from(segment.size)).sum();
    if total == 0 {
        return None;
    }
    let mut bands = String::from("linear-gradient(180deg");
    let (mut sum, mut start) = (0_u128, 0_u128);
    for segment in &entry.segments {
        sum += u128::from(segment.size);
        let end = (sum * 100 / total).max(start + 1).min(100);
        let _ = write!(bands, ",{} {start}% {end}%", color(segment.role));
        start = end;
    }
    bands.push(')');
    Some(bands)
}

/// The color of a role, for a stylesheet.
#[must_use]
pub fn color(role: Role) -> &'static str {
    match role {
        Role::Kernel => "var(--role-kernel)",
        Role::Initrd => "var(--role-initrd)",
        Role::Disk => "var(--role-disk)",
        Role::Other => "var(--role-other)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(segments: &[(&str, u64)]) -> Entry {
        let segments: Vec<_> =
            segments.iter().map(|(role, size)| json!({"name": "s", "role": role, "size": size})).collect();
        let entry = json!({"id": "e", "name": "E", "size": 100, "sha256": "00".repeat(32), "segments": segments});
        serde_json::from_value(entry).unwrap()
    }

    #[test]
    fn bands_follow_each_other_and_small_ones_are_seen() {
        assert_eq!(
            gradient(&entry(&[("kernel", 1), ("initrd", 400), ("disk", 599), ("firmware", 0)])).as_deref(),
            Some(
                "linear-gradient(180deg,var(--role-kernel) 0% 1%,var(--role-initrd) 1% 40%,\
                 var(--role-disk) 40% 100%,var(--role-other) 100% 100%)"
            )
        );
        assert_eq!((gradient(&entry(&[])), gradient(&entry(&[("disk", 0)]))), (None, None));
        assert!(
            gradient(&entry(&[("disk", u64::MAX), ("disk", u64::MAX)])).is_some_and(|bands| bands.contains("0% 50%"))
        );
    }
}
