//! Systems that are met often.

/// Hue and weave, placed by hand so that no two share both.
const KNOWN: [(&str, (usize, usize)); 24] = [
    ("debian", (15, 0)),
    ("alpine", (10, 4)),
    ("ubuntu", (1, 5)),
    ("fedora", (11, 2)),
    ("freebsd", (0, 6)),
    ("openbsd", (4, 3)),
    ("netbsd", (2, 1)),
    ("arch", (9, 7)),
    ("nixos", (9, 5)),
    ("openwrt", (8, 8)),
    ("freedos", (12, 9)),
    ("memtest86", (5, 1)),
    ("systemrescue", (0, 3)),
    ("rescue", (1, 3)),
    ("classroom", (13, 5)),
    ("exam", (14, 9)),
    ("kiosk", (7, 2)),
    ("opensuse", (6, 6)),
    ("almalinux", (3, 8)),
    ("rocky", (7, 0)),
    ("void", (6, 1)),
    ("gentoo", (12, 4)),
    ("busybox", (3, 7)),
    ("windows pe", (10, 9)),
];

pub(super) fn place(system: &str) -> Option<(usize, usize)> {
    KNOWN.iter().find(|(known, _)| *known == system).map(|(_, place)| *place)
}

#[cfg(test)]
#[test]
fn no_two_systems_share_hue_and_weave() {
    let places: std::collections::HashSet<_> = KNOWN.iter().map(|(_, place)| place).collect();
    assert_eq!(places.len(), KNOWN.len());
}
