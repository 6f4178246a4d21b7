//! What the console's output shows about the guest: its first byte, a marker, a panic of the kernel.

use std::mem;

/// Each is reported at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Sign {
    /// The kernel, or what runs before it, has begun to write.
    FirstByte,
    /// The configured text has appeared.
    Marker,
    /// The kernel has panicked, with its message.
    Panic(String),
}

/// Scans the output as it arrives, in pieces that may be cut anywhere.
#[derive(Debug)]
pub(super) struct Watcher {
    fresh: bool,
    marker: Option<String>,
    panicked: bool,
    line: Vec<u8>,
}

/// Lines are scanned up to this length, in bytes; those of a kernel are shorter.
const MAX_LINE: usize = 1024;
const PANIC: &[u8] = b"Kernel panic - not syncing";

impl Watcher {
    pub(super) fn new(marker: Option<String>) -> Self {
        Self { fresh: true, marker: marker.filter(|text| !text.is_empty()), panicked: false, line: Vec::new() }
    }

    pub(super) fn scan(&mut self, bytes: &[u8]) -> Vec<Sign> {
        let mut signs = Vec::new();
        if mem::take(&mut self.fresh) {
            signs.push(Sign::FirstByte);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            let whole = piece.ends_with(b"\n");
            // A prompt does not end its line, so the marker is searched for in unfinished lines too.
            let found = |text: &str| self.line.windows(text.len()).any(|window| window == text.as_bytes());
            if self.marker.as_deref().is_some_and(found) {
                self.marker = None;
                signs.push(Sign::Marker);
            }
            if whole {
                if !self.panicked
                    && let Some(text) = panic_in(&self.line)
                {
                    self.panicked = true;
                    signs.push(Sign::Panic(text));
                }
                self.line.clear();
            }
        }
        signs
    }
}

/// The kernel writes it at the beginning of a line, after the time. Somebody who prints an old log looks the same.
fn panic_in(line: &[u8]) -> Option<String> {
    let text = match line.strip_prefix(b"[") {
        Some(stamped) => &stamped[stamped.iter().position(|byte| *byte == b']')? + 1..],
        None => line,
    };
    let text = text.trim_ascii();
    text.starts_with(PANIC).then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: &str =
        "SeaBIOS\r\n[    0.1] Linux\r\n[    0.8] Kernel panic - not syncing: no init\r\n[    0.9] ---[ end\r\nlogin: ";

    proptest! {
        #[test]
        fn signs_do_not_depend_on_how_the_output_is_cut(cuts in prop::collection::vec(1_usize..20, 0..40)) {
            let mut watcher = Watcher::new(Some("login: ".to_owned()));
            let mut rest = LOG.as_bytes();
            let mut signs = Vec::new();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                if !piece.is_empty() {
                    signs.extend(watcher.scan(piece));
                }
                rest = after;
            }
            if !rest.is_empty() {
                signs.extend(watcher.scan(rest));
            }
            let panic = Sign::Panic("Kernel panic - not syncing: no init".to_owned());
            prop_assert_eq!(signs, [Sign::FirstByte, panic, Sign::Marker]);
        }

        #[test]
        fn no_output_makes_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 0..8)) {
            let mut watcher = Watcher::new(Some("x".to_owned()));
            for piece in pieces {
                watcher.scan(&piece);
                prop_assert!(watcher.line.len() <= MAX_LINE);
            }
        }
    }

    #[test]
    fn text_about_a_panic_is_not_a_panic() {
        let mut watcher = Watcher::new(None);
        let text = b"grep 'Kernel panic - not syncing' log\necho Kernel panic - not syncing\n";
        assert_eq!(watcher.scan(text), [Sign::FirstByte]);
    }
}
