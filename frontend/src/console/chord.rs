//! Ctrl and Alt, pressed and released with no other key between, take the keyboard back from a guest.
//!
//! Some systems report AltGr as Ctrl and Alt, and it must still type characters: so any other key ends the chord.

/// A key as it goes down or up.
#[derive(Clone, Copy, Debug)]
pub struct Press<'a> {
    pub key: &'a str,
    pub down: bool,
    pub ctrl: bool,
    pub alt: bool,
}

#[derive(Debug, Default)]
pub struct Chord {
    armed: bool,
}

impl Chord {
    /// Returns true when this press completes the chord.
    pub fn press(&mut self, press: Press<'_>) -> bool {
        let part = matches!(press.key, "Control" | "Alt");
        if press.down {
            self.armed = part && press.ctrl && press.alt;
            return false;
        }
        std::mem::take(&mut self.armed) && part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completes(presses: &[(&str, bool, bool, bool)]) -> bool {
        let mut chord = Chord::default();
        presses.iter().any(|&(key, down, ctrl, alt)| chord.press(Press { key, down, ctrl, alt }))
    }

    #[test]
    fn both_down_then_one_up_completes_it() {
        assert!(completes(&[("Control", true, true, false), ("Alt", true, true, true), ("Alt", false, true, false)]));
    }

    #[test]
    fn a_letter_between_or_alt_gr_does_not() {
        let with_letter = [
            ("Control", true, true, false),
            ("Alt", true, true, true),
            ("c", true, true, true),
            ("c", false, true, true),
        ];
        assert!(!completes(&[&with_letter[..], &[("Alt", false, true, false)]].concat()));
        assert!(!completes(&[
            ("Control", true, true, false),
            ("AltGraph", true, true, true),
            ("Control", false, false, true)
        ]));
        assert!(!completes(&[("Alt", true, false, true), ("Alt", false, false, false)]));
    }
}
