//! What is printed holds texts of images and servers, and a terminal obeys control characters. The only ones that reach
//! it are line ends, tabs, and the colors of this program.

use std::fmt::Write;

use pixelrts_shared::text::is_hidden;

/// A text for people. Of what commands a terminal, only colors stay.
pub(super) fn text(raw: &str) -> String {
    let mut shown = String::with_capacity(raw.len());
    for (at, letter) in raw.char_indices() {
        if matches!(letter, '\n' | '\t') || !is_hidden(letter) || letter == '\x1b' && is_color(&raw[at + 1..]) {
            shown.push(letter);
        }
    }
    shown
}

/// `[1;31m` and the like, behind an escape.
fn is_color(rest: &str) -> bool {
    let Some(codes) = rest.strip_prefix('[') else { return false };
    let end = codes.find(|letter: char| !letter.is_ascii_digit() && letter != ';').unwrap_or(codes.len());
    end <= 40 && codes[end..].starts_with('m')
}

/// A document for programs, which means the same: hidden characters are written as escapes. They are in texts only.
pub(super) fn json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for letter in document.chars() {
        if letter.is_ascii() || !is_hidden(letter) {
            shown.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colors_stay_and_commands_go() {
        assert_eq!(text("\x1b[38;2;1;2;3mred\x1b[0m\n"), "\x1b[38;2;1;2;3mred\x1b[0m\n");
        assert_eq!(text("a\x1b[2J\x1b]0;t\x07\u{9b}5n\rb\u{202e}\x08"), "a[2J]0;t5nb");
    }

    proptest! {
        #[test]
        fn a_document_keeps_its_meaning(words in prop::collection::vec(any::<String>(), 0..4), odd in "[\u{80}-\u{9f}\u{202e}\u{e0041}\"\\\\]{0,9}") {
            let document = serde_json::to_string_pretty(&(&words, &odd)).unwrap();
            let shown = json(&document);
            prop_assert_eq!(serde_json::from_str::<(Vec<String>, String)>(&shown).unwrap(), (words, odd));
            prop_assert!(!shown.chars().any(|letter| is_hidden(letter) && letter != '\n'), "{}", shown);
        }

        #[test]
        fn no_text_commands_a_terminal(raw: String, odd in "[\u{1b}\\[0-9;mJ\u{9b}\u{7}]{0,12}") {
            let shown = text(&format!("{raw}{odd}"));
            let rest = shown.split('\x1b').skip(1);
            prop_assert!(rest.into_iter().all(is_color), "{:?}", shown);
        }
    }
}
